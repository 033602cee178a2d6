//! A session's values.

use std::sync::Arc;

use super::{Effective, GlobalVariables, Isolation, VariableId, VariableValue};

/// What SET TRANSACTION without a scope word gives the next transaction.
#[derive(Clone, Copy, Debug, Default)]
pub struct TransactionDefaults {
    /// ISOLATION LEVEL.
    pub isolation: Option<Isolation>,
    /// READ ONLY (true) or READ WRITE.
    pub read_only: Option<bool>,
}

/// The session values of all variables.
#[derive(Debug)]
pub struct SessionVariables {
    base: Arc<GlobalVariables>,
    changed: Vec<(VariableId, VariableValue)>,
    effective: Effective,
    /// For the next transaction only.
    pub next_transaction: TransactionDefaults,
}

impl SessionVariables {
    /// The values that a new session begins with.
    #[must_use]
    pub fn new(base: Arc<GlobalVariables>) -> Self {
        let mut variables = Self {
            base,
            changed: Vec::new(),
            effective: Effective::default(),
            next_transaction: TransactionDefaults::default(),
        };
        variables.effective = Effective::of(&variables);
        variables
    }

    /// The session's value.
    #[must_use]
    pub fn get(&self, id: VariableId) -> &VariableValue {
        match self.changed.binary_search_by_key(&id, |(changed, _)| *changed) {
            Ok(at) => &self.changed[at].1,
            Err(_) => self.base.get(id),
        }
    }

    /// Replaces values that have been checked; all take effect together.
    pub fn set_all(&mut self, values: impl IntoIterator<Item = (VariableId, VariableValue)>) {
        for (id, value) in values {
            match self.changed.binary_search_by_key(&id, |(changed, _)| *changed) {
                Ok(at) => self.changed[at].1 = value,
                Err(at) => self.changed.insert(at, (id, value)),
            }
        }
        self.effective = Effective::of(self);
    }

    /// Replaces one value that has been checked.
    pub fn set(&mut self, id: VariableId, value: VariableValue) {
        self.set_all([(id, value)]);
    }

    /// The decoded values that statements use.
    #[must_use]
    pub fn effective(&self) -> &Effective {
        &self.effective
    }
}
