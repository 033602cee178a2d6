//! Checking a shown password: the part of a login that costs milliseconds.
//!
//! It is a value that can be sent to another thread, so that an executor need not stop for it. Only
//! running the check makes a [`CheckedPassword`], and only that lets a client in.

use std::sync::Arc;

use crate::auth::{FastDigest, Salt, Sha2Verifier};
use crate::keys::ServerKeys;

/// Longest password, its final NUL not counted (MySQL's `MAX_PLAINTEXT_LENGTH`).
const PASSWORD_BYTES_MAX: usize = 255;

/// How the password came.
pub(crate) enum Shown {
    /// In the clear, on an encrypted or local connection, with a final NUL.
    Clear(Vec<u8>),
    /// XORed with the salt, then encrypted for the server's RSA key.
    Encrypted { ciphertext: Vec<u8>, keys: Arc<ServerKeys>, salt: Salt },
}

/// A password that was shown and is still to be compared with what is stored.
pub struct PasswordCheck {
    shown: Shown,
    account: String,
    verifier: Option<Sha2Verifier>,
}

impl std::fmt::Debug for PasswordCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordCheck").field("account", &self.account).finish_non_exhaustive()
    }
}

/// Outcome of a [`PasswordCheck`].
#[derive(Debug)]
pub struct CheckedPassword {
    pub(crate) account: String,
    pub(crate) verifier: Option<Sha2Verifier>,
    /// Only of the right password.
    pub(crate) digest: Option<FastDigest>,
}

impl CheckedPassword {
    /// Whether it was the right one.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.digest.is_some()
    }
}

impl PasswordCheck {
    /// `verifier` is `None` where there is no account: the same work is done and then denied.
    pub(crate) fn new(shown: Shown, account: &str, verifier: Option<Sha2Verifier>) -> Self {
        Self { shown, account: account.to_owned(), verifier }
    }

    /// Decrypts and compares; 2 to 10 ms of CPU time.
    #[must_use]
    pub fn run(self) -> CheckedPassword {
        let Self { shown, account, verifier } = self;
        let password = password_of(shown);
        let digest = match (&verifier, password) {
            (Some(verifier), Some(password)) => {
                verifier.accepts(&password).then(|| FastDigest::from_password(&password))
            }
            (None, Some(password)) => {
                let decoy = Sha2Verifier::with_salt(&password, &Salt::from_entropy([b'x'; Salt::BYTES]));
                std::hint::black_box(&decoy);
                None
            }
            (_, None) => None,
        };
        CheckedPassword { account, verifier, digest }
    }
}

/// The password without its NUL; `None` when it is not one.
fn password_of(shown: Shown) -> Option<Vec<u8>> {
    let mut text = match shown {
        Shown::Clear(text) => text,
        Shown::Encrypted { ciphertext, keys, salt } => {
            let mut text = keys.decrypt(&ciphertext)?;
            let mask = salt.as_bytes().iter().cycle();
            text.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
            text
        }
    };
    let has_end = text.pop() == Some(0);
    let legal = has_end && !text.is_empty() && text.len() <= PASSWORD_BYTES_MAX;
    legal.then_some(text)
}
