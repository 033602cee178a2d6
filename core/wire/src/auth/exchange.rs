//! The exchange of proofs, as a function from what the client sent to what to send next.
//!
//! Steps of `caching_sha2_password`: (1) the client's fast proof; (2) if the account's digest is cached
//! and the proof is right, success; (3) else the server asks for the password itself, which comes
//! in the clear on an encrypted connection, or encrypted for the server's RSA key, which the client may
//! ask for first. Steps of `mysql_native_password`: one proof. An account of the other plugin than
//! the client began with costs one more round: the switch.
//!
//! The only ways to `Accepted` are: an empty proof for an account that is known to have an empty
//! password, a right fast or native proof, and a [`CheckedPassword`] that is right.

use std::sync::Arc;

use bytes::Bytes;

use crate::auth::password::Shown;
use crate::auth::{AuthCache, AuthPlugin, CheckedPassword, Credential, PasswordCheck, Salt};
use crate::handshake::DenyReason;
use crate::keys::ServerKeys;

/// `request_public_key` of the client.
const REQUEST_PUBLIC_KEY: u8 = 2;
/// `fast_auth_success` of the server.
const FAST_AUTH_SUCCESS: u8 = 3;
/// `perform_full_authentication` of the server.
const PERFORM_FULL_AUTHENTICATION: u8 = 4;

/// What to do next.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Send an AuthSwitchRequest with the salt.
    Switch(AuthPlugin),
    /// Send AuthMoreData and wait.
    More(Vec<u8>),
    /// Have the password checked.
    Check(Box<PasswordCheck>),
    /// The client is in; send the AuthMoreData first, if any.
    Accepted(Option<u8>),
    /// The client is not who it says.
    Denied(DenyReason),
}

/// What a client logs in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// The first packet after the greeting: its proof answers the greeting's salt.
    Login,
    /// COM_CHANGE_USER. What it carries may be no proof at all: MySQL's client library sends nothing for
    /// `caching_sha2_password` and awaits to be asked. So it is always asked, as MySQL's server does.
    ChangeUser,
}

/// What the exchange needs to know of the connection.
#[derive(Clone, Debug)]
pub(crate) struct Circumstances {
    pub(crate) salt: Salt,
    /// Whether passwords may travel in the clear: TLS or a local socket.
    pub(crate) private: bool,
    /// Whether the client understands an AuthSwitchRequest.
    pub(crate) switches: bool,
    /// How the login came.
    pub(crate) occasion: Occasion,
    pub(crate) keys: Option<Arc<ServerKeys>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Awaiting {
    /// The first proof of the account's plugin.
    Proof,
    /// The password, or a request for the public key.
    Password,
    /// The encrypted password.
    EncryptedPassword,
    /// The result of a check.
    Check,
    /// Nothing: it is over.
    Nothing,
}

/// One client's exchange about one account.
#[derive(Debug)]
pub(crate) struct Exchange {
    circumstances: Circumstances,
    account: String,
    credential: Credential,
    /// What the exchange is conducted by: the credential's plugin, or a decoy's.
    plugin: AuthPlugin,
    awaiting: Awaiting,
    used_password: bool,
}

impl Exchange {
    pub(crate) fn new(
        circumstances: Circumstances,
        account: &str,
        credential: Credential,
        default_plugin: AuthPlugin,
    ) -> Self {
        let plugin = credential.plugin().unwrap_or(default_plugin);
        let account = account.to_owned();
        let awaiting = Awaiting::Proof;
        Self { circumstances, account, credential, plugin, awaiting, used_password: false }
    }

    /// Whether the client showed anything that could prove a password.
    pub(crate) fn used_password(&self) -> bool {
        self.used_password
    }

    /// The first step: what the client sent with its login, by the plugin that it named.
    pub(crate) fn begin(&mut self, plugin: Option<AuthPlugin>, proof: &[u8], cache: &AuthCache) -> Reply {
        self.used_password = !is_empty_proof(proof);
        let Circumstances { switches, occasion, .. } = self.circumstances;
        let ask = occasion == Occasion::ChangeUser && switches;
        if plugin == Some(self.plugin) && !ask {
            return self.judge_proof(proof, cache);
        }
        if !switches {
            return self.deny(DenyReason::PluginNotSupported);
        }
        Reply::Switch(self.plugin)
    }

