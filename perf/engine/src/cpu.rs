//! CPU time, which a busy machine inflates far less than elapsed time.

/// Whose time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// This thread's.
    Thread,
    /// That of all threads of the process, ended ones included.
    Process,
}

/// User and system time so far, in microseconds.
#[must_use]
pub fn micros(whose: Whose) -> f64 {
    let who = match whose {
        Whose::Thread => libc::RUSAGE_THREAD,
        Whose::Process => libc::RUSAGE_SELF,
    };
    // SAFETY: an all-zero rusage is a valid value of that plain C struct.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the struct is writable for the time of the call.
    if unsafe { libc::getrusage(who, &raw mut usage) } != 0 {
        return f64::NAN;
    }
    micros_of(usage.ru_utime) + micros_of(usage.ru_stime)
}

#[allow(clippy::cast_precision_loss)]
fn micros_of(time: libc::timeval) -> f64 {
    time.tv_sec as f64 * 1e6 + time.tv_usec as f64
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
