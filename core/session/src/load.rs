//! LOAD DATA: a file's records become rows of one statement.
//!
//! Steps of LOAD DATA LOCAL: (1) the INSERT that every record stands for is planned and allowed; (2) the client is
//! asked for the file; (3) its packets come as they come, in [`Session::continue_load`], and whole records are
//! inserted at once; (4) at the empty packet the statement ends as others do. After an error the rest of the file is
//! still received, because the client cannot be stopped. Without LOCAL the file is read by the node, at once.

use std::sync::Arc;

use aquifer_catalog::Column;
use aquifer_sql::ast::{LoadData, LoadDuplicates, LoadTarget, Statement};
use aquifer_sql::load::{Record, RecordReader, Rest};
use aquifer_sql::result::Done;
use aquifer_sql::temporary::TemporaryTxn;
use aquifer_sql::txn::{Savepoint, Txn};
use aquifer_sql::virtual_tables::InformationSchema;
use aquifer_sql::{ExecContext, Outcome, Plan, execute};
use aquifer_types::collation::Charset;
use aquifer_types::{DataType, ErrorKind, SqlError, SqlResult, Value, Warnings};
use aquifer_wire::Capabilities;
use bytes::Bytes;

use crate::facts::FactsView;
use crate::outcome::Failure;
use crate::rows::Protocol;
use crate::session::Session;
use crate::statement::{Body, ReadyStatement};
use crate::transaction::Scope;
use crate::variables::ids;

/// Records that are inserted together.
const BATCH_RECORDS: usize = 128;

/// Bytes of fields that wait to be inserted together.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// Where a field goes, and what is known of it.
struct Target {
    target: LoadTarget,
    /// Whether its bytes are text, which must be valid.
    text: bool,
}

/// A LOAD DATA under way.
pub(crate) struct Loading {
    load: LoadData,
    targets: Vec<Target>,
    reader: RecordReader,
    charset: Charset,
    scope: Scope,
    /// Where the statement began, in the transaction and in temporary tables.
    start: (Savepoint, usize),
    /// Plans by the numbers of fields and of records that they take.
    plans: Vec<((usize, usize), Arc<Plan>)>,
    /// Whether all fields go into columns, so that records can be inserted together.
    is_batched: bool,
    /// Fields of whole records that are to be inserted, one record after the other, and their bytes.
    waiting: Vec<Value>,
    waiting_bytes: usize,
    warnings: Warnings,
    now_micros: i64,
    counts: Counts,
    /// Why the statement has failed already.
    failed: Option<SqlError>,
}

#[derive(Default)]
struct Counts {
    records: u64,
    deleted: u64,
    skipped: u64,
    affected: u64,
    first_id: u64,
}

impl Loading {
    fn plan_for(&self, fields: usize, records: usize) -> Option<Arc<Plan>> {
        self.plans.iter().find(|(takes, _)| *takes == (fields, records)).map(|(_, plan)| Arc::clone(plan))
    }

    fn done(&self) -> Done {
        let Counts { records, deleted, skipped, affected, .. } = self.counts;
        let warnings = self.warnings.total();
        Done {
            affected,
            last_insert_id: 0,
            info: format!("Records: {records}  Deleted: {deleted}  Skipped: {skipped}  Warnings: {warnings}"),
        }
    }

    /// Says that a record has too few or too many fields.
    fn check_fields(&mut self, fields: usize) -> SqlResult<()> {
        let number = self.counts.records + 1;
        let error = if fields < self.targets.len() {
            SqlError::new(1261, format!("Row {number} doesn't contain data for all columns"))
        } else if fields > self.targets.len() {
            let text =
                format!("Row {number} was truncated; it contained more data than there were input columns");
            SqlError::new(1262, text)
        } else {
            return Ok(());
        };
        self.warnings.demote(&error);
        Ok(())
    }

    /// Fields as values, in the statement's character set.
    fn values(&self, record: Record) -> SqlResult<Vec<Value>> {
        let mut values = Vec::with_capacity(record.len());
        for (field, target) in record.into_iter().zip(&self.targets) {
            values.push(match field {
                None => Value::Null,
                Some(bytes) => Value::Bytes(self.converted(bytes.into(), target)?),
            });
        }
        Ok(values)
    }

    fn converted(&self, bytes: Bytes, target: &Target) -> SqlResult<Bytes> {
        let bytes = if target.text { self.charset.convert(Charset::Utf8mb4, &bytes).bytes } else { bytes };
        if target.text && !bytes.is_ascii() && std::str::from_utf8(&bytes).is_err() {
            let shown: String =
                bytes.iter().filter(|b| !b.is_ascii()).take(6).map(|b| format!("\\x{b:02X}")).collect();
            return Err(SqlError::new(1300, format!("Invalid utf8mb4 character string: '{shown}'")));
        }
        Ok(bytes)
    }
}

