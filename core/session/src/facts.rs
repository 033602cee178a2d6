//! The session as expressions and virtual tables see it.

use std::sync::Arc;

use aquifer_catalog::{AccountId, Rights, Table};
use aquifer_sql::ast::VariableScope;
use aquifer_sql::virtual_tables::locks::LockReport;
use aquifer_sql::virtual_tables::{ProcessRow, ServerFacts, TableSize};
use aquifer_sql::{Sample, SystemVariables};
use aquifer_types::{DataType, IndexId, SqlError, SqlResult, Value};

use crate::access;
use crate::host::SessionHost;
use crate::registry::{ConnectionEntry, EntryView};
use crate::roles::named_roles;
use crate::state::SessionState;
use crate::status;
use crate::variables::{Scope, VARIABLES, VariableId, VariableValue, ids};

/// A look at a session while a statement runs.
pub(crate) struct FactsView<'a> {
    pub(crate) host: &'a SessionHost,
    pub(crate) entry: &'a ConnectionEntry,
    pub(crate) state: &'a SessionState,
}

impl FactsView<'_> {
    fn has_global(&self, name: &str) -> bool {
        let identity = self.state.identity.as_ref();
        identity.is_some_and(|identity| identity.rights.global.contains(access::privilege(name)))
    }

    /// The session's value of a variable; some are not stored with the others.
    fn session_value(&self, id: VariableId) -> VariableValue {
        let facts = &self.state.facts;
        match id {
            ids::LAST_INSERT_ID | ids::IDENTITY => VariableValue::UInt(facts.last_insert_id.get()),
            ids::INSERT_ID => VariableValue::UInt(facts.insert_id.get()),
            ids::WARNING_COUNT => VariableValue::UInt(self.state.warnings.total()),
            ids::ERROR_COUNT => {
                let errors = self.state.warnings.entries().iter();
                let count = errors.filter(|entry| entry.level == aquifer_types::WarningLevel::Error).count();
                VariableValue::UInt(u64::try_from(count).unwrap_or(0))
            }
            ids::TIMESTAMP if self.state.variables.effective().timestamp_micros.is_none() => {
                VariableValue::Double(seconds(self.host.node.now_micros()))
            }
            _ => self.state.variables.get(id).clone(),
        }
    }

    /// The node's value of a variable; read-only nodes are so whatever was set.
    fn global_value(&self, id: VariableId) -> VariableValue {
        match id {
            ids::READ_ONLY | ids::SUPER_READ_ONLY if self.host.node.is_reader() => VariableValue::Int(1),
            ids::GTID_EXECUTED => {
                let globals = self.host.registry.globals();
                let lsn = self.host.node.visible_lsn();
                let uuid = globals.get(ids::SERVER_UUID).as_str();
                VariableValue::text(&format!("{uuid}:1-{lsn}"))
            }
            _ => self.host.registry.globals().get(id).clone(),
        }
    }
}

/// Microseconds as seconds with a fraction. A double holds them exactly until the year 2255.
fn seconds(micros: i64) -> f64 {
    let whole = micros.div_euclid(1_000_000);
    let fraction = u32::try_from(micros.rem_euclid(1_000_000)).unwrap_or(0);
    let whole = i32::try_from(whole).map_or(f64::from(i32::MAX), f64::from);
    whole + f64::from(fraction) / 1e6
}

impl SystemVariables for FactsView<'_> {
    fn get(&self, scope: VariableScope, name: &str) -> SqlResult<(Value, DataType)> {
        let unknown = || SqlError::new(1193, format!("Unknown system variable '{name}'"));
        let id = VariableId::named(name).ok_or_else(unknown)?;
        let definition = id.definition();
        let wrong =
            |kind| SqlError::new(1238, format!("Variable '{}' is a {kind} variable", definition.name));
        let value = match (scope, definition.scope) {
            (VariableScope::Default, Scope::Global) => self.global_value(id),
            (VariableScope::Default | VariableScope::Session, Scope::Session | Scope::Both) => {
                self.session_value(id)
            }
            (VariableScope::Session, Scope::Global) => return Err(wrong("GLOBAL")),
            (_, Scope::Session) => return Err(wrong("SESSION")),
            (_, Scope::Global | Scope::Both) => self.global_value(id),
        };
        Ok(value.to_sql(definition))
    }
}

