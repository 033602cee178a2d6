//! INSERT and REPLACE.

use aquifer_types::convert::{Strictness, is_identical};
use aquifer_types::{DataType, SqlResult, Value, Warnings};
use bytes::Bytes;

use crate::exec::change::assign;
use crate::exec::change::foreign_keys;
use crate::exec::convert;
use crate::exec::foreign;
use crate::exec::numbering::{self, Number, Numbering, ValueLocks};
use crate::exec::operator::Operator;
use crate::exec::rows::Rows;
use crate::exec::rules;
use crate::exec::scan::decode_row;
use crate::exec::subquery;
use crate::exec::write::{self, Duplicate};
use crate::exec::{AffectedRows, ExecContext};
use crate::plan::table_info::{IndexInfo, TableInfo};
use crate::plan::{ConflictPlan, InsertPlan, InsertSource};
use crate::result::Done;

/// Hidden row numbers taken at once.
const HIDDEN_BLOCK: u64 = 64;

/// Rows whose locks are asked for together.
const GROUP_ROWS: usize = 256;

/// Row numbers that are reserved and not yet used.
#[derive(Default)]
struct Reserved {
    next: u64,
    end: u64,
}

/// A row that is about to be inserted.
struct NewRow {
    row: Vec<Value>,
    /// As stored.
    stored: Vec<Value>,
    primary: Bytes,
    entries: Vec<write::Entry>,
}

/// What has come of evaluating a row.
struct Made {
    number: Option<Number>,
    /// `None` when IGNORE leaves it out.
    row: Option<NewRow>,
    /// Of the evaluation, to be told when those of the rows before it are.
    warnings: Warnings,
}

struct Inserter<'p> {
    plan: &'p InsertPlan,
    strictness: Strictness,
    numbering: Numbering,
    /// Of the row that is being evaluated or inserted.
    number: Option<Number>,
    hidden: Reserved,
    /// Rows still to come, as far as known, so that their values are reserved together.
    ahead: u64,
    affected: u64,
    records: u64,
    duplicates: u64,
}

pub(crate) async fn execute<'a>(plan: &'a InsertPlan, ctx: &mut ExecContext<'a>) -> SqlResult<Done> {
    let done = insert(plan, ctx).await;
    // LOAD DATA is a single statement for all its executions, and ends itself.
    if ctx.numbering.locks != ValueLocks::Interleaved && ctx.loaded.is_none() {
        ctx.txn.release_values();
    }
    done
}

async fn insert<'a>(plan: &'a InsertPlan, ctx: &mut ExecContext<'a>) -> SqlResult<Done> {
    let is_bulk = ctx.loaded.is_some() || matches!(plan.source, InsertSource::Query { .. });
    let strictness = convert::strictness(plan.ignore, &ctx.eval);
    let mut inserter = Inserter {
        plan,
        strictness,
        numbering: Numbering::new(is_bulk),
        number: None,
        hidden: Reserved::default(),
        ahead: 1,
        affected: 0,
        records: 0,
        duplicates: 0,
    };
    let nothing = vec![Value::Null; plan.table.width() * 2];
    for apply in &plan.applies {
        subquery::run(apply, &nothing, ctx).await?;
    }
    match &plan.source {
        InsertSource::Values(rows) => {
            let rows = rows.iter().enumerate().map(|(number, values)| (rows.len() - number, values));
            inserter.insert_all(rows, |inserter, values, ctx| inserter.values_row(values, ctx), ctx).await?;
        }
        InsertSource::Query { plan: query, types, reads_target } => {
            let mut operator = Operator::open(&query.node, query.row_width, None);
            let mut source = Vec::new();
            while let Some(rows) = operator.next(ctx).await? {
                if *reads_target {
                    (0..rows.count).try_for_each(|number| ctx.memory.charge_kept(rows.row(number)))?;
                    source.push(rows);
                } else {
                    inserter.insert_batches(&[rows], types, ctx).await?;
                }
            }
            inserter.insert_batches(&source, types, ctx).await?;
        }
    }
    Ok(inserter.done(ctx))
}