/// Whether a column's bytes are text; a variable's are.
fn is_text(column: Option<&Column>) -> bool {
    !column.is_some_and(|column| {
        use aquifer_types::TypeKind::{Binary, Bit, Blob, LongBlob, MediumBlob, TinyBlob, VarBinary};
        let kind = column.data_type.kind;
        matches!(kind, Bit | Binary | VarBinary | TinyBlob | Blob | MediumBlob | LongBlob)
    })
}

impl Session {
    /// Begins LOAD DATA. That of a client's file goes on when its packets come.
    ///
    /// # Errors
    /// 3948, 1290, 1227, those of planning the INSERT; without LOCAL also those of the rows.
    pub(crate) async fn run_load(
        &mut self,
        load: &LoadData,
        protocol: Protocol,
        more: bool,
    ) -> Result<(), Failure> {
        if protocol == Protocol::Binary {
            let text = "This command is not supported in the prepared statement protocol yet";
            return Err(SqlError::new(1295, text).into());
        }
        if load.local && more {
            return Err(SqlError::not_supported("LOAD DATA LOCAL before another statement").into());
        }
        self.check_load_allowed(load)?;
        let mut loading = self.start_load(load).await?;
        if load.local {
            self.channel.write_local_infile(&load.file);
            self.state.loading = Some(Box::new(loading));
            return Ok(());
        }
        let result = match self.read_server_file(&load.file).await {
            Ok(bytes) => {
                loading.reader.feed(&bytes);
                self.load_records(&mut loading, Rest::Ended).await
            }
            Err(error) => Err(error),
        };
        Ok(self.finish_load(loading, result, more).await?)
    }

    fn check_load_allowed(&self, load: &LoadData) -> SqlResult<()> {
        if !load.local {
            return self.need_global("FILE", "FILE");
        }
        let globals = self.host.registry.globals();
        let client = self.channel.capabilities().contains(Capabilities::LOCAL_FILES);
        if client && globals.get(ids::LOCAL_INFILE).is_on() {
            return Ok(());
        }
        let text = "Loading local data is disabled; this must be enabled on both the client and server sides";
        Err(SqlError::new(3948, text))
    }

    async fn start_load(&mut self, load: &LoadData) -> SqlResult<Loading> {
        let charset = match &load.charset {
            Some(name) => Charset::by_name(name)
                .ok_or_else(|| SqlError::new(1115, format!("Unknown character set: '{name}'")))?,
            None => {
                let name = self.state.variables.get(ids::CHARACTER_SET_DATABASE).as_str();
                Charset::by_name(name).unwrap_or(Charset::Utf8mb4)
            }
        };
        let targets = self.load_targets(load)?;
        self.declare_variables(&targets);
        let all: Vec<LoadTarget> = targets.iter().map(|target| target.target.clone()).collect();
        let (ready, plan) = self.plan_load(load, &all, 1)?;
        self.check_allowed(&ready)?;
        let scope = self.scope_of(&ready);
        let now = self.state.variables.effective().timestamp_micros;
        let start = scope.txn.savepoint();
        self.keep_savepoints(&scope, Some(start));
        Ok(Loading {
            load: load.clone(),
            start: (start, self.temporary_point()),
            plans: vec![((targets.len(), 1), plan)],
            is_batched: targets.iter().all(|target| matches!(target.target, LoadTarget::Column(_))),
            waiting: Vec::new(),
            waiting_bytes: 0,
            targets,
            reader: RecordReader::new(load.format.clone(), load.skipped_lines),
            charset,
            scope,
            warnings: Warnings::with_capacity(self.state.variables.effective().max_error_count),
            now_micros: now.unwrap_or_else(|| self.host.node.now_micros()),
            counts: Counts::default(),
            failed: None,
        })
    }

