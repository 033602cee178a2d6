//! Committed groups that are not in the chain yet: the newest in memory, the rest in the commit log only.
//!
//! While the store is away the backlog may be larger than memory. A group that finds the queue's share of
//! memory used up is queued as a place in the log and read again when its turn comes.

use std::collections::VecDeque;

use aquifer_commitlog::{Committed, LogIndex};
use aquifer_format::GroupView;
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_types::Lsn;
use bytes::Bytes;

/// Read from the log at a time.
const READ_BYTES: usize = 4 << 20;

/// Reads entries of the commit log again, from one on, about so many bytes.
pub type ReadLog = Box<dyn Fn(LogIndex, usize) -> NodeResult<Vec<Committed>> + Send>;

/// A group that waits to be published.
#[derive(Clone, Debug)]
pub enum Pending {
    /// In memory.
    Held(GroupView),
    /// In the commit log.
    Logged(Logged),
}

/// Where a group is in the commit log.
#[derive(Clone, Copy, Debug)]
pub struct Logged {
    index: LogIndex,
    first_lsn: Lsn,
    last_lsn: Lsn,
    bytes: usize,
}

impl Pending {
    /// The group at `index` without its bytes.
    #[must_use]
    pub fn logged(group: &GroupView, index: LogIndex) -> Self {
        let (first_lsn, last_lsn) = (group.first_lsn(), group.last_lsn());
        Self::Logged(Logged { index, first_lsn, last_lsn, bytes: group.bytes().len() })
    }

    /// Length of the group.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Held(group) => group.bytes().len(),
            Self::Logged(logged) => logged.bytes,
        }
    }

    /// Transactions in it.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        match self {
            Self::Held(group) => u64::from(group.len()),
            Self::Logged(logged) => logged.last_lsn.0 + 1 - logged.first_lsn.0,
        }
    }
}

/// Turns pending groups into groups, in order.
pub struct Loader<'a> {
    read_log: &'a ReadLog,
    ahead: VecDeque<(LogIndex, Bytes)>,
}

impl<'a> Loader<'a> {
    /// A loader that has read nothing yet.
    #[must_use]
    pub fn new(read_log: &'a ReadLog) -> Self {
        Self { read_log, ahead: VecDeque::new() }
    }

    /// The group itself.
    ///
    /// # Errors
    /// `Unavailable` when the log cannot be read, `Corrupt` when it holds something else there.
    pub fn load(&mut self, pending: Pending) -> NodeResult<GroupView> {
        let logged = match pending {
            Pending::Held(group) => return Ok(group),
            Pending::Logged(logged) => logged,
        };
        while self.ahead.front().is_some_and(|(index, _)| *index < logged.index) {
            self.ahead.pop_front();
        }
        if self.ahead.front().is_none_or(|(index, _)| *index != logged.index) {
            let entries = (self.read_log)(logged.index, READ_BYTES)?;
            self.ahead = entries.into_iter().map(|entry| (entry.index, entry.data)).collect();
        }
        let entry = self.ahead.pop_front().filter(|(index, _)| *index == logged.index);
        let missing = || NodeError::corrupt(format!("entry {} of the commit log is missing", logged.index.0));
        let group = GroupView::parse(entry.ok_or_else(missing)?.1)?;
        if (group.first_lsn(), group.last_lsn()) != (logged.first_lsn, logged.last_lsn) {
            return Err(missing());
        }
        Ok(group)
    }
}
