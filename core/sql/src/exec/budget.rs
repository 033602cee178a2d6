//! How much work a statement does where its session lives.
//!
//! A statement begins on the session's executor, which other clients share. There it may touch
//! [`MOVE_ROWS`] rows; a statement that turns out to be longer stops with the budget spent, and the session
//! runs it again on the bulk lane, where nobody waits for it. A statement that cannot be run again stays and
//! gives way to others every [`PAUSE_ROWS`] rows.

use aquifer_types::{Maybe, SqlError, SqlResult};

use crate::exec::ExecContext;

/// Rows between two looks at whether others wait, or whether the statement was killed.
const PAUSE_ROWS: u64 = 512;

/// Rows that a statement touches, at most, before it moves; one to two milliseconds of work.
pub const MOVE_ROWS: u64 = 4096;

/// Rows that one execution has touched, and what follows from it.
#[derive(Clone, Debug)]
pub struct Budget {
    touched: u64,
    /// The count at which something has to be done.
    mark: u64,
    /// The most; `None` when the execution stays where it is.
    most: Option<u64>,
    spent: bool,
}

impl Budget {
    /// Of an execution that stays where it is.
    #[must_use]
    pub fn endless() -> Self {
        Self { touched: 0, mark: PAUSE_ROWS, most: None, spent: false }
    }

    /// Of an execution that can be done anew elsewhere.
    #[must_use]
    pub fn of_executor() -> Self {
        Self { most: Some(MOVE_ROWS), ..Self::endless() }
    }

    /// Whether the execution stopped because it is long. Its error is no answer for the client.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.spent
    }

    /// Ends the execution if it can be done anew elsewhere.
    pub(crate) fn leave(&mut self) -> SqlResult<()> {
        if self.most.is_none() {
            return Ok(());
        }
        self.spent = true;
        Err(too_long())
    }

    /// Counts rows; whether [`ExecContext::pause`] has to be called.
    pub(crate) fn touch(&mut self, rows: usize) -> bool {
        self.touched += rows as u64;
        self.touched >= self.mark
    }
}

fn too_long() -> SqlError {
    SqlError::new(1105, "the statement is too long for an executor")
}

impl ExecContext<'_> {
    /// After each row of a statement that may write many.
    pub(crate) fn make_room(&self) -> Maybe<'_, SqlResult<()>> {
        self.txn.make_room(self.statement)
    }

    /// Lets others run, or ends the execution when its budget is spent or it was killed.
    pub(crate) async fn pause(&mut self) -> SqlResult<()> {
        let budget = &mut self.budget;
        budget.mark = budget.touched + PAUSE_ROWS;
        if budget.most.is_some_and(|most| budget.touched >= most) {
            budget.leave()?;
        }
        self.txn.check_interrupted()?;
        self.txn.give_way().await;
        Ok(())
    }
}
