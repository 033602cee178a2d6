//! SHOW and DESCRIBE: which rows the forms give.

use std::sync::Arc;

use aquifer_catalog::{Catalog, Database, Privileges, Rights, Table};
use aquifer_sql::ast::{Show, ShowFilter, TableName};
use aquifer_sql::virtual_tables::show::{self, Detail, Shown};
use aquifer_sql::virtual_tables::{self, InformationSchema, ServerFacts, create_table};
use aquifer_sql::{VirtualTable, VirtualTables};
use aquifer_types::{Collation, SqlError, SqlResult, Value, WarningLevel};
use bytes::Bytes;

use crate::access;
use crate::engine_status;
use crate::facts::FactsView;
use crate::outcome::Failure;
use crate::session::Session;

/// A table that SHOW names.
pub(crate) enum Named {
    Stored(Arc<Table>),
    Virtual(Arc<VirtualTable>),
}

fn text(text: &str) -> Value {
    Value::Bytes(Bytes::copy_from_slice(text.as_bytes()))
}

fn number(number: usize) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

impl Session {
    pub(crate) fn facts_view(&self) -> FactsView<'_> {
        FactsView { host: &self.host, entry: &self.entry, state: &self.state }
    }

    /// Rows of a SHOW statement.
    ///
    /// # Errors
    /// Those of the statement.
    pub(crate) async fn show(&mut self, show: &Show) -> Result<Shown, Failure> {
        let none = &ShowFilter::All;
        let (shown, filter) = match show {
            Show::Databases(filter) => (self.show_databases(filter), filter),
            Show::Tables { full, database, filter } => {
                (self.show_tables(*full, database.as_deref(), filter)?, filter)
            }
            Show::TableStatus { database, filter } => (self.show_table_status(database.as_deref())?, filter),
            Show::Columns { full, table, filter } => (self.show_columns(table, *full)?, filter),
            Show::Index { table, filter } => (self.show_index(table)?, filter),
            Show::CreateTable(table) => (self.show_create_table(table)?, none),
            Show::CreateView(table) => match self.named_table(table, "SELECT")?.1 {
                Named::Stored(stored) if stored.view.is_some() => (self.show_create_table(table)?, none),
                _ => return Err(self.not_a_view(table).into()),
            },
            Show::CreateDatabase { if_not_exists, name } => {
                (self.show_create_database(name, *if_not_exists)?, none)
            }
            Show::CreateRoutine(kind, name) => return Err(no_routine(kind, name).into()),
            Show::CreateUser(account) => (self.show_create_user(account.as_ref())?, none),
            Show::Variables { global, filter } => (self.show_variables(*global), filter),
            Show::Status { global, filter } => (self.show_status(*global), filter),
            Show::Warnings(range) => (self.show_warnings(*range, WarningLevel::Note), none),
            Show::Errors(range) => (self.show_warnings(*range, WarningLevel::Error), none),
            Show::DiagnosticsCount { errors } => (self.show_diagnostics_count(*errors), none),
            Show::Processlist { full } => {
                let detail = if *full { Detail::Full } else { Detail::Plain };
                (show::processlist(&self.facts_view().processes(), detail), none)
            }
            Show::Grants(account, using) => {
                let (title, lines) = self.grant_lines(account.as_ref(), using)?;
                let rows = lines.iter().map(|line| vec![text(line)]).collect();
                (Shown::new(&format!("{}:v1024", title.replace(' ', "~")), rows), none)
            }
            Show::CharacterSet(filter) => {
                (self.from_table("CHARACTER_SETS", CHARACTER_SET, &[0, 2, 1, 3])?, filter)
            }
            Show::Collation(filter) => {
                (self.from_table("COLLATIONS", COLLATION, &[0, 1, 2, 3, 4, 5, 6])?, filter)
            }
            Show::Engines => (self.from_table("ENGINES", ENGINES, &[0, 1, 2, 3, 4, 5])?, none),
            Show::Plugins => (self.from_table("PLUGINS", PLUGINS, &[0, 2, 3, 5, 9])?, none),
            Show::Triggers { database, filter } => {
                self.database_or_current(database.as_deref())?;
                (Shown::empty(TRIGGERS), filter)
            }
            Show::Events { database, filter } => {
                self.database_or_current(database.as_deref())?;
                (Shown::empty(EVENTS), filter)
            }
            Show::RoutineStatus(_, filter) => (Shown::empty(ROUTINE_STATUS), filter),
            Show::OpenTables(filter) => {
                (Shown::empty("Database:v64 Table:v64 In_use:n Name_locked:n"), filter)
            }
            other => (self.show_server(other).await?, none),
        };
        self.filter(shown, filter).await
    }

    /// Forms that are the same for everybody.
    async fn show_server(&self, show: &Show) -> SqlResult<Shown> {
        Ok(match show {
            Show::StorageCost => self.storage_cost(),
            Show::Privileges => privileges(),
            Show::MasterStatus => Shown::empty(
                "File:v255 Position:u Binlog_Do_DB:v255 Binlog_Ignore_DB:v255 Executed_Gtid_Set:x",
            ),
            Show::ReplicaStatus => {
                Shown::empty("Replica_IO_State:v14 Source_Host:v60 Source_User:v32 Source_Port:u")
            }
            Show::Replicas => Shown::empty("Server_Id:u Host:v64 Port:u Source_Id:u Replica_UUID:v36"),
            Show::BinaryLogs => return Err(SqlError::new(1381, "You are not using binary logging")),
            Show::EngineStatus(name) => self.engine_status(name).await?,
            Show::Profiles => Shown::empty("Query_ID:n Duration:d Query:v300"),
            _ => return Err(SqlError::not_supported("this form of SHOW")),
        })
    }

    fn storage_cost(&self) -> Shown {
        let number = |number: Option<u64>| {
            number.map_or(Value::Null, |number| Value::Int(i64::try_from(number).unwrap_or(i64::MAX)))
        };
        let dollars =
            |dollars: Option<f64>| dollars.map_or(Value::Null, |dollars| text(&format!("{dollars:.6}")));
        let row = |cost: crate::node::StorageCost| {
            let month = text(&format!("{:.2}", cost.dollars_a_month));
            vec![text(&cost.kind), number(cost.requests), number(cost.bytes), dollars(cost.dollars), month]
        };
        let rows = self.host.node.storage_cost().into_iter().map(row).collect();
        Shown::new("Kind:v16 Requests:n Bytes:n Dollars:v32 Dollars_a_month:v32", rows)
    }

    /// Columns of an `information_schema` table under other names.
    fn from_table(&self, name: &str, columns: &str, positions: &[usize]) -> SqlResult<Shown> {
        let view = self.facts_view();
        let schema = InformationSchema::new(&view);
        let catalog = self.host.node.catalog();
        let Some(table) = schema.table("information_schema", name) else {
            return Err(SqlError::not_supported("this form of SHOW"));
        };
        let rows = schema.rows(&table, &catalog, &[])?;
        let pick = |row: Vec<Value>| {
            positions.iter().map(|at| row.get(*at).cloned().unwrap_or(Value::Null)).collect::<Vec<_>>()
        };
        Ok(Shown::new(columns, rows.into_iter().map(pick).collect()))
    }

    fn show_databases(&self, filter: &ShowFilter) -> Shown {
        let view = self.facts_view();
        let catalog = self.host.node.catalog();
        let stored = catalog.databases().map(|database| database.name.to_string());
        let mut names: Vec<String> = stored
            .chain(virtual_tables::SCHEMAS.map(str::to_owned))
            .filter(|name| view.may_see_database(name))
            .collect();
        names.sort();
        let title = match filter {
            ShowFilter::Like(pattern) => format!("Database~({})", column_safe(pattern)),
            _ => "Database".to_owned(),
        };
        Shown::new(&format!("{title}:v64"), names.iter().map(|name| vec![text(name)]).collect())
    }

    /// A database that SHOW names, or the current one.
    fn database_or_current(&self, name: Option<&str>) -> SqlResult<String> {
        let name = match name.or(self.state.database()) {
            Some(name) => name,
            None => return Err(SqlError::new(1046, "No database selected")),
        };
        if let Some(name) = virtual_tables::schema_name(name) {
            return Ok(name.to_owned());
        }
        if let Some(identity) = &self.state.identity
            && !access::may_see_database(&identity.rights, name)
        {
            return Err(access::no_database(identity, name));
        }
        let catalog = self.host.node.catalog();
        if catalog.database(name).is_none() {
            return Err(SqlError::new(1049, format!("Unknown database '{name}'")));
        }
        Ok(name.to_owned())
    }

    fn show_tables(&self, full: bool, database: Option<&str>, filter: &ShowFilter) -> SqlResult<Shown> {
        let database = self.database_or_current(database)?;
        let mut rows = Vec::new();
        for (name, kind) in self.table_names(&database) {
            let mut row = vec![text(&name)];
            if full {
                row.push(text(kind));
            }
            rows.push(row);
        }
        let mut title = format!("Tables_in_{database}");
        if let ShowFilter::Like(pattern) = filter {
            title = format!("{title}~({})", column_safe(pattern));
        }
        let mut columns = format!("{}:v64", title.replace(' ', "~"));
        if full {
            columns.push_str(" Table_type:v11");
        }
        Ok(Shown::new(&columns, rows))
    }

    /// Tables of a database with their TABLE_TYPE, by name.
    fn table_names(&self, database: &str) -> Vec<(String, &'static str)> {
        let catalog = self.host.node.catalog();
        if virtual_tables::schema_name(database).is_some() {
            let kind = if database == "information_schema" { "SYSTEM VIEW" } else { "BASE TABLE" };
            return virtual_tables::table_names(database).into_iter().map(|name| (name, kind)).collect();
        }
        let Some(database) = catalog.database(database) else { return Vec::new() };
        let kind = |table: &Arc<Table>| if table.view.is_some() { "VIEW" } else { "BASE TABLE" };
        let view = self.facts_view();
        let seen = catalog.tables(database.id).filter(|table| view.may_see_table(table));
        seen.map(|table| (table.name.to_string(), kind(table))).collect()
    }

    fn show_table_status(&self, database: Option<&str>) -> SqlResult<Shown> {
        let database = self.database_or_current(database)?;
        let view = self.facts_view();
        let schema = InformationSchema::new(&view);
        let catalog = self.host.node.catalog();
        let Some(table) = schema.table("information_schema", "TABLES") else {
            return Ok(Shown::empty(TABLE_STATUS));
        };
        let rows = schema.rows(&table, &catalog, &[(1, text(&database))])?;
        let own = |row: &Vec<Value>| matches!(&row[1], Value::Bytes(name) if **name == *database.as_bytes());
        const POSITIONS: [usize; 18] = [2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20];
        let pick = |row: Vec<Value>| POSITIONS.iter().map(|at| row[*at].clone()).collect::<Vec<_>>();
        Ok(Shown::new(TABLE_STATUS, rows.into_iter().filter(own).map(pick).collect()))
    }

    /// Finds a table that SHOW names, for somebody who has any right on it; `verb` names in messages what is denied.
    pub(crate) fn named_table(&self, name: &TableName, verb: &str) -> SqlResult<(String, Named)> {
        let schema = match name.schema.as_deref().or(self.state.database()) {
            Some(schema) => schema.to_owned(),
            None => return Err(SqlError::new(1046, "No database selected")),
        };
        let view = self.facts_view();
        if let Some(identity) = &self.state.identity
            && !matches!(
                virtual_tables::schema_name(&schema),
                Some("information_schema" | "performance_schema")
            )
            && !self.is_temporary(&schema, &name.name)
            && !identity.rights.has_any_on_table(&schema, &name.name)
        {
            return Err(access::no_table(identity, verb, &name.name));
        }
        let tables = InformationSchema::new(&view);
        if let Some(found) = tables.table(&schema, &name.name) {
            return Ok((found.schema.to_string(), Named::Virtual(found)));
        }
        if virtual_tables::schema_name(&schema).is_none() {
            self.database_or_current(Some(&schema))?;
        }
        let catalog = self.with_temporary(self.host.node.catalog());
        match catalog.table(&schema, &name.name) {
            Some(table) => Ok((schema, Named::Stored(Arc::clone(table)))),
            None => Err(SqlError::new(1146, format!("Table '{schema}.{}' doesn't exist", name.name))),
        }
    }

    fn show_columns(&self, table: &TableName, full: bool) -> SqlResult<Shown> {
        let detail = if full { Detail::Full } else { Detail::Plain };
        Ok(match self.named_table(table, "SELECT")?.1 {
            Named::Stored(table) => {
                if table.view.is_some() {
                    self.check_view(&table)?;
                }
                show::table_columns(&table, detail, self.rights_on(&table))
            }
            Named::Virtual(table) => show::virtual_columns(&table.columns, detail),
        })
    }

    /// Error 1356 when a view can no longer be read.
    fn check_view(&self, table: &Table) -> SqlResult<()> {
        let (schema, name) = (create_table::quoted(&table.schema), create_table::quoted(&table.name));
        let parsed = aquifer_sql::parse(
            &format!("SELECT * FROM {schema}.{name}"),
            aquifer_sql::ParseOptions { sql_mode: aquifer_types::SqlMode::default() },
        )?;
        let Some(statement) = parsed.statement else { return Ok(()) };
        let view = self.facts_view();
        self.plan_with(&statement, 0, &[], &InformationSchema::new(&view)).map(|_| ())
    }

    /// DESCRIBE table [column or pattern].
    ///
    /// # Errors
    /// 1046, 1049, 1146.
    pub(crate) fn describe(&self, table: &TableName, column: Option<&str>) -> SqlResult<Shown> {
        let mut shown = self.show_columns(table, false)?;
        if let Some(pattern) = column {
            let pattern = pattern.to_lowercase();
            shown.rows.retain(|row| match row.first() {
                Some(Value::Bytes(name)) => {
                    aquifer_catalog::rights::like(&pattern, &String::from_utf8_lossy(name).to_lowercase())
                }
                _ => false,
            });
        }
        Ok(shown)
    }

    fn show_index(&self, table: &TableName) -> SqlResult<Shown> {
        Ok(match self.named_table(table, "SELECT")?.1 {
            Named::Stored(table) => {
                let node = &self.host.node;
                let sampled = |index| node.statistics().sample(index);
                show::table_indexes(
                    Some(&table),
                    node.table_size(&table).rows,
                    &sampled,
                    self.rights_on(&table),
                )
            }
            Named::Virtual(_) => show::table_indexes(None, 0, &|_| None, None),
        })
    }

    fn show_create_table(&self, table: &TableName) -> SqlResult<Shown> {
        let (name, statement) = match self.named_table(table, "SHOW")?.1 {
            Named::Stored(table) if table.view.is_some() => {
                self.check_view_shown(&table)?;
                let view = table.view.as_ref();
                let statement =
                    view.map(|view| aquifer_sql::virtual_tables::views::create_view(&table, view));
                let statement = statement.unwrap_or_default();
                let row =
                    vec![text(&table.name), text(&statement), text("utf8mb4"), text("utf8mb4_0900_ai_ci")];
                return Ok(Shown::new(
                    "View:v64 Create~View:x character_set_client:v64 collation_connection:v64",
                    vec![row],
                ));
            }
            Named::Stored(table) => {
                self.check_table_shown(&table)?;
                let next = self.next_auto_increment(&table);
                (table.name.to_string(), create_table::create_table(&table, next))
            }
            Named::Virtual(table) => (table.name.to_string(), create_table::create_virtual(&table)),
        };
        Ok(Shown::new("Table:v64 Create~Table:x", vec![vec![text(&name), text(&statement)]]))
    }

    /// What limits what is seen of a table; nothing does of a temporary one.
    fn rights_on(&self, table: &Table) -> Option<&Rights> {
        let identity = self.state.identity.as_ref().filter(|_| !table.id.is_temporary());
        identity.map(|identity| &identity.rights)
    }

    /// SHOW CREATE TABLE needs a right on the table as such.
    fn check_table_shown(&self, table: &Table) -> SqlResult<()> {
        let known =
            |rights: &Rights| rights.on_table(&table.schema, &table.name).has_any(Privileges::ALL_ON_TABLE);
        match &self.state.identity {
            Some(identity) if !self.rights_on(table).is_none_or(known) => {
                Err(access::no_table(identity, "SHOW", &table.name))
            }
            _ => Ok(()),
        }
    }

    /// SHOW CREATE of a view needs more than to know that it is there (MySQL 8.0 Reference Manual, 13.7.7.13).
    fn check_view_shown(&self, view: &Table) -> SqlResult<()> {
        let Some(identity) = &self.state.identity else { return Ok(()) };
        for name in ["SELECT", "SHOW VIEW"] {
            let has = identity.rights.on_table(&view.schema, &view.name);
            if !has.contains(access::privilege(name)) {
                return Err(access::no_table(identity, name, &view.name));
            }
        }
        Ok(())
    }

    fn not_a_view(&self, table: &TableName) -> SqlError {
        match self.named_table(table, "SELECT") {
            Ok((schema, _)) => SqlError::new(1347, format!("'{schema}.{}' is not VIEW", table.name)),
            Err(error) => error,
        }
    }

    fn show_create_database(&self, name: &str, if_not_exists: bool) -> SqlResult<Shown> {
        let name = self.database_or_current(Some(name))?;
        let catalog: Arc<Catalog> = self.host.node.catalog();
        let found: Option<&Arc<Database>> = catalog.database(&name);
        let statement = match found {
            Some(database) => create_table::create_catalog_database(database, if_not_exists),
            None => create_table::create_database(&name, Collation::UTF8MB3_GENERAL_CI, if_not_exists),
        };
        Ok(Shown::new("Database:v64 Create~Database:v1024", vec![vec![text(&name), text(&statement)]]))
    }

    fn show_variables(&self, global: bool) -> Shown {
        let view = self.facts_view();
        pairs(if global { view.global_variables() } else { view.session_variables() })
    }

    fn show_status(&self, global: bool) -> Shown {
        let view = self.facts_view();
        pairs(if global { view.global_status() } else { view.session_status() })
    }

    fn show_warnings(&self, range: Option<(u64, u64)>, least: WarningLevel) -> Shown {
        let (skip, take) = range.unwrap_or((0, u64::MAX));
        let fits = |level: WarningLevel| least != WarningLevel::Error || level == WarningLevel::Error;
        let rows = self
            .state
            .warnings
            .entries()
            .iter()
            .filter(|entry| fits(entry.level))
            .skip(usize::try_from(skip).unwrap_or(usize::MAX))
            .take(usize::try_from(take).unwrap_or(usize::MAX))
            .map(|entry| {
                vec![text(entry.level.as_str()), Value::Int(i64::from(entry.code)), text(&entry.message)]
            });
        Shown::new("Level:v7 Code:n Message:v512", rows.collect())
    }

    fn show_diagnostics_count(&self, errors: bool) -> Shown {
        let entries = self.state.warnings.entries();
        let (title, count) = if errors {
            let count = entries.iter().filter(|entry| entry.level == WarningLevel::Error).count();
            ("@@session.error_count", number(count))
        } else {
            (
                "@@session.warning_count",
                Value::Int(i64::try_from(self.state.warnings.total()).unwrap_or(i64::MAX)),
            )
        };
        Shown::new(&format!("{title}:i"), vec![vec![count]])
    }

    async fn engine_status(&self, name: &str) -> SqlResult<Shown> {
        const COLUMNS: &str = "Type:v10 Name:v512 Status:x";
        if !name.eq_ignore_ascii_case("innodb") {
            let known = name.eq_ignore_ascii_case("performance_schema");
            return if known {
                Ok(Shown::empty(COLUMNS))
            } else {
                Err(SqlError::new(1286, format!("Unknown storage engine '{name}'")))
            };
        }
        self.need_global("PROCESS", "PROCESS")?;
        let mut status = String::from("\n=====================================\nAQUIFER ENGINE STATUS\n");
        status.push_str("=====================================\n");
        for (name, value) in self.host.node.status() {
            status.push_str(&format!("{name} {value}\n"));
        }
        engine_status::add_transactions(&self.host.node.lock_report().await, &mut status);
        status.push_str(
            "----------------------------\nEND OF AQUIFER ENGINE STATUS\n============================\n",
        );
        Ok(Shown::new(COLUMNS, vec![vec![text("InnoDB"), text(""), text(&status)]]))
    }
}

