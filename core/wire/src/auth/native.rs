//! `mysql_native_password`: the server stores SHA1(SHA1(password)); the client proves that it knows
//! SHA1(password).

use sha1::{Digest, Sha1};

use crate::auth::{Salt, constant_time_eq};

/// Length of a proof.
pub(crate) const PROOF_BYTES: usize = 20;

/// What is stored for an account: SHA1(SHA1(password)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NativeVerifier([u8; PROOF_BYTES]);

impl NativeVerifier {
    /// For a new password, which must not be empty (an empty one stores nothing).
    #[must_use]
    pub fn from_password(password: &[u8]) -> Self {
        Self(Sha1::digest(Sha1::digest(password)).into())
    }

    /// From `*` and 40 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let digits = text.strip_prefix(b"*")?;
        if digits.len() != 2 * PROOF_BYTES {
            return None;
        }
        let mut verifier = [0; PROOF_BYTES];
        for (byte, pair) in verifier.iter_mut().zip(digits.chunks(2)) {
            *byte = hex(pair[0])? << 4 | hex(pair[1])?;
        }
        Some(Self(verifier))
    }

    /// As `authentication_string` has it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let digits = self.0.iter().map(|byte| format!("{byte:02X}"));
        std::iter::once("*".to_owned()).chain(digits).collect()
    }

    /// Whether `proof` is SHA1(password) XOR SHA1(salt, SHA1(SHA1(password))).
    #[must_use]
    pub fn accepts(&self, proof: &[u8], salt: &Salt) -> bool {
        let mask = Sha1::new().chain_update(salt.as_bytes()).chain_update(self.0).finalize();
        if proof.len() != mask.len() {
            return false;
        }
        let stage1: Vec<u8> = proof.iter().zip(mask).map(|(a, b)| a ^ b).collect();
        constant_time_eq(&Sha1::digest(stage1), &self.0)
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
