//! XA: transactions that somebody else coordinates.
//!
//! A branch is *active* from START to END, then *idle*, and then committed in one phase, rolled back, or prepared. From
//! PREPARE on it belongs to the node and to no session.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use aquifer_sql::ast::{TransactionCharacteristics, XaStatement};
use aquifer_sql::virtual_tables::show::Shown;
use aquifer_types::{SqlError, SqlResult, Value, Xid};

use crate::session::Session;

const RECOVERED: &str = "formatID:i gtrid_length:i bqual_length:i data:v258";

/// The branch that a session works on.
#[derive(Debug)]
pub(crate) struct XaBranch {
    xid: Xid,
    state: XaState,
    names: Arc<XaNames>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum XaState {
    Active,
    Idle,
    /// Its transaction was rolled back because of a deadlock.
    RollbackOnly,
}

/// Branches that sessions of the server work on: no two have the same name.
#[derive(Debug, Default)]
pub(crate) struct XaNames(Mutex<HashSet<Xid>>);

impl XaNames {
    fn add(&self, xid: &Xid) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(xid.clone())
    }

    fn remove(&self, xid: &Xid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(xid);
    }
}

impl Drop for XaBranch {
    fn drop(&mut self) {
        self.names.remove(&self.xid);
    }
}

impl XaState {
    fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Idle => "IDLE",
            Self::RollbackOnly => "ROLLBACK ONLY",
        }
    }
}

fn unknown() -> SqlError {
    SqlError::new(1397, "XAER_NOTA: Unknown XID")
}

fn refused() -> SqlError {
    SqlError::new(1398, "XAER_INVAL: Invalid arguments (or unsupported command)")
}

fn wrong_state(state: XaState) -> SqlError {
    in_state(state.name())
}

fn in_state(name: &str) -> SqlError {
    let text = "XAER_RMFAIL: The command cannot be executed when global transaction is in the ";
    SqlError::new(1399, format!("{text} {name} state"))
}

impl Session {
    /// Error 1399 for what ends a transaction in another way than XA does, and for definitions.
    ///
    /// # Errors
    /// As said.
    pub(crate) fn check_outside_xa(&self) -> SqlResult<()> {
        self.state.xa.as_ref().map_or(Ok(()), |branch| Err(wrong_state(branch.state)))
    }

    /// Error 1399 for statements that read or write after END.
    ///
    /// # Errors
    /// As said.
    pub(crate) fn check_xa_active(&self) -> SqlResult<()> {
        match &self.state.xa {
            Some(branch) if branch.state != XaState::Active => Err(wrong_state(branch.state)),
            _ => Ok(()),
        }
    }

    /// The session's transaction has been rolled back because of a deadlock.
    pub(crate) fn note_xa_rollback(&mut self) {
        if let Some(branch) = &mut self.state.xa {
            branch.state = XaState::RollbackOnly;
        }
    }

    /// XA statements but RECOVER.
    ///
    /// # Errors
    /// 1397 to 1402, 1440, 1614, and those of a commit.
    pub(crate) async fn run_xa(&mut self, statement: &XaStatement) -> SqlResult<()> {
        match statement {
            XaStatement::Start(xid) => self.xa_start(xid),
            XaStatement::End(xid) => self.xa_end(xid),
            XaStatement::Prepare(xid) => self.xa_prepare(xid).await,
            XaStatement::Commit { xid, one_phase } => self.xa_commit(xid, *one_phase).await,
            XaStatement::Rollback(xid) => self.xa_rollback(xid).await,
            XaStatement::Recover { .. } | XaStatement::Refused => Err(refused()),
        }
    }

    fn xa_start(&mut self, xid: &Xid) -> SqlResult<()> {
        self.check_outside_xa()?;
        self.check_read_only()?;
        if self.state.transaction.is_some() || self.state.table_locks.is_some() {
            return Err(SqlError::new(1400, "XAER_OUTSIDE: Some work is done outside global transaction"));
        }
        let names = Arc::clone(self.host.registry.xa_names());
        if self.host.node.has_prepared(xid) || !names.add(xid) {
            return Err(SqlError::new(1440, "XAER_DUPID: The XID already exists"));
        }
        self.state.xa = Some(XaBranch { xid: xid.clone(), state: XaState::Active, names });
        self.open_transaction(TransactionCharacteristics::default(), true);
        Ok(())
    }

