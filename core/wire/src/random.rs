//! Randomness of the operating system, for salts. A simulation passes its own bytes instead.

use ring::rand::{SecureRandom, SystemRandom};

use crate::error::{WireError, WireResult};

/// `N` unpredictable bytes.
///
/// # Errors
/// `Keys` when the operating system has none to give.
pub fn os_random<const N: usize>() -> WireResult<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| WireError::Keys("no randomness from the operating system".to_owned()))?;
    Ok(bytes)
}