impl<'a> Inserter<'a> {
    fn done(&self, ctx: &ExecContext<'_>) -> Done {
        if let Some(first) = self.numbering.first() {
            ctx.eval.session.last_insert_id.set(first);
        }
        let several = match &self.plan.source {
            InsertSource::Values(rows) => rows.len() > 1,
            InsertSource::Query { .. } => true,
        };
        let warnings = ctx.eval.warnings.total();
        let info = if several {
            format!("Records: {}  Duplicates: {}  Warnings: {warnings}", self.records, self.duplicates)
        } else {
            String::new()
        };
        Done { affected: self.affected, last_insert_id: self.numbering.insert_id(), info }
    }

    /// A row of columns that are given or have their defaults.
    fn defaults_row(&self, ctx: &mut ExecContext<'_>) -> SqlResult<Vec<Value>> {
        let info = &self.plan.table;
        let mut row = vec![Value::Null; info.width()];
        for (column, plan) in self.plan.defaults.iter().enumerate() {
            if !self.plan.columns.contains(&column) {
                row[column] = convert::default(info, column, plan, &row, self.strictness, &mut ctx.eval)?;
            }
        }
        Ok(row)
    }

    fn values_row(
        &self,
        values: &[Option<crate::expr::Expr>],
        ctx: &mut ExecContext<'_>,
    ) -> SqlResult<Vec<Value>> {
        let info = &self.plan.table;
        let mut row = self.defaults_row(ctx)?;
        for (column, value) in self.plan.columns.iter().zip(values) {
            row[*column] = match value {
                Some(expr) => {
                    let value = expr.eval(&row, &mut ctx.eval)?;
                    self.given(*column, value, expr.data_type(), ctx)?
                }
                None => {
                    let plan = &self.plan.defaults[*column];
                    convert::default(info, *column, plan, &row, self.strictness, &mut ctx.eval)?
                }
            };
        }
        if values.is_empty() {
            for column in &self.plan.columns {
                let plan = &self.plan.defaults[*column];
                row[*column] = convert::default(info, *column, plan, &row, self.strictness, &mut ctx.eval)?;
            }
        }
        Ok(row)
    }

    fn query_row(
        &self,
        values: &[Value],
        types: &[aquifer_types::DataType],
        ctx: &mut ExecContext<'_>,
    ) -> SqlResult<Vec<Value>> {
        let mut row = self.defaults_row(ctx)?;
        for ((column, value), from) in self.plan.columns.iter().zip(values).zip(types) {
            row[*column] = self.given(*column, value.clone(), from, ctx)?;
        }
        Ok(row)
    }

    fn given(
        &self,
        column: usize,
        value: Value,
        from: &aquifer_types::DataType,
        ctx: &mut ExecContext<'_>,
    ) -> SqlResult<Value> {
        let info = &self.plan.table;
        let value = convert::store(info, column, value, from, self.strictness, &mut ctx.eval)?;
        if self.plan.auto_increment == Some(column) {
            return Ok(value);
        }
        // NULL given in a single row is an error in every mode.
        let single = matches!(&self.plan.source, InsertSource::Values(rows) if rows.len() == 1);
        let strictness = if single && !self.plan.ignore { Strictness::Strict } else { self.strictness };
        convert::not_null(info, column, value, strictness, &mut ctx.eval)
    }

    async fn primary_key(&mut self, stored: &[Value], ctx: &ExecContext<'_>) -> SqlResult<Bytes> {
        let info = &self.plan.table;
        if let Some(key) = info.primary_key(stored)? {
            return Ok(key);
        }
        if self.hidden.next >= self.hidden.end {
            let counter = info.table.row_counter();
            let count = self.ahead.clamp(1, HIDDEN_BLOCK);
            let first = ctx.txn.reserve_auto_increment(counter, count, 1).await?;
            self.hidden = Reserved { next: first, end: first + count };
        }
        self.hidden.next += 1;
        info.hidden_key(self.hidden.next - 1)
    }

    /// Inserts what a query brought.
    async fn insert_batches(
        &mut self,
        batches: &[Rows],
        types: &[DataType],
        ctx: &mut ExecContext<'a>,
    ) -> SqlResult<()> {
        let total: usize = batches.iter().map(|rows| rows.count).sum();
        let each = batches.iter().flat_map(|rows| (0..rows.count).map(|number| rows.row(number)));
        let rows = each.enumerate().map(|(number, values)| (total - number, values));
        self.insert_all(rows, |inserter, values, ctx| inserter.query_row(values, types, ctx), ctx).await
    }

