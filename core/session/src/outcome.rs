//! How a statement's run ends, and where its rows go.

use aquifer_sql::ResultColumn;
use aquifer_sql::result::Done;
use aquifer_types::{SqlError, Value};
use aquifer_wire::WireError;

use crate::output::Output;
use crate::rows::Protocol;

/// Why a statement did not end well.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The client is told.
    Statement(SqlError),
    /// The client cannot be told.
    Connection(WireError),
    /// Definitions have changed since the statement was planned; it has done nothing and is to be planned again. The
    /// error is for those who cannot.
    Outdated(SqlError),
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        Self::Statement(error)
    }
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        Self::Connection(error)
    }
}

/// How a statement's run ended that the client is told of.
#[derive(Debug)]
pub(crate) enum Ran {
    /// Answered.
    Done,
    /// Answered with an error, which ends a multi-statement.
    Failed,
    /// As [`Failure::Outdated`]; nothing is answered.
    Outdated(SqlError),
}

impl Ran {
    /// For statements that are not planned again.
    pub(crate) fn settled(self) -> Result<(), Failure> {
        match self {
            Self::Done | Self::Failed => Ok(()),
            Self::Outdated(error) => Err(error.into()),
        }
    }
}

/// How often a statement is planned that meets changed definitions each time.
pub(crate) const ATTEMPTS_MAX: usize = 8;

/// What a statement gave.
#[derive(Debug)]
pub(crate) enum Completion {
    /// Rows, written or collected.
    Rows,
    /// No result set.
    Done(Done),
}

/// Where rows go.
pub(crate) enum Sink<'s> {
    /// To the client.
    Client { protocol: Protocol, more: bool, output: &'s mut dyn Output },
    /// Into memory, with their columns.
    Memory { columns: &'s mut Vec<ResultColumn>, rows: &'s mut Vec<Vec<Value>> },
}

impl Sink<'_> {
    pub(crate) fn protocol(&self) -> Protocol {
        match self {
            Self::Client { protocol, .. } => *protocol,
            Self::Memory { .. } => Protocol::Text,
        }
    }
}