    /// Where fields go: as the statement says, or into all visible columns.
    fn load_targets(&self, load: &LoadData) -> SqlResult<Vec<Target>> {
        let schema = load.table.schema.as_deref().or(self.state.database());
        let schema = schema.ok_or_else(|| SqlError::new(1046, "No database selected"))?;
        let catalog = self.planning_catalog();
        let table = catalog.table(schema, &load.table.name).ok_or_else(|| {
            SqlError::new(1146, format!("Table '{schema}.{}' doesn't exist", load.table.name))
        })?;
        let column = |name: &str| table.column_position(name).map(|at| &table.columns[at]);
        let targets: Vec<Target> = match &load.targets {
            Some(targets) => targets
                .iter()
                .map(|target| {
                    let text = match target {
                        LoadTarget::Column(name) => is_text(column(name)),
                        LoadTarget::Variable(_) => true,
                    };
                    Target { target: target.clone(), text }
                })
                .collect(),
            None => table
                .columns
                .iter()
                .filter(|column| !column.invisible && !column.hidden)
                .map(|column| {
                    let text = is_text(Some(column));
                    Target { target: LoadTarget::Column(column.name.to_string()), text }
                })
                .collect(),
        };
        let read = |name: &str| {
            targets.iter().any(
                |target| matches!(&target.target, LoadTarget::Column(known) if known.eq_ignore_ascii_case(name)),
            )
        };
        if load.assignments.iter().any(|assignment| read(&assignment.column.name)) {
            return Err(SqlError::not_supported("SET of a column that LOAD DATA reads a field into"));
        }
        Ok(targets)
    }

    /// Gives the variables that take fields their type, which expressions of SET are planned with.
    fn declare_variables(&self, targets: &[Target]) {
        let mut variables = self.state.user_variables.borrow_mut();
        for target in targets {
            if let LoadTarget::Variable(name) = &target.target {
                variables.set(name, Value::Null, DataType::varchar(16_383));
            }
        }
    }

    fn plan_load(
        &self,
        load: &LoadData,
        targets: &[LoadTarget],
        records: usize,
    ) -> SqlResult<(ReadyStatement, Arc<Plan>)> {
        let insert = load.insert(targets, records);
        let fields = targets.iter().filter(|target| matches!(target, LoadTarget::Column(_))).count();
        let ready = self.make_ready(Statement::Insert(Box::new(insert)), fields * records, &[]);
        let ready = ready.map_err(|error| match error.code() {
            1471 => {
                let text = format!("The target table {} of the LOAD is not updatable", load.table.name);
                SqlError::new(1288, text)
            }
            1393 => SqlError::new(1221, "Incorrect usage of Multi-table VIEW and LOAD"),
            _ => error,
        })?;
        let Body::Planned(plan) = &ready.body else {
            return Err(SqlError::with_kind(1105, ErrorKind::Bug, "the INSERT of LOAD DATA has no plan"));
        };
        let plan = Arc::clone(plan);
        Ok((ready, plan))
    }

    /// Takes a packet with a part of the client's file; an empty one is its end.
    pub(crate) async fn continue_load(&mut self, packet: Bytes) {
        let Some(mut loading) = self.state.loading.take() else { return };
        let ended = packet.is_empty();
        if loading.failed.is_none() {
            loading.reader.feed(&packet);
            let rest = if ended { Rest::Ended } else { Rest::MayCome };
            loading.failed = self.load_records(&mut loading, rest).await.err();
        }
        if !ended {
            self.state.loading = Some(loading);
            return;
        }
        let result = loading.failed.take().map_or(Ok(()), Err);
        if let Err(error) = self.finish_load(*loading, result, false).await {
            self.answer_error(&error);
        }
    }

    /// Inserts the records that have come in whole; those that may be inserted together with later ones wait.
    async fn load_records(&mut self, loading: &mut Loading, rest: Rest) -> SqlResult<()> {
        let width = loading.targets.len();
        while let Some(record) = loading.reader.next(rest)? {
            if loading.is_batched && record.len() == width {
                loading.waiting_bytes += record.iter().flatten().map(Vec::len).sum::<usize>();
                let values = loading.values(record)?;
                loading.waiting.extend(values);
                if loading.waiting.len() == width * BATCH_RECORDS {
                    self.load_waiting(loading, BATCH_RECORDS).await?;
                } else if loading.waiting_bytes > BATCH_BYTES_MAX {
                    self.load_waiting(loading, 1).await?;
                }
                continue;
            }
            self.load_waiting(loading, 1).await?;
            self.check_record(loading, record.len())?;
            let fields = record.len().min(width);
            let values = loading.values(record)?;
            self.load_group(loading, (fields, 1), values).await?;
        }
        match rest {
            Rest::MayCome => Ok(()),
            Rest::Ended => self.load_waiting(loading, 1).await,
        }
    }

    /// Inserts the records that wait, so many at once.
    async fn load_waiting(&mut self, loading: &mut Loading, records: usize) -> SqlResult<()> {
        let width = loading.targets.len();
        let mut waiting = std::mem::take(&mut loading.waiting).into_iter();
        loading.waiting_bytes = 0;
        while waiting.len() > 0 {
            let values = waiting.by_ref().take(width * records).collect();
            self.load_group(loading, (width, records), values).await?;
        }
        Ok(())
    }

