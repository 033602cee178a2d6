//! Whose turn it is on a thread of the bulk lane: start-time fair queueing over the classes of jobs.
//!
//! A class's virtual time grows by the time that it used, divided by its shares; the class whose turn would
//! begin earliest goes next. A class that was idle begins at the present virtual time: it is served at once
//! and has no claim on time that it did not want.
//! Source: P. Goyal, H. Vin, H. Cheng, "Start-time Fair Queueing", 1996.

use std::time::Duration;

use super::JobClass;

/// The state of one thread.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Start of the latest turn, in virtual nanoseconds.
    now: u64,
    /// End of each class's latest turn.
    ends: [u64; JobClass::COUNT],
}

impl Turns {
    /// The classes, the one whose turn it is first.
    pub(super) fn order(&self) -> [JobClass; JobClass::COUNT] {
        let mut order = JobClass::ALL;
        order.sort_by_key(|class| self.start(*class));
        order
    }

    /// Notes that a class has run.
    pub(super) fn charge(&mut self, class: JobClass, used: Duration) {
        let used = u64::try_from(used.as_nanos()).unwrap_or(u64::MAX);
        self.now = self.start(class);
        self.ends[class.index()] = self.now.saturating_add(used / class.shares());
    }

    fn start(&self, class: JobClass) -> u64 {
        self.ends[class.index()].max(self.now)
    }
}

#[cfg(test)]
#[path = "turns_test.rs"]
mod test;
