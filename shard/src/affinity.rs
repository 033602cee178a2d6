//! On which cores, and how urgently, a thread runs.
//!
//! Unsafe lives here: a few system calls.

use std::io;
use std::sync::OnceLock;
use std::time::Duration;

/// The cores that this process may use, ascending.
#[must_use]
pub fn usable_cores() -> Vec<usize> {
    // SAFETY: an all-zero set is a valid one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let bytes = size_of::<libc::cpu_set_t>();
    // SAFETY: the set is ours and as long as we say; 0 means the calling thread.
    if unsafe { libc::sched_getaffinity(0, bytes, &raw mut set) } != 0 {
        return Vec::new();
    }
    let cores = 0..bytes * 8;
    // SAFETY: the number is below the set's size.
    cores.filter(|core| unsafe { libc::CPU_ISSET(*core, &set) }).collect()
}

/// Keeps the calling thread on one core.
///
/// # Errors
/// The operating system's.
pub fn pin_to(core: usize) -> io::Result<()> {
    // SAFETY: an all-zero set is a valid one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let bytes = size_of::<libc::cpu_set_t>();
    if core >= bytes * 8 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the number is below the set's size.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the set is ours and as long as we say; 0 means the calling thread.
    match unsafe { libc::sched_setaffinity(0, bytes, &raw const set) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// CPU time that the calling thread has used.
#[must_use]
pub fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the struct is writable for the time of the call. Where the clock is missing it stays zero.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    let part = |number: libc::c_long| u64::try_from(number).unwrap_or(0);
    Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec))
}

/// How urgent a thread is beside the other threads of its node (ADR 0059).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Every commit waits for it, and it needs little: the log thread.
    Log,
    /// It does the work of many connections: an executor, and what executors wait for.
    Executor,
    /// It may wait: the bulk lane.
    Background,
}

impl Urgency {
    /// Without the privilege to be more urgent than other processes, background is less.
    fn niceness(self, privileged: bool) -> i32 {
        match (self, privileged) {
            (Self::Log, true) => -15,
            (Self::Executor, true) => -10,
            (Self::Background, false) => 10,
            _ => 0,
        }
    }
}

/// Makes the calling thread as urgent as it should be. Where the system refuses it runs like any other.
pub fn set_urgency(urgency: Urgency) {
    static PRIVILEGED: OnceLock<bool> = OnceLock::new();
    let privileged = *PRIVILEGED.get_or_init(|| set_niceness(Urgency::Log.niceness(true)));
    set_niceness(urgency.niceness(privileged));
}

/// Of the calling thread: 0 is normal, 19 the least urgent; below 0 needs a privilege. Whether the system agreed.
fn set_niceness(niceness: i32) -> bool {
    // SAFETY: no pointers. On Linux, 0 means the calling thread, not the process.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, niceness) == 0 }
}
