//! Random numbers from the kernel: for ids that must never meet.

/// 128 random bits.
#[must_use]
pub fn u128() -> u128 {
    let mut bytes = [0_u8; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        let rest = &mut bytes[filled..];
        // SAFETY: the pointer and the length are those of a live, writable slice.
        let got = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        match usize::try_from(got) {
            Ok(got) => filled += got,
            // Only an interrupted call fails on kernels that have getrandom at all.
            Err(_) => continue,
        }
    }
    u128::from_le_bytes(bytes)
}

/// A version 4 UUID.
#[must_use]
pub fn uuid() -> u128 {
    const VERSION_MASK: u128 = 0xF000 << 64;
    const VARIANT_MASK: u128 = 0xC << 60;
    (u128() & !VERSION_MASK & !VARIANT_MASK) | (0x4000 << 64) | (0x8 << 60)
}
