//! CPU time, which a busy machine inflates far less than elapsed time.

/// Whose time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// This thread's.
    Thread,
    /// That of all threads of the process, ended ones included.
    Process,
}

/// User and system time so far, in microseconds. Not from getrusage, which counts a running thread up to the last tick
/// of the kernel: 4 ms, as much as ten thousand reads from memory take.
#[must_use]
pub fn micros(whose: Whose) -> f64 {
    let clock = match whose {
        Whose::Thread => libc::CLOCK_THREAD_CPUTIME_ID,
        Whose::Process => libc::CLOCK_PROCESS_CPUTIME_ID,
    };
    // SAFETY: an all-zero timespec is a valid value of that plain C struct.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: the struct is writable for the time of the call.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return f64::NAN;
    }
    micros_of(time)
}

#[allow(clippy::cast_precision_loss)]
fn micros_of(time: libc::timespec) -> f64 {
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// Microseconds of CPU for each of `count` operations that `work` does.
pub fn per_operation(whose: Whose, count: u64, work: impl FnOnce()) -> f64 {
    let before = micros(whose);
    work();
    ratio(micros(whose) - before, count)
}

/// `sum` divided by a count.
#[allow(clippy::cast_precision_loss)]
#[must_use]
pub fn ratio(sum: f64, count: u64) -> f64 {
    sum / count.max(1) as f64
}

/// A count as a number with a fraction.
#[allow(clippy::cast_precision_loss)]
#[must_use]
pub fn float(count: u64) -> f64 {
    count as f64
}
