//! Warnings that a statement leaves for SHOW WARNINGS.

use crate::SqlError;

/// How serious a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarningLevel {
    /// Something worth knowing.
    Note,
    /// The statement went on with another value than it was given.
    Warning,
    /// What made the statement fail.
    Error,
}

impl WarningLevel {
    /// As SHOW WARNINGS prints it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "Note",
            Self::Warning => "Warning",
            Self::Error => "Error",
        }
    }
}

/// One row of SHOW WARNINGS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// How serious.
    pub level: WarningLevel,
    /// The MySQL number.
    pub code: u16,
    /// The text.
    pub message: String,
}

/// The diagnostics of one statement: keeps the first [`Warnings::capacity`] and counts all.
#[derive(Clone, Debug)]
pub struct Warnings {
    entries: Vec<Warning>,
    capacity: usize,
    total: u64,
}

impl Default for Warnings {
    fn default() -> Self {
        Self::with_capacity(Self::DEFAULT_MAX)
    }
}

impl Warnings {
    /// MySQL's default `max_error_count`.
    pub const DEFAULT_MAX: usize = 1024;

    /// A collector that keeps at most `capacity` entries. Allocates nothing before the first.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { entries: Vec::new(), capacity, total: 0 }
    }

    /// Most entries that are kept.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Adds a diagnostic.
    pub fn push(&mut self, level: WarningLevel, code: u16, message: impl Into<String>) {
        self.total += 1;
        if self.entries.len() < self.capacity {
            self.entries.push(Warning { level, code, message: message.into() });
        }
    }

    /// Adds a warning.
    pub fn warn(&mut self, code: u16, message: impl Into<String>) {
        self.push(WarningLevel::Warning, code, message);
    }

    /// Adds a note.
    pub fn note(&mut self, code: u16, message: impl Into<String>) {
        self.push(WarningLevel::Note, code, message);
    }

    /// Adds an error as the warning that it becomes in a non-strict mode.
    pub fn demote(&mut self, error: &SqlError) {
        self.warn(error.code(), error.message());
    }

    /// Adds what another collector has.
    pub fn append(&mut self, other: &Self) {
        let room = self.capacity.saturating_sub(self.entries.len());
        self.entries.extend(other.entries.iter().take(room).cloned());
        self.total += other.total;
    }

    /// Takes the diagnostics out, to [`Warnings::append`] them when those have come that belong before them.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let capacity = self.capacity;
        std::mem::replace(self, Self::with_capacity(capacity))
    }

    /// The kept entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Warning] {
        &self.entries
    }

    /// How many there were, kept or not.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.total = 0;
    }
}