    /// The session's branch if that is its name.
    fn own_branch(&mut self, xid: &Xid) -> Option<&mut XaBranch> {
        self.state.xa.as_mut().filter(|branch| branch.xid == *xid)
    }

    /// As [`Session::own_branch`], for what is possible with the session's own only.
    fn need_own(&mut self, xid: &Xid) -> SqlResult<&mut XaBranch> {
        match &mut self.state.xa {
            None => Err(in_state("NON-EXISTING")),
            Some(branch) if branch.xid != *xid => Err(unknown()),
            Some(branch) => Ok(branch),
        }
    }

    fn xa_end(&mut self, xid: &Xid) -> SqlResult<()> {
        let branch = self.need_own(xid)?;
        match branch.state {
            XaState::Active => {
                branch.state = XaState::Idle;
                Ok(())
            }
            XaState::RollbackOnly => Err(SqlError::new(
                1614,
                "XA_RBDEADLOCK: Transaction branch was rolled back: deadlock was detected",
            )),
            XaState::Idle => Err(wrong_state(XaState::Idle)),
        }
    }

    fn need_idle(&mut self, xid: &Xid) -> SqlResult<()> {
        match self.need_own(xid)?.state {
            XaState::Idle => Ok(()),
            other => Err(wrong_state(other)),
        }
    }

    async fn xa_prepare(&mut self, xid: &Xid) -> SqlResult<()> {
        self.need_idle(xid)?;
        let Some(open) = self.state.transaction.take() else { return Err(unknown()) };
        let prepared = open.txn.prepare(xid.clone()).await;
        self.state.xa = None;
        match prepared {
            Ok(()) => {
                self.commit_temporary();
                Ok(())
            }
            Err(error) => {
                self.rollback_temporary();
                Err(error)
            }
        }
    }

    async fn xa_commit(&mut self, xid: &Xid, one_phase: bool) -> SqlResult<()> {
        if self.own_branch(xid).is_some() {
            self.need_idle(xid)?;
            if !one_phase {
                return Err(wrong_state(XaState::Idle));
            }
            self.state.xa = None;
            return self.commit_open().await;
        }
        self.check_outside_xa()?;
        self.check_read_only()?;
        if one_phase && self.host.node.has_prepared(xid) {
            return Err(refused());
        }
        let node = Rc::clone(&self.host.node);
        let committed = node.commit_prepared(xid).await?.ok_or_else(unknown)?;
        self.note_commit(committed.lsn);
        Ok(())
    }

    async fn xa_rollback(&mut self, xid: &Xid) -> SqlResult<()> {
        if let Some(branch) = self.own_branch(xid) {
            if branch.state == XaState::Active {
                return Err(wrong_state(XaState::Active));
            }
            self.rollback_open();
            self.state.xa = None;
            return Ok(());
        }
        self.check_outside_xa()?;
        self.check_read_only()?;
        let node = Rc::clone(&self.host.node);
        if node.rollback_prepared(xid).await? { Ok(()) } else { Err(unknown()) }
    }

    /// XA RECOVER.
    pub(crate) fn xa_recover(&self, convert: bool) -> Shown {
        let number = |number: usize| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
        let mut prepared = self.host.node.prepared();
        prepared.sort();
        let row = |xid: Xid| {
            let data = [&xid.global[..], &xid.branch[..]].concat();
            let data = if convert { hex(&data) } else { data };
            vec![
                Value::Int(i64::from(xid.format)),
                number(xid.global.len()),
                number(xid.branch.len()),
                Value::Bytes(data.into()),
            ]
        };
        Shown::new(RECOVERED, prepared.into_iter().map(row).collect())
    }
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    let digits = bytes.iter().map(|byte| format!("{byte:02X}"));
    format!("0x{}", digits.collect::<String>()).into_bytes()
}