impl ServerFacts for FactsView<'_> {
    fn global_variables(&self) -> Vec<(String, String)> {
        let shown = VariableId::all().filter(|id| id.definition().scope != Scope::Session);
        shown.map(|id| pair(id, &self.global_value(id))).collect()
    }

    fn session_variables(&self) -> Vec<(String, String)> {
        let value = |id: VariableId| match id.definition().scope {
            Scope::Global => self.global_value(id),
            _ => self.session_value(id),
        };
        VariableId::all().map(|id| pair(id, &value(id))).collect()
    }

    fn global_status(&self) -> Vec<(String, String)> {
        status::all(self.host)
    }

    fn session_status(&self) -> Vec<(String, String)> {
        status::all(self.host)
    }

    fn persisted_variables(&self) -> Vec<(String, String)> {
        let catalog = self.host.node.catalog();
        catalog.variables().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn processes(&self) -> Vec<ProcessRow> {
        let now = self.host.registry.now_ms();
        let all = self.has_global("PROCESS");
        let own = self.entry.view(now).user;
        let views = self.host.registry.connections().into_iter().map(|entry| entry.view(now));
        views.filter(|view| all || view.user == own).map(process_row).collect()
    }

    fn lock_report(&self) -> Option<&LockReport> {
        self.state.lock_report.as_ref()
    }

    fn connection_attributes(&self) -> Vec<(u64, String, String)> {
        let own = self.entry.id();
        let all = self.has_global("PROCESS");
        self.host.registry.attributes().into_iter().filter(|(id, _, _)| all || *id == own).collect()
    }

    fn may_see_database(&self, name: &str) -> bool {
        let identity = self.state.identity.as_ref();
        identity.is_none_or(|identity| access::may_see_database(&identity.rights, name))
    }

    fn rights(&self) -> Option<&Rights> {
        self.state.identity.as_ref().map(|identity| &identity.rights)
    }

    fn active_roles(&self) -> &[AccountId] {
        self.state.identity.as_ref().map_or(&[], |identity| &identity.active)
    }

    fn mandatory_roles(&self) -> Vec<AccountId> {
        named_roles(self.host.registry.globals().get(ids::MANDATORY_ROLES).as_str())
    }

    fn may_see_accounts(&self) -> bool {
        let reads = |rights: &Rights| rights.on_database("mysql").contains(access::privilege("SELECT"));
        self.has_global("CREATE USER") || self.rights().is_some_and(reads)
    }

    fn current_account(&self) -> (String, String) {
        match &self.state.identity {
            Some(identity) => (identity.account.user.clone(), identity.account.host.clone()),
            None => (String::new(), String::new()),
        }
    }

    fn table_size(&self, table: &Table) -> TableSize {
        self.host.node.table_size(table)
    }

    fn sample(&self, index: IndexId) -> Option<Arc<Sample>> {
        self.host.node.statistics().sample(index)
    }

    fn auto_increment(&self, table: &Table) -> Option<u64> {
        self.host.node.auto_increment(table)
    }
}

fn pair(id: VariableId, value: &VariableValue) -> (String, String) {
    let definition = &VARIABLES[id.index()];
    (definition.name.to_owned(), value.show(definition))
}

fn process_row(view: EntryView) -> ProcessRow {
    ProcessRow {
        id: view.id,
        user: view.user,
        host: view.host,
        db: view.db,
        command: view.command.name().to_owned(),
        time_s: i64::try_from(view.time_ms / 1000).unwrap_or(i64::MAX),
        state: Some(view.state.into_owned()),
        info: view.info,
    }
}
