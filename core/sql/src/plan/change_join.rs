//! UPDATE and DELETE of rows of a join.
//!
//! The join is planned as that of a query whose rows have, after all columns, one slot more for each table to be
//! changed: the key of its row, NULL where an outer join has none. Rows of those tables are locked exclusively,
//! those of the others shared, and all are read in their newest versions.

use std::cell::RefCell;
use std::sync::Arc;

use aquifer_catalog::Table;
use aquifer_types::{SqlError, SqlResult, TableId};

use crate::ast::{AstExpr, Delete, TableName, TableRef, Update};
use crate::plan::bind_expr::ExprContext;
use crate::plan::binder::Binder;
use crate::plan::change_view::{CheckOption, assigned_slot, no_delete, not_updatable, several_tables};
use crate::plan::defaults::DefaultPlan;
use crate::plan::dml::{AssignmentPlan, is_generated};
use crate::plan::foreign::ForeignKeys;
use crate::plan::from::{Source, conjuncts};
use crate::plan::join_order::{FromPlanner, filtered};
use crate::plan::node::{Apply, LockSpec, Node, WaitSpec};
use crate::plan::rules::RowRules;
use crate::plan::scope::{MergedTable, Scope, unknown_column};
use crate::plan::table_info::TableInfo;
use crate::plan::targets_in_subqueries::find_target;
use crate::plan::usage::UseKind;
use crate::txn::LockMode;

/// Rows of a join, with the keys of those to be changed.
pub(crate) struct KeyedJoin {
    pub node: Node,
    pub row_width: usize,
}

/// A table whose rows an UPDATE of a join changes.
pub(crate) struct UpdateTarget {
    pub info: Arc<TableInfo>,
    /// The table or view that the statement names.
    pub named: Arc<Table>,
    pub check: Option<CheckOption>,
    /// Where its columns begin in rows of the join.
    pub offset: usize,
    /// Where the key of its row is.
    pub key_slot: usize,
    pub assignments: Vec<AssignmentPlan>,
    pub defaults: Vec<DefaultPlan>,
    /// Over a row of the table alone.
    pub on_update: Vec<(usize, crate::expr::Expr)>,
    pub rules: RowRules,
}

/// UPDATE of a join.
pub(crate) struct UpdateJoinPlan {
    pub join: KeyedJoin,
    /// Subqueries of SET.
    pub applies: Vec<Apply>,
    pub targets: Vec<UpdateTarget>,
    pub ignore: bool,
}

/// A table from which a DELETE of a join deletes.
pub(crate) struct DeleteTarget {
    pub info: Arc<TableInfo>,
    pub key_slot: usize,
    pub foreign: Option<ForeignKeys>,
}

/// DELETE from tables of a join.
pub(crate) struct DeleteJoinPlan {
    pub join: KeyedJoin,
    pub targets: Vec<DeleteTarget>,
    pub ignore: bool,
}

/// FROM before the targets are known.
pub(super) struct Bound {
    pub scope: Scope<'static>,
    pub sources: Vec<Source>,
    pub tree: crate::plan::from::Tree,
}

impl Bound {
    /// The stored table of a number, which an entry of FROM stands for.
    fn target(&self, table: usize, entry: usize, verb: &str) -> SqlResult<Arc<TableInfo>> {
        match self.sources.get(table) {
            Some(Source::Stored { info, .. }) => Ok(Arc::clone(info)),
            _ => Err(not_updatable(self.scope.entry(entry).alias, verb)),
        }
    }
}

