//! What temporary tables may keep in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Memory is taken from the node's in steps of so many bytes, so that its counter is seldom touched.
const STEP_BYTES: usize = 256 << 10;

/// Most bytes of one session, rows and what their undoing needs.
pub const SESSION_BYTES_MAX: usize = 256 << 20;

/// What all temporary tables of a node may keep.
#[derive(Debug)]
pub struct TemporaryMemory {
    used: AtomicUsize,
    max: AtomicUsize,
}

impl TemporaryMemory {
    /// At most `max` bytes.
    #[must_use]
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), max: AtomicUsize::new(max) })
    }

    /// Another limit from now on (`temptable_max_ram`); what is kept beyond it stays.
    pub fn limit(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// Bytes taken.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        let max = self.max.load(Ordering::Relaxed);
        let next = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= max);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

/// What one session has of it.
#[derive(Debug)]
pub(super) struct Share {
    memory: Arc<TemporaryMemory>,
    taken: usize,
    used: usize,
}

impl Share {
    pub fn new(memory: Arc<TemporaryMemory>) -> Self {
        Self { memory, taken: 0, used: 0 }
    }

    /// Whether there is room for `bytes` more; then they are taken.
    pub fn take(&mut self, bytes: usize) -> bool {
        let needed = self.used.saturating_add(bytes);
        if needed > SESSION_BYTES_MAX {
            return false;
        }
        if needed > self.taken {
            let step = (needed - self.taken).next_multiple_of(STEP_BYTES);
            if !self.memory.take(step) {
                return false;
            }
            self.taken += step;
        }
        self.used = needed;
        true
    }

    pub fn give_back(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
        let needed = self.used.next_multiple_of(STEP_BYTES);
        if needed < self.taken {
            self.memory.used.fetch_sub(self.taken - needed, Ordering::Relaxed);
            self.taken = needed;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.taken, Ordering::Relaxed);
    }
}
