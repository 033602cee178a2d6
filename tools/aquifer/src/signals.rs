//! Ctrl-C and SIGTERM as messages.

use std::io;
use std::sync::mpsc::Sender;

use crate::End;

/// Blocks the signals in this thread and all that it will start, and sends [`End::Signal`] for each one.
///
/// # Errors
/// When the operating system refuses.
pub fn forward(ends: Sender<End>) -> io::Result<()> {
    // SAFETY: an all-zero sigset_t is a valid value; the next call initialises it anyway.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is writable.
    unsafe { libc::sigemptyset(&raw mut set) };
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the set is initialised.
        unsafe { libc::sigaddset(&raw mut set, signal) };
    }
    // SAFETY: the set is initialised; the old mask is not asked for.
    let failed = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
    if failed != 0 {
        return Err(io::Error::from_raw_os_error(failed));
    }
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        loop {
            let mut signal = 0;
            // SAFETY: both pointers are valid for the time of the call.
            let failed = unsafe { libc::sigwait(&raw const set, &raw mut signal) };
            if failed != 0 || ends.send(End::Signal).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}
