//! How far a long statement is, for SHOW PROCESSLIST.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// What a long statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Fills an index.
    BuildingIndex,
    /// Writes rows anew.
    CopyingRows,
    /// Brings versions together.
    Optimizing,
}

/// Progress of one statement; written by whoever works for it, read by everybody.
#[derive(Debug, Default)]
pub struct Progress {
    /// 0: nothing is told; else one more than the activity.
    activity: AtomicU8,
    rows_done: AtomicU64,
    rows_in_all: AtomicU64,
}

/// Progress is told as long as this is there.
#[derive(Debug)]
pub struct Shown<'p>(&'p Progress);

impl Progress {
    /// A statement that goes through about so many rows.
    #[must_use]
    pub fn begin(&self, activity: Activity, rows_in_all: u64) -> Shown<'_> {
        self.rows_done.store(0, Ordering::Relaxed);
        self.rows_in_all.store(rows_in_all.max(1), Ordering::Relaxed);
        self.activity.store(activity as u8 + 1, Ordering::Relaxed);
        Shown(self)
    }

    /// It has gone through so many more.
    pub fn advance(&self, rows: u64) {
        self.rows_done.fetch_add(rows, Ordering::Relaxed);
    }

    /// So many are left.
    pub fn set_left(&self, rows: u64) {
        let all = self.rows_in_all.fetch_max(rows, Ordering::Relaxed).max(rows);
        self.rows_done.store(all - rows, Ordering::Relaxed);
    }

    /// As the processlist shows it.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        let doing = match self.activity.load(Ordering::Relaxed) {
            0 => return None,
            1 => "building index",
            2 => "copying rows",
            _ => "optimizing",
        };
        let done = self.rows_done.load(Ordering::Relaxed);
        let all = self.rows_in_all.load(Ordering::Relaxed).max(done);
        Some(format!("{doing}: {done} of about {all} rows"))
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.0.activity.store(0, Ordering::Relaxed);
    }
}
