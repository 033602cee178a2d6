//! Proving who a client is: the two password plugins, what is stored for them, and the exchange.
//!
//! The exchange itself is [`crate::Handshake`]; here are its parts, which know no packets.

mod cache;
mod caching_sha2;
mod credential;
mod exchange;
mod native;
mod password;
mod sha256_crypt;

pub use cache::AuthCache;
pub use caching_sha2::{FastDigest, Sha2Verifier};
pub use credential::{AuthPlugin, Credential};
pub(crate) use exchange::{Circumstances, Exchange, Occasion, Reply};
pub use native::NativeVerifier;
pub use password::{CheckedPassword, PasswordCheck};

use crate::error::{WireError, WireResult};
use crate::random::os_random;

/// The 20 bytes that a connection's proofs are bound to. None is NUL or `$`, as clients expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salt([u8; Salt::BYTES]);

impl Salt {
    /// Length of a salt.
    pub const BYTES: usize = 20;

    /// Makes legal bytes of random ones.
    #[must_use]
    pub fn from_entropy(entropy: [u8; Self::BYTES]) -> Self {
        Self(entropy.map(|byte| match byte & 0x7f {
            0 => 1,
            b'$' => b'%',
            legal => legal,
        }))
    }

    /// A salt from the operating system's randomness.
    ///
    /// # Errors
    /// `Keys` when there is none.
    pub fn random() -> WireResult<Self> {
        os_random().map(Self::from_entropy)
    }

    /// From bytes that are legal already.
    ///
    /// # Errors
    /// `Malformed` for NUL, `$` and bytes above 127.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> WireResult<Self> {
        if Self::from_entropy(bytes).0 == bytes {
            Ok(Self(bytes))
        } else {
            Err(WireError::Malformed("salt with illegal bytes"))
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

/// Compares without telling by its time where two secrets differ.
fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (x, y)| std::hint::black_box(all | (x ^ y))) == 0
}