    /// Too few or too many fields are an error in strict mode, unless errors are warnings.
    fn check_record(&self, loading: &mut Loading, fields: usize) -> SqlResult<()> {
        let before = loading.warnings.total();
        loading.check_fields(fields)?;
        let strict = self.state.variables.effective().sql_mode.is_strict() && !loading.load.ignores();
        match loading.warnings.entries().last() {
            Some(warning) if strict && loading.warnings.total() > before => {
                Err(SqlError::new(warning.code, warning.message.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Inserts records, given how many fields each has, how many there are, and their fields.
    async fn load_group(
        &mut self,
        loading: &mut Loading,
        (fields, records): (usize, usize),
        values: Vec<Value>,
    ) -> SqlResult<()> {
        loading.scope.txn.check_interrupted()?;
        let plan = match loading.plan_for(fields, records) {
            Some(plan) => plan,
            None => {
                let given: Vec<LoadTarget> =
                    loading.targets[..fields].iter().map(|target| target.target.clone()).collect();
                let (_, plan) = self.plan_load(&loading.load, &given, records)?;
                loading.plans.push(((fields, records), Arc::clone(&plan)));
                plan
            }
        };
        let params = if loading.is_batched { values } else { self.params_of(loading, values) };
        let mut eval = self.eval_context(params);
        eval.now_micros = loading.now_micros;
        eval.warnings = std::mem::take(&mut loading.warnings);
        let temporary = self.state.temporary.clone();
        let inner = loading.scope.txn.as_txn();
        let both = temporary.as_ref().map(|own| TemporaryTxn::new(inner, &own.tables));
        let txn: &dyn Txn = both.as_ref().map_or(inner, |both| both);
        let view = FactsView { host: &self.host, entry: &self.entry, state: &self.state };
        let schema = InformationSchema::new(&view);
        let mut ctx = ExecContext::new(txn, eval, &schema);
        view.settings(&mut ctx, loading.scope.isolation);
        ctx.loaded = Some(loading.counts.records);
        let result = match execute(&plan, &mut ctx).await {
            Ok(Outcome::Done(done)) => Ok(done),
            Ok(Outcome::Rows { .. }) => Ok(Done::default()),
            Err(error) => Err(error),
        };
        loading.warnings = std::mem::take(&mut ctx.eval.warnings);
        drop(ctx);
        let done = result?;
        let counts = &mut loading.counts;
        let records = records as u64;
        counts.records += records;
        counts.affected += done.affected;
        match loading.load.duplicates {
            LoadDuplicates::Replace => counts.deleted += done.affected.saturating_sub(records),
            _ => counts.skipped += records.saturating_sub(done.affected),
        }
        if counts.first_id == 0 {
            counts.first_id = done.last_insert_id;
        }
        Ok(())
    }

    /// The fields of a record that go into columns; the others go into their variables.
    fn params_of(&self, loading: &Loading, values: Vec<Value>) -> Vec<Value> {
        let mut params = Vec::with_capacity(values.len());
        let mut variables = self.state.user_variables.borrow_mut();
        let mut values = values.into_iter();
        for target in &loading.targets {
            let value = values.next();
            match &target.target {
                LoadTarget::Column(_) => params.extend(value),
                LoadTarget::Variable(name) => {
                    variables.set(name, value.unwrap_or(Value::Null), DataType::varchar(16_383));
                }
            }
        }
        params
    }

    /// Tells the statement's transaction what may be returned to beside its own beginning.
    fn keep_savepoints(&self, scope: &Scope, start: Option<Savepoint>) {
        match &self.state.transaction {
            Some(open) => open.keep_savepoints(start),
            None => scope.txn.keep_savepoints(start.into_iter().collect()),
        }
    }

    /// Ends the statement and answers it.
    async fn finish_load(&mut self, loading: Loading, result: SqlResult<()>, more: bool) -> SqlResult<()> {
        let done = loading.done();
        let Loading { scope, start, warnings, counts, .. } = loading;
        if result.is_err() {
            scope.txn.rollback_to(start.0);
            if let Some(temporary) = &self.state.temporary {
                temporary.tables.undo_to(start.1);
            }
        }
        scope.txn.release_values();
        self.keep_savepoints(&scope, None);
        self.settle(scope, result).await?;
        self.state.warnings = warnings;
        if counts.first_id > 0 {
            self.state.facts.last_insert_id.set(counts.first_id);
        }
        self.state.facts.row_count.set(i64::try_from(done.affected).unwrap_or(i64::MAX));
        self.write_ok(&done, more);
        Ok(())
    }
}