/// A LIKE pattern as part of a column's name.
fn column_safe(pattern: &[u8]) -> String {
    String::from_utf8_lossy(pattern).replace(' ', "~")
}

fn pairs(pairs: Vec<(String, String)>) -> Shown {
    let rows = pairs.iter().map(|(name, value)| vec![text(name), text(value)]).collect();
    Shown::new("Variable_name:v64 Value:v1024", rows)
}

fn no_routine(kind: &str, name: &TableName) -> SqlError {
    match kind {
        "TRIGGER" => SqlError::new(1360, "Trigger does not exist"),
        "EVENT" => SqlError::new(1539, format!("Unknown event '{}'", name.name)),
        _ => SqlError::new(1305, format!("{kind} {} does not exist", name.name)),
    }
}

fn privileges() -> Shown {
    let row = |name: &&str| {
        let mut shown = String::new();
        for (at, word) in name.split(' ').enumerate() {
            let lower = word.to_lowercase();
            let mut letters = lower.chars();
            if let (0, Some(first)) = (at, letters.next()) {
                shown.push(first.to_ascii_uppercase());
                shown.push_str(letters.as_str());
            } else {
                shown.push_str(&format!(" {lower}"));
            }
        }
        vec![text(&shown), text("Server Admin"), text("")]
    };
    let rows = aquifer_catalog::account::PRIVILEGE_NAMES.iter().map(row).collect();
    Shown::new("Privilege:v32 Context:v64 Comment:v128", rows)
}

