//! Contents of `information_schema`, `performance_schema`, `mysql` and of SHOW.
//!
//! A table is described by a line of text ([`definition`]) and a function that computes its rows from the
//! catalog and from [`ServerFacts`], which the session provides. Nothing here is cached except the
//! descriptions. SHOW forms ([`show`]) give rows in the same shape, so that LIKE and WHERE work on both alike.
//!
//! What this module does not know: which session asks (see [`ServerFacts`]), SQL text, storage.

pub mod charset;
mod columns;
mod constraints;
pub mod create_table;
pub mod definition;
mod empty;
mod keys;
pub mod locks;
mod performance;
mod privileges;
mod roles;
mod schemas;
mod server;
pub mod show;
mod source;
mod table_privileges;
pub mod type_text;
pub mod views;

use std::sync::{Arc, OnceLock};

use aquifer_catalog::{AccountId, Catalog, Rights, Table};
use aquifer_types::{IndexId, SqlResult, Value};

use crate::statistics::Sample;
use crate::virtual_table::{VirtualTable, VirtualTables};
use definition::TableDef;
pub use source::Source;

/// A row of the processlist.
#[derive(Clone, Debug)]
pub struct ProcessRow {
    /// Connection id.
    pub id: u64,
    /// User.
    pub user: String,
    /// Host with port.
    pub host: String,
    /// Default database.
    pub db: Option<String>,
    /// Command.
    pub command: String,
    /// Seconds.
    pub time_s: i64,
    /// State.
    pub state: Option<String>,
    /// Statement.
    pub info: Option<String>,
}

/// Estimated size of a table.
#[derive(Clone, Copy, Debug, Default)]
pub struct TableSize {
    /// Rows.
    pub rows: u64,
    /// Bytes of rows.
    pub data_bytes: u64,
    /// Bytes of secondary indexes.
    pub index_bytes: u64,
}

/// What the tables say that is not in the catalog.
pub trait ServerFacts {
    /// Global variables by name, as SHOW prints them.
    fn global_variables(&self) -> Vec<(String, String)>;

    /// The session's variables by name, as SHOW prints them.
    fn session_variables(&self) -> Vec<(String, String)>;

    /// Status counters by name.
    fn global_status(&self) -> Vec<(String, String)>;

    /// Status counters as the session sees them.
    fn session_status(&self) -> Vec<(String, String)>;

    /// Persisted variables by name.
    fn persisted_variables(&self) -> Vec<(String, String)>;

    /// Connections that the session may see.
    fn processes(&self) -> Vec<ProcessRow>;

    /// Transactions and locks, if they were asked for before the statement began.
    fn lock_report(&self) -> Option<&locks::LockReport> {
        None
    }

    /// Connection attributes: connection id, name, value.
    fn connection_attributes(&self) -> Vec<(u64, String, String)>;

    /// Whether the session may know that a database exists.
    fn may_see_database(&self, name: &str) -> bool;

    /// What the session may do; `None` when that is everything.
    fn rights(&self) -> Option<&Rights>;

    /// Whether the session may know that a table of the catalog exists.
    fn may_see_table(&self, table: &Table) -> bool {
        self.rights().is_none_or(|rights| rights.has_any_on_table(&table.schema, &table.name))
    }

    /// Roles that are active in the session.
    fn active_roles(&self) -> &[AccountId];

    /// Roles that everybody has, whether they exist or not.
    fn mandatory_roles(&self) -> Vec<AccountId>;

    /// Whether the session may see all accounts.
    fn may_see_accounts(&self) -> bool;

    /// User and host of the session's account.
    fn current_account(&self) -> (String, String);

    /// Estimated size of a table.
    fn table_size(&self, table: &Table) -> TableSize;

    /// What was sampled of an index.
    fn sample(&self, index: IndexId) -> Option<Arc<Sample>>;

    /// The next AUTO_INCREMENT value of a table, when it is known.
    fn auto_increment(&self, table: &Table) -> Option<u64>;
}

/// The virtual tables as one session sees them.
pub struct InformationSchema<'a> {
    facts: &'a dyn ServerFacts,
}

impl<'a> InformationSchema<'a> {
    /// Virtual tables whose rows come from `facts`.
    #[must_use]
    pub fn new(facts: &'a dyn ServerFacts) -> Self {
        Self { facts }
    }
}

/// Names of the virtual databases, in the order of SHOW DATABASES.
pub const SCHEMAS: [&str; 3] = ["information_schema", "mysql", "performance_schema"];

/// The name of a virtual database as shown, from its name in any case.
#[must_use]
pub fn schema_name(name: &str) -> Option<&'static str> {
    SCHEMAS.iter().copied().find(|schema| schema.eq_ignore_ascii_case(name))
}

/// Names of the tables of a virtual database.
#[must_use]
pub fn table_names(schema: &str) -> Vec<String> {
    let own = tables().iter().filter(|def| &*def.table.schema == schema);
    own.map(|def| def.table.name.to_string()).collect()
}

/// All virtual tables, by database and name.
pub(crate) fn tables() -> &'static [TableDef] {
    static TABLES: OnceLock<Vec<TableDef>> = OnceLock::new();
    TABLES.get_or_init(|| {
        let mut tables = Vec::new();
        for part in [
            schemas::TABLES,
            columns::TABLES,
            keys::TABLES,
            constraints::TABLES,
            views::TABLES,
            server::TABLES,
            privileges::TABLES,
            table_privileges::TABLES,
            roles::TABLES,
            performance::TABLES,
            locks::TABLES,
            empty::TABLES,
        ] {
            tables.extend(part.iter().map(TableDef::new));
        }
        tables.sort_by(|a: &TableDef, b: &TableDef| {
            (&*a.table.schema, &*a.table.name).cmp(&(&*b.table.schema, &*b.table.name))
        });
        tables
    })
}

fn find(schema: &str, name: &str) -> Option<&'static TableDef> {
    let matches = |def: &&TableDef| {
        def.table.schema.eq_ignore_ascii_case(schema) && def.table.name.eq_ignore_ascii_case(name)
    };
    tables().iter().find(matches)
}

impl VirtualTables for InformationSchema<'_> {
    fn has_schema(&self, schema: &str) -> bool {
        schema_name(schema).is_some()
    }

    fn table(&self, schema: &str, name: &str) -> Option<Arc<VirtualTable>> {
        find(schema, name).map(|def| Arc::clone(&def.table))
    }

    fn rows(
        &self,
        table: &VirtualTable,
        catalog: &Arc<Catalog>,
        equals: &[(usize, Value)],
    ) -> SqlResult<Vec<Vec<Value>>> {
        let Some(def) = find(&table.schema, &table.name) else { return Ok(Vec::new()) };
        let source = Source::new(catalog, self.facts, &table.columns, equals);
        (def.rows)(&source)
    }
}
