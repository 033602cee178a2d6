//! `caching_sha2_password`: what is stored, and the proof of its fast path.
//!
//! Stored is a slow hash of the password (`$A$005$`, salt, digest). Who has once shown the password
//! itself is remembered by a fast digest, SHA256(SHA256(password)), against which later logins prove
//! themselves without showing it.

use sha2::{Digest, Sha256};

use crate::auth::sha256_crypt::{DIGEST_TEXT_BYTES, digest_text};
use crate::auth::{Salt, constant_time_eq};
use crate::error::WireResult;

/// Length of a fast proof.
pub(crate) const PROOF_BYTES: usize = 32;
/// `$A$` and the rounds in thousands, hexadecimal.
const PREFIX: &[u8] = b"$A$";
const ROUNDS_DIGITS: usize = 3;
/// Rounds of a new verifier, as MySQL's default `caching_sha2_password_digest_rounds`.
const ROUNDS_DEFAULT: u32 = 5000;
const ROUNDS_UNIT: u32 = 1000;
/// More would stop a core for minutes; MySQL's upper bound is 4,095,000.
const ROUNDS_THOUSANDS_MAX: u32 = 0xfff;

/// What is stored for an account.
#[derive(Clone, PartialEq, Eq)]
pub struct Sha2Verifier {
    rounds: u32,
    salt: [u8; Salt::BYTES],
    digest: [u8; DIGEST_TEXT_BYTES],
}

impl std::fmt::Debug for Sha2Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sha2Verifier").field("rounds", &self.rounds).finish_non_exhaustive()
    }
}

impl Sha2Verifier {
    /// For a new password, which must not be empty (an empty one stores nothing), with a random salt.
    /// Takes milliseconds of CPU time.
    ///
    /// # Errors
    /// `Keys` when the operating system has no randomness.
    pub fn from_password(password: &[u8]) -> WireResult<Self> {
        Ok(Self::with_salt(password, &Salt::random()?))
    }

    /// As [`Sha2Verifier::from_password`] with a salt given.
    #[must_use]
    pub fn with_salt(password: &[u8], salt: &Salt) -> Self {
        let salt = *salt.as_bytes();
        let digest = digest_text(password, &salt, ROUNDS_DEFAULT);
        Self { rounds: ROUNDS_DEFAULT, salt, digest }
    }

    /// From `$A$005$`, 20 bytes of salt and 43 characters of digest.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (rounds, rest) = text.strip_prefix(PREFIX)?.split_at_checked(ROUNDS_DIGITS)?;
        let rounds = u32::from_str_radix(std::str::from_utf8(rounds).ok()?, 16).ok()?;
        if rounds == 0 || rounds > ROUNDS_THOUSANDS_MAX {
            return None;
        }
        let (salt, digest) = rest.strip_prefix(b"$")?.split_at_checked(Salt::BYTES)?;
        Some(Self {
            rounds: rounds * ROUNDS_UNIT,
            salt: salt.try_into().ok()?,
            digest: digest.try_into().ok()?,
        })
    }

    /// As `authentication_string` has it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("$A${:03X}$", self.rounds / ROUNDS_UNIT).into_bytes();
        text.extend_from_slice(&self.salt);
        text.extend_from_slice(&self.digest);
        text
    }

    /// Whether this is the password. Takes milliseconds of CPU time.
    #[must_use]
    pub fn accepts(&self, password: &[u8]) -> bool {
        constant_time_eq(&digest_text(password, &self.salt, self.rounds), &self.digest)
    }
}

/// SHA256(SHA256(password)): what the fast path proves itself against. As secret as a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FastDigest([u8; PROOF_BYTES]);

impl std::fmt::Debug for FastDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FastDigest(..)")
    }
}

impl FastDigest {
    /// Of a password that was verified.
    #[must_use]
    pub fn from_password(password: &[u8]) -> Self {
        Self(Sha256::digest(Sha256::digest(password)).into())
    }

    /// Whether `proof` is SHA256(password) XOR SHA256(SHA256(SHA256(password)), salt).
    #[must_use]
    pub fn accepts(&self, proof: &[u8], salt: &Salt) -> bool {
        if proof.len() != PROOF_BYTES {
            return false;
        }
        let mask = Sha256::new().chain_update(self.0).chain_update(salt.as_bytes()).finalize();
        let stage1: Vec<u8> = proof.iter().zip(mask).map(|(a, b)| a ^ b).collect();
        constant_time_eq(&Sha256::digest(stage1), &self.0)
    }
}