const CHARACTER_SET: &str = "Charset:v64 Description:v2048 Default~collation:v64 Maxlen:m";
const COLLATION: &str = "Collation:v64 Charset:v64 Id:u Default:v3 Compiled:v3 Sortlen:m Pad_attribute:v9";
const ENGINES: &str = "Engine:v64 Support:v8 Comment:v80 Transactions:v3? XA:v3? Savepoints:v3?";
const PLUGINS: &str = "Name:v64 Status:v10 Type:v80 Library:v64? License:v80?";
const TABLE_STATUS: &str = "Name:v64 Engine:v64? Version:n? Row_format:v10? Rows:u? Avg_row_length:u? \
     Data_length:u? Max_data_length:u? Index_length:u? Data_free:u? Auto_increment:u? Create_time:t? \
     Update_time:t? Check_time:t? Collation:v64? Checksum:i? Create_options:v256? Comment:x?";
const TRIGGERS: &str = "Trigger:v64 Event:v6 Table:v64 Statement:x Timing:v6 Created:t? sql_mode:x \
     Definer:v288 character_set_client:v64 collation_connection:v64 Database~Collation:v64";
const EVENTS: &str = "Db:v64 Name:v64 Definer:v288 Time~zone:v64 Type:v9 Execute~at:t? Interval~value:v256? \
     Interval~field:v18? Starts:t? Ends:t? Status:v21 Originator:m character_set_client:v64 \
     collation_connection:v64 Database~Collation:v64";
const ROUTINE_STATUS: &str = "Db:v64 Name:v64 Type:v9 Definer:v288 Modified:t Created:t Security_type:v7 \
     Comment:x character_set_client:v64 collation_connection:v64 Database~Collation:v64";