    /// Inserts rows, each with the number of rows that are left with it. They are made in groups whose locks
    /// are asked for together (ADR 0154).
    async fn insert_all<R>(
        &mut self,
        rows: impl Iterator<Item = (usize, R)>,
        mut make: impl FnMut(&Self, R, &mut ExecContext<'a>) -> SqlResult<Vec<Value>>,
        ctx: &mut ExecContext<'a>,
    ) -> SqlResult<()> {
        let group = if self.plan.conflict.is_order_free() { GROUP_ROWS } else { 1 };
        let mut rows = rows.peekable();
        let mut made = Vec::new();
        while rows.peek().is_some() {
            let before = ctx.eval.warnings.take();
            let mut failed = None;
            for (left, values) in rows.by_ref().take(group) {
                ctx.eval.row_number = ctx.loaded.unwrap_or(0) + self.records + 1;
                self.records += 1;
                self.ahead = left as u64;
                let row = match make(self, values, ctx) {
                    Ok(row) => self.new_row(row, ctx).await,
                    Err(error) => Err(error),
                };
                let row = match row {
                    Ok(row) => Some(row),
                    Err(error) if self.plan.ignore && rules::is_ignorable(&error) => {
                        ctx.eval.warnings.demote(&error);
                        None
                    }
                    Err(error) => {
                        failed = Some((error, ctx.eval.warnings.take()));
                        break;
                    }
                };
                made.push(Made { number: self.number, row, warnings: ctx.eval.warnings.take() });
            }
            ctx.eval.warnings = before;
            lock_group(made.iter().filter_map(|made| made.row.as_ref()), ctx).await;
            for Made { number, row, warnings } in made.drain(..) {
                ctx.eval.warnings.append(&warnings);
                self.number = number;
                self.numbering.given(number);
                let Some(row) = row else { continue };
                let savepoint = ctx.txn.savepoint();
                let inserted = self.insert(row, ctx).await;
                rules::unless_ignored(inserted, self.plan.ignore, savepoint, ctx)?;
                ctx.make_room().await?;
            }
            if let Some((error, warnings)) = failed {
                ctx.eval.warnings.append(&warnings);
                return Err(error);
            }
            if self.records.is_multiple_of(GROUP_ROWS as u64) {
                ctx.pause().await?;
            }
        }
        Ok(())
    }

    /// A row with its number and keys.
    async fn new_row(&mut self, mut row: Vec<Value>, ctx: &mut ExecContext<'a>) -> SqlResult<NewRow> {
        let info = &self.plan.table;
        self.number = match self.plan.auto_increment {
            Some(column) => Some(self.numbering.number(info, (&mut row, column), self.ahead, ctx).await?),
            None => None,
        };
        rules::complete(info, &self.plan.rules, &mut row, self.strictness, ctx)?;
        self.check_option(&row, ctx).await?;
        let stored = write::to_stored(info, &row, ctx.eval.time_zone);
        let primary = self.primary_key(&stored, ctx).await?;
        let entries = write::entries(info, &stored, &primary, ctx)?;
        Ok(NewRow { row, stored, primary, entries })
    }

    /// WITH CHECK OPTION of the view through which rows are inserted.
    async fn check_option(&self, row: &[Value], ctx: &mut ExecContext<'a>) -> SqlResult<()> {
        match &self.plan.check {
            Some(check) => rules::check_option(Some(check), &check.row(row), ctx).await,
            None => Ok(()),
        }
    }

    async fn insert(&mut self, new: NewRow, ctx: &mut ExecContext<'a>) -> SqlResult<()> {
        let NewRow { row, stored, primary, entries: mut next } = new;
        let info = &self.plan.table;
        loop {
            let entries = std::mem::take(&mut next);
            let Some(duplicate) = write::claim(info, (&primary, &entries), &stored, None, ctx).await? else {
                write::put_row(info, &primary, &stored, entries, ctx).await?;
                self.check_parents(&stored, ctx).await?;
                self.numbering.inserted(self.number);
                self.affected += 1;
                return Ok(());
            };
            match &self.plan.conflict {
                ConflictPlan::Error => return Err(write::duplicate_error(info, duplicate.index, &row)),
                ConflictPlan::Ignore => {
                    self.duplicates += 1;
                    let error = write::duplicate_error(info, duplicate.index, &row);
                    ctx.eval.warnings.demote(&error);
                    return Ok(());
                }
                ConflictPlan::Replace => {
                    self.duplicates += 1;
                    write::lock(&duplicate.primary, ctx).await?;
                    if let Some((_, old)) = write::read_row(info, &duplicate.primary, ctx).await? {
                        if self.stays(&duplicate, &old, &stored) {
                            self.affected += 1;
                            return Ok(());
                        }
                        write::delete_row(info, &duplicate.primary, &old, ctx).await?;
                        if let Some(keys) = foreign_keys(&self.plan.rules, ctx) {
                            foreign::removed(keys, info.table.id, old, 1, ctx).await?;
                        }
                        self.affected += 1;
                    }
                    next = entries;
                }
                ConflictPlan::Update(..) => return self.update(&duplicate, &row, ctx).await,
            }
        }
    }

    /// Whether REPLACE finds the row that it would write: MySQL then counts none as deleted, if the key is the
    /// last unique one and no foreign key refers to the table.
    fn stays(&self, duplicate: &Duplicate, old: &[Value], new: &[Value]) -> bool {
        let info = &self.plan.table;
        let last = info.indexes.iter().rposition(IndexInfo::is_unique);
        last == Some(duplicate.index)
            && self.plan.rules.foreign.is_none()
            && old.iter().zip(new).all(|(a, b)| is_identical(a, b))
    }

    async fn check_parents(&self, stored: &[Value], ctx: &ExecContext<'_>) -> SqlResult<()> {
        let links = foreign_keys(&self.plan.rules, ctx).and_then(|keys| keys.table(self.plan.table.table.id));
        match links {
            Some(links) => foreign::check_parents(links, stored, None, None, ctx).await,
            None => Ok(()),
        }
    }

    /// ON DUPLICATE KEY UPDATE.
    async fn update(
        &mut self,
        duplicate: &Duplicate,
        new: &[Value],
        ctx: &mut ExecContext<'a>,
    ) -> SqlResult<()> {
        let ConflictPlan::Update(assignments, on_update) = &self.plan.conflict else { return Ok(()) };
        self.duplicates += 1;
        let info: &TableInfo = &self.plan.table;
        let Some(stored) = write::lock(&duplicate.primary, ctx).await? else { return Ok(()) };
        let width = info.width();
        let mut row = vec![Value::Null; width];
        decode_row(info, &stored, info.all_columns(), &mut row, ctx.eval.time_zone)?;
        let old = row.clone();
        row.extend_from_slice(new);
        for assignment in assignments {
            assign(info, assignment, &self.plan.defaults, &mut row, self.strictness, ctx)?;
        }
        row.truncate(width);
        let changed = row.iter().zip(&old).any(|(a, b)| !is_identical(a, b));
        if !changed {
            self.check_option(&row, ctx).await?;
            self.affected += u64::from(ctx.affected == AffectedRows::Found);
            return Ok(());
        }
        for (column, expr) in on_update {
            let value = expr.eval(&row, &mut ctx.eval)?;
            row[*column] =
                convert::store(info, *column, value, expr.data_type(), self.strictness, &mut ctx.eval)?;
        }
        rules::complete(info, &self.plan.rules, &mut row, self.strictness, ctx)?;
        self.check_option(&row, ctx).await?;
        super::change::write_with_rules(info, &self.plan.rules, &duplicate.primary, (&old, &row), ctx)
            .await?;
        if let Some(column) = self.plan.auto_increment
            && let Some(value) = numbering::explicit(&row[column], true)
        {
            self.numbering.given(Some(Number::Given(value)));
        }
        self.affected += 2;
        Ok(())
    }
}

/// Asks together for the locks that the rows will need one by one.
async fn lock_group(rows: impl Iterator<Item = &NewRow>, ctx: &ExecContext<'_>) {
    let mut keys = Vec::new();
    for row in rows {
        keys.push(row.primary.clone());
        keys.extend(row.entries.iter().filter(|entry| entry.unique).map(|entry| entry.key.clone()));
    }
    ctx.txn.lock_group(keys).await;
}
