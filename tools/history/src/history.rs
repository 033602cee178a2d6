//! Histories as text: one transaction a line.
//!
//! ```text
//! <session> <status> <operation>…
//! ```
//!
//! The lines of one session are in the order in which it ran them. Status is `ok` (committed), `fail` (certainly
//! not), `info` (nobody knows) or `final` (a read after everything else, which must show all that was committed).
//! Operations, with keys and values that are unsigned numbers:
//!
//! | text | meaning |
//! |---|---|
//! | `a:KEY:VALUE` | appended the value to the key's list |
//! | `r:KEY:V,V,…` | read the list; nothing after the last colon: it was empty |
//! | `R:KEY:V,V,…` | the same, found by a condition and not by its key |
//! | `w:KEY:VALUE` | wrote the register |
//! | `g:KEY:VALUE` | read the register; `nil`: it was never written |
//!
//! Lines that begin with `#` are comments.

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Committed.
    Ok,
    /// Certainly not committed.
    Fail,
    /// Unknown: the answer was lost.
    Info,
    /// Committed, and began when all others had ended.
    Final,
}

/// How a read found its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// By its key.
    Item,
    /// By a condition.
    Predicate,
}

/// An operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Appended to a list.
    Append {
        /// The list.
        key: u64,
        /// What was appended.
        value: u64,
    },
    /// Read a list.
    ReadList {
        /// The list.
        key: u64,
        /// Its elements.
        values: Vec<u64>,
        /// How it was found.
        access: Access,
    },
    /// Wrote a register.
    Write {
        /// The register.
        key: u64,
        /// What was written.
        value: u64,
    },
    /// Read a register; `None`: it was never written.
    ReadRegister {
        /// The register.
        key: u64,
        /// What was read.
        value: Option<u64>,
    },
}

impl Op {
    /// Whether it changes something.
    #[must_use]
    pub fn writes(&self) -> bool {
        matches!(self, Self::Append { .. } | Self::Write { .. })
    }
}

/// A transaction; its number is its place in the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Txn {
    /// Who ran it.
    pub session: u64,
    /// What became of it.
    pub status: Status,
    /// What it did, in order.
    pub ops: Vec<Op>,
}

impl Txn {
    /// Whether it took effect for certain.
    #[must_use]
    pub fn committed(&self) -> bool {
        matches!(self.status, Status::Ok | Status::Final)
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn read_only(&self) -> bool {
        !self.ops.iter().any(Op::writes)
    }
}

/// A history that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Counted from one.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// Reads a history.
///
/// # Errors
/// The first line that is not understood.
pub fn parse(text: &str) -> Result<Vec<Txn>, ParseError> {
    let mut txns = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            txns.push(txn(line).map_err(|message| ParseError { line: number + 1, message })?);
        }
    }
    Ok(txns)
}

fn txn(line: &str) -> Result<Txn, String> {
    let mut words = line.split_whitespace();
    let session = words.next().and_then(|word| word.parse().ok()).ok_or("no session number")?;
    let status = match words.next() {
        Some("ok") => Status::Ok,
        Some("fail") => Status::Fail,
        Some("info") => Status::Info,
        Some("final") => Status::Final,
        other => return Err(format!("{other:?} is no status")),
    };
    let ops = words.map(op).collect::<Result<_, _>>()?;
    Ok(Txn { session, status, ops })
}

fn op(word: &str) -> Result<Op, String> {
    let wrong = || format!("{word:?} is no operation");
    let mut parts = word.splitn(3, ':');
    let (Some(kind), Some(key), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(wrong());
    };
    let key = key.parse().map_err(|_| wrong())?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    let list = || rest.split(',').filter(|part| !part.is_empty()).map(number).collect::<Result<Vec<_>, _>>();
    Ok(match kind {
        "a" => Op::Append { key, value: number(rest)? },
        "r" => Op::ReadList { key, values: list()?, access: Access::Item },
        "R" => Op::ReadList { key, values: list()?, access: Access::Predicate },
        "w" => Op::Write { key, value: number(rest)? },
        "g" if rest == "nil" => Op::ReadRegister { key, value: None },
        "g" => Op::ReadRegister { key, value: Some(number(rest)?) },
        _ => return Err(wrong()),
    })
}
