//! Asking the processor for memory that will be read soon.
//!
//! This module exists for its unsafe code.

/// Bytes that a processor fetches at once.
const LINE_BYTES: usize = 64;

/// Has the processor fetch `bytes` from `at` on, and does not wait for them. Only a hint: any address will do.
#[inline]
pub(super) fn prefetch(at: *const u8, bytes: usize) {
    for offset in (0..bytes).step_by(LINE_BYTES) {
        let line = at.wrapping_add(offset);
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch reads nothing that the program could see, and does not fault.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(line.cast());
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        unsafe {
            std::arch::asm!("prfm pldl1keep, [{line}]", line = in(reg) line, options(nostack, preserves_flags, readonly));
        }
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let _ = line;
    }
}