impl Binder<'_> {
    pub(super) fn bound_from(&mut self, from: &TableRef) -> SqlResult<Bound> {
        let mut scope = Scope::new(None);
        let mut sources = Vec::new();
        let tree = self.from(from, &mut scope, &mut sources)?;
        Ok(Bound { scope, sources, tree })
    }

    /// Plans the join; `targets` are the numbers of the tables whose keys are wanted, in the order of their slots.
    fn keyed_join(
        &mut self,
        bound: Bound,
        filter: Option<&AstExpr>,
        targets: &[usize],
    ) -> SqlResult<KeyedJoin> {
        let Bound { scope, sources, tree } = bound;
        let mut applies = Vec::new();
        let mut conditions = Vec::new();
        if let Some(filter) = filter {
            let mut cx = ExprContext::plain("where clause", &mut applies);
            let expr = self.expr(filter, &scope, &mut cx)?;
            conjuncts(expr, &mut conditions);
            self.use_generated(&scope, &mut conditions)?;
        }
        scope.pending.take().join_clause(&mut conditions, &mut applies);
        let results: Vec<usize> = applies.iter().map(|apply| apply.result).collect();
        let (late, mut conditions): (Vec<_>, Vec<_>) =
            conditions.into_iter().partition(|c| super::assemble::mentions(c, &results));
        self.locks = true;
        let place = |table: usize| targets.iter().position(|target| *target == table);
        let key_slots: Vec<Option<usize>> =
            (0..scope.tables.len()).map(|table| place(table).map(|place| scope.width + place)).collect();
        let locks: Vec<Option<LockSpec>> = (0..scope.tables.len())
            .map(|table| {
                let mode = if place(table).is_some() { LockMode::Exclusive } else { LockMode::Shared };
                Some(LockSpec { mode, wait: WaitSpec::Timeout })
            })
            .collect();
        let knowledge = self.knowledge();
        let planner = FromPlanner {
            tables: &scope.tables,
            sources: &sources,
            used: &vec![true; scope.width],
            locks: &locks,
            order: &[],
            limited: false,
            first_rows: false,
            straight: false,
            key_slots: &key_slots,
            knowledge: &knowledge,
            pushed: RefCell::default(),
        };
        let plan = planner.plan(tree, &mut conditions)?;
        let mut node = filtered(plan.node, conditions);
        if !late.is_empty() {
            node = Node::Filter { input: Box::new(node), applies, conditions: late };
        }
        Ok(KeyedJoin { node, row_width: scope.width + targets.len() })
    }

    pub(super) fn update_join(&mut self, update: &Update, bound: Bound) -> SqlResult<UpdateJoinPlan> {
        for (given, what) in [(!update.order.is_empty(), "ORDER BY"), (update.limit.is_some(), "LIMIT")] {
            if given {
                return Err(SqlError::new(1221, format!("Incorrect usage of UPDATE and {what}")));
            }
        }
        let mut applies = Vec::new();
        let mut numbers: Vec<usize> = Vec::new();
        let mut entries: Vec<usize> = Vec::new();
        let mut targets: Vec<UpdateTarget> = Vec::new();
        for assignment in &update.assignments {
            let Some(found) = bound.scope.find_target(&assignment.column, "field list")? else {
                return Err(unknown_column(&assignment.column, "field list"));
            };
            self.refuse_entry(&bound.scope, found.entry, "UPDATE")?;
            let slot = assigned_slot(&found)?;
            let number = bound.scope.table_of(slot).unwrap_or(0);
            let info = bound.target(number, found.entry, "UPDATE")?;
            let offset = bound.scope.tables[number].offset;
            let column = slot - offset;
            let place = match numbers.iter().position(|known| *known == number) {
                Some(place) => place,
                None => {
                    if let Some(MergedTable { view: Some(view), .. }) = bound.scope.merged_at(found.entry)
                        && entries.contains(&found.entry)
                    {
                        return Err(several_tables(view));
                    }
                    numbers.push(number);
                    entries.push(found.entry);
                    let target =
                        self.update_target(Arc::clone(&info), (found.entry, offset), &bound.scope)?;
                    targets.push(target);
                    targets.len() - 1
                }
            };
            if is_generated(&info, column, &assignment.value)? {
                continue;
            }
            let mut cx = ExprContext::plain("field list", &mut applies);
            let value = match &assignment.value {
                AstExpr::Default => None,
                value => Some(self.expr(value, &bound.scope, &mut cx)?),
            };
            targets[place].assignments.push(AssignmentPlan { column, value });
        }
        let infos: Vec<Arc<TableInfo>> = targets.iter().map(|target| Arc::clone(&target.info)).collect();
        let in_set = update.assignments.iter().map(|assignment| &assignment.value);
        self.refuse_targets_in_subqueries(&infos, in_set.chain(&update.filter), &update.table)?;
        refuse_moved_keys(&targets, &numbers, &bound.scope)?;
        let width = bound.scope.width;
        for (place, target) in targets.iter_mut().enumerate() {
            target.key_slot = width + place;
            target.on_update = self.on_update(&target.info, &target.assignments)?;
        }
        let slots = |target: &UpdateTarget| {
            let columns = target.assignments.iter().map(|assignment| assignment.column);
            columns.map(|column| target.offset + column).collect::<Vec<_>>()
        };
        let assigned: Vec<usize> = targets.iter().flat_map(slots).collect();
        self.note_changes(&bound.scope, &assigned, UseKind::Update, false);
        let join = self.keyed_join(bound, update.filter.as_ref(), &numbers)?;
        Ok(UpdateJoinPlan { join, applies, targets, ignore: update.ignore })
    }

    fn update_target(
        &mut self,
        info: Arc<TableInfo>,
        (entry, offset): (usize, usize),
        scope: &Scope<'_>,
    ) -> SqlResult<UpdateTarget> {
        let view = scope.merged_at(entry).and_then(|merged| merged.view.clone());
        let named = view.unwrap_or_else(|| Arc::clone(&info.table));
        Ok(UpdateTarget {
            check: self.check_of(scope, entry, offset)?,
            named,
            offset,
            key_slot: 0,
            assignments: Vec::new(),
            defaults: self.defaults(&info)?,
            on_update: Vec::new(),
            rules: self.rules(&info)?,
            info,
        })
    }

    pub(super) fn delete_join(&mut self, delete: &Delete, bound: Bound) -> SqlResult<DeleteJoinPlan> {
        let mut numbers: Vec<usize> = Vec::new();
        let mut targets = Vec::new();
        for name in &delete.targets {
            let entry = self.delete_target_entry(name, &bound)?;
            self.refuse_entry(&bound.scope, entry, "DELETE")?;
            let tables = bound.scope.tables_of(entry);
            if let (Some(MergedTable { view: Some(view), .. }), true) =
                (bound.scope.merged_at(entry), tables.len() > 1)
            {
                return Err(no_delete(view));
            }
            let number = tables.start;
            if numbers.contains(&number) {
                return Err(SqlError::new(1066, format!("Not unique table/alias: '{}'", name.name)));
            }
            let info = bound.target(number, entry, "DELETE")?;
            let key_slot = bound.scope.width + numbers.len();
            numbers.push(number);
            self.note_deletes(&bound.scope, number);
            targets.push(DeleteTarget { key_slot, foreign: self.foreign_keys(&info)?, info });
        }
        let infos: Vec<Arc<TableInfo>> = targets.iter().map(|target| Arc::clone(&target.info)).collect();
        self.refuse_targets_in_subqueries(&infos, delete.filter.iter(), &delete.from)?;
        let join = self.keyed_join(bound, delete.filter.as_ref(), &numbers)?;
        Ok(DeleteJoinPlan { join, targets, ignore: delete.ignore })
    }

    /// The entry of FROM that a name after DELETE means: by its alias, or by its own name where it has no alias.
    fn delete_target_entry(&self, name: &TableName, bound: &Bound) -> SqlResult<usize> {
        let current = self.env.bind.database.as_deref();
        let scope = &bound.scope;
        let find = |wanted: &dyn Fn(usize) -> bool| {
            (0..scope.names.len()).find(|entry| **scope.entry(*entry).alias == *name.name && wanted(*entry))
        };
        let found = match &name.schema {
            // Of tables of one name in several databases the current one's is meant.
            None => find(&|entry| current == Some(scope.entry(entry).schema)).or_else(|| find(&|_| true)),
            Some(schema) => find(&|entry| {
                scope.own_name(entry) == Some(&*name.name) && **scope.entry(entry).schema == **schema
            }),
        };
        found.ok_or_else(|| SqlError::new(1109, format!("Unknown table '{}' in MULTI DELETE", name.name)))
    }

    /// Error 1093 when a subquery reads a table that the statement changes.
    fn refuse_targets_in_subqueries<'e>(
        &self,
        targets: &[Arc<TableInfo>],
        exprs: impl Iterator<Item = &'e AstExpr>,
        from: &'e TableRef,
    ) -> SqlResult<()> {
        let is_target = |name: &TableName| {
            let schema = name.schema.as_deref().or(self.env.bind.database.as_deref()).unwrap_or_default();
            targets.iter().any(|info| *info.table.name == *name.name && *info.table.schema == *schema)
        };
        match find_target(exprs, from, &is_target) {
            None => Ok(()),
            Some(name) => {
                let text =
                    format!("You can't specify target table '{}' for update in FROM clause", name.name);
                Err(SqlError::new(1093, text))
            }
        }
    }
}

/// Error 1706 when a table is changed under two names and one of them changes its primary key.
fn refuse_moved_keys(targets: &[UpdateTarget], numbers: &[usize], scope: &Scope<'_>) -> SqlResult<()> {
    let moves = |target: &UpdateTarget| {
        let key = &target.info.indexes[0].columns;
        target.assignments.iter().any(|assignment| key.contains(&assignment.column))
    };
    let id = |target: &UpdateTarget| -> TableId { target.info.table.id };
    for (first, a) in targets.iter().enumerate() {
        for (second, b) in targets.iter().enumerate().skip(first + 1) {
            if id(a) == id(b) && (moves(a) || moves(b)) {
                let alias = |place: usize| &scope.tables[numbers[place]].alias;
                let text = format!(
                    "Primary key/partition key update is not allowed since the table is updated both as '{}' and '{}'.",
                    alias(first),
                    alias(second)
                );
                return Err(SqlError::new(1706, text));
            }
        }
    }
    Ok(())
}
