//! What the account table holds for an account's password.

use crate::auth::{NativeVerifier, Sha2Verifier};
use crate::error::{WireError, WireResult};

/// A way to prove a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthPlugin {
    /// `caching_sha2_password`
    CachingSha2,
    /// `mysql_native_password`
    Native,
}

impl AuthPlugin {
    /// The plugin of that name.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        match name {
            b"caching_sha2_password" => Some(Self::CachingSha2),
            b"mysql_native_password" => Some(Self::Native),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CachingSha2 => "caching_sha2_password",
            Self::Native => "mysql_native_password",
        }
    }
}

/// What is stored for an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// `caching_sha2_password`; `None` for an empty password.
    CachingSha2(Option<Sha2Verifier>),
    /// `mysql_native_password`; `None` for an empty password.
    Native(Option<NativeVerifier>),
    /// There is no such account, or it is locked, or its plugin is not known: the client goes through
    /// the same motions and is denied.
    Nobody,
}

impl Credential {
    /// From the columns `plugin` and `authentication_string` of an account.
    ///
    /// # Errors
    /// `Malformed` when the string is not one that the plugin makes, or the plugin is not known.
    pub fn parse(plugin: &str, authentication_string: &[u8]) -> WireResult<Self> {
        let empty = authentication_string.is_empty();
        let plugin = AuthPlugin::from_name(plugin.as_bytes());
        let plugin = plugin.ok_or(WireError::Malformed("unknown authentication plugin"))?;
        let credential = match plugin {
            AuthPlugin::CachingSha2 if empty => Some(Self::CachingSha2(None)),
            AuthPlugin::Native if empty => Some(Self::Native(None)),
            AuthPlugin::CachingSha2 => {
                Sha2Verifier::parse(authentication_string).map(|found| Self::CachingSha2(Some(found)))
            }
            AuthPlugin::Native => {
                NativeVerifier::parse(authentication_string).map(|found| Self::Native(Some(found)))
            }
        };
        credential.ok_or(WireError::Malformed("authentication string of another plugin"))
    }

    /// For a new password. Takes milliseconds of CPU time for `CachingSha2`.
    ///
    /// # Errors
    /// `Keys` when the operating system has no randomness.
    pub fn from_password(plugin: AuthPlugin, password: &[u8]) -> WireResult<Self> {
        Ok(match plugin {
            AuthPlugin::CachingSha2 if password.is_empty() => Self::CachingSha2(None),
            AuthPlugin::Native if password.is_empty() => Self::Native(None),
            AuthPlugin::CachingSha2 => Self::CachingSha2(Some(Sha2Verifier::from_password(password)?)),
            AuthPlugin::Native => Self::Native(Some(NativeVerifier::from_password(password))),
        })
    }

    /// The plugin, if there is an account.
    #[must_use]
    pub fn plugin(&self) -> Option<AuthPlugin> {
        match self {
            Self::CachingSha2(_) => Some(AuthPlugin::CachingSha2),
            Self::Native(_) => Some(AuthPlugin::Native),
            Self::Nobody => None,
        }
    }

    /// The column `authentication_string`; ASCII for verifiers made by MySQL or by this crate.
    #[must_use]
    pub fn to_authentication_string(&self) -> Vec<u8> {
        match self {
            Self::CachingSha2(Some(verifier)) => verifier.to_bytes(),
            Self::Native(Some(verifier)) => verifier.to_text().into_bytes(),
            _ => Vec::new(),
        }
    }
}