    /// A further packet of the client.
    pub(crate) fn receive(&mut self, packet: &Bytes, cache: &AuthCache) -> Reply {
        match self.awaiting {
            Awaiting::Proof => {
                self.used_password = !is_empty_proof(packet);
                self.judge_proof(packet, cache)
            }
            Awaiting::Password if self.circumstances.private => self.check(Shown::Clear(packet.to_vec())),
            Awaiting::Password if packet[..] == [REQUEST_PUBLIC_KEY] => self.send_public_key(),
            Awaiting::Password | Awaiting::EncryptedPassword => self.check_encrypted(packet),
            Awaiting::Check | Awaiting::Nothing => self.deny(DenyReason::WrongPassword),
        }
    }

    fn judge_proof(&mut self, proof: &[u8], cache: &AuthCache) -> Reply {
        if is_empty_proof(proof) {
            return match self.credential {
                Credential::CachingSha2(None) | Credential::Native(None) => self.accept(None),
                _ => self.deny(DenyReason::WrongPassword),
            };
        }
        let salt = &self.circumstances.salt;
        match &self.credential {
            Credential::Native(Some(verifier)) if verifier.accepts(proof, salt) => self.accept(None),
            Credential::CachingSha2(Some(verifier)) => {
                let digest = cache.get(&self.account, verifier);
                if digest.is_some_and(|digest| digest.accepts(proof, salt)) {
                    return self.accept(Some(FAST_AUTH_SUCCESS));
                }
                self.ask_for_password()
            }
            Credential::Nobody if self.plugin == AuthPlugin::CachingSha2 => self.ask_for_password(),
            _ => self.deny(DenyReason::WrongPassword),
        }
    }

    fn ask_for_password(&mut self) -> Reply {
        self.awaiting = Awaiting::Password;
        Reply::More(vec![PERFORM_FULL_AUTHENTICATION])
    }

    fn send_public_key(&mut self) -> Reply {
        let Some(keys) = &self.circumstances.keys else {
            return self.deny(DenyReason::WrongPassword);
        };
        let pem = keys.public_key_pem().as_bytes().to_vec();
        self.awaiting = Awaiting::EncryptedPassword;
        Reply::More(pem)
    }

    fn check_encrypted(&mut self, packet: &Bytes) -> Reply {
        let Some(keys) = self.circumstances.keys.clone() else {
            return self.deny(DenyReason::WrongPassword);
        };
        let salt = self.circumstances.salt;
        self.check(Shown::Encrypted { ciphertext: packet.to_vec(), keys, salt })
    }

    fn check(&mut self, shown: Shown) -> Reply {
        let verifier = match &self.credential {
            Credential::CachingSha2(verifier) => verifier.clone(),
            _ => None,
        };
        self.awaiting = Awaiting::Check;
        Reply::Check(Box::new(PasswordCheck::new(shown, &self.account, verifier)))
    }

    /// The result of [`Reply::Check`].
    pub(crate) fn checked(&mut self, checked: &CheckedPassword, cache: &AuthCache) -> Reply {
        let expected = match &self.credential {
            Credential::CachingSha2(Some(verifier)) => verifier,
            _ => return self.deny(DenyReason::WrongPassword),
        };
        let ours = self.awaiting == Awaiting::Check
            && checked.account == self.account
            && checked.verifier.as_ref() == Some(expected);
        match checked.digest {
            Some(digest) if ours => {
                cache.insert(&self.account, expected, digest);
                self.accept(None)
            }
            _ => self.deny(DenyReason::WrongPassword),
        }
    }

    fn accept(&mut self, last_word: Option<u8>) -> Reply {
        self.awaiting = Awaiting::Nothing;
        Reply::Accepted(last_word)
    }

    fn deny(&mut self, reason: DenyReason) -> Reply {
        self.awaiting = Awaiting::Nothing;
        Reply::Denied(reason)
    }
}

/// Clients without a password send nothing, or one NUL.
fn is_empty_proof(proof: &[u8]) -> bool {
    matches!(proof, [] | [0])
}
