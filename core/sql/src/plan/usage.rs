//! Which columns of which tables a statement reads and changes: what privileges are checked against.
//!
//! Names note themselves as they are resolved. Tables that a view's query names are noted with the view, because
//! they are read with its definer's rights. Temporary tables are not noted: everybody may do anything with his own.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use crate::expr::Expr;
use crate::plan::binder::Binder;
use crate::plan::scope::{Scope, ScopeColumn};
use crate::plan::table_info::TableInfo;

/// What a statement does with columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UseKind {
    /// Reads them.
    Read,
    /// Inserts values into them.
    Insert,
    /// Changes them in rows that are there.
    Update,
    /// Deletes rows through a view; other DELETEs need a right on the table that they name.
    Delete,
}

/// The view whose query names a table.
#[derive(Debug, PartialEq, Eq)]
pub struct WithinView {
    /// With whose rights, as `user@host`; `None` with those of whoever runs the statement.
    pub definer: Option<String>,
    /// Database of the view that the statement itself names.
    pub schema: Arc<str>,
    /// Its name.
    pub view: Arc<str>,
}

/// Columns of one table of which a statement makes one use.
#[derive(Debug, PartialEq, Eq)]
pub struct ColumnUse {
    /// Database.
    pub schema: Arc<str>,
    /// Table or view.
    pub table: Arc<str>,
    /// What for.
    pub kind: UseKind,
    /// Names; empty when the table is used without any of its columns, as by `COUNT(*)`.
    pub columns: Vec<Arc<str>>,
    /// Whether they are all, by `*` or an INSERT without names.
    pub all: bool,
    /// The view whose query this is in.
    pub within: Option<Arc<WithinView>>,
}

impl ColumnUse {
    fn is_like(&self, other: &Self) -> bool {
        self.schema == other.schema
            && self.table == other.table
            && self.kind == other.kind
            && self.within == other.within
    }
}

/// Which columns of one table in scope are read.
pub(crate) struct Reads {
    schema: Arc<str>,
    table: Arc<str>,
    within: Option<Arc<WithinView>>,
    columns: RefCell<Vec<Arc<str>>>,
    all: Cell<bool>,
}

impl Reads {
    /// Notes that a column is read.
    pub(crate) fn note(&self, column: &ScopeColumn) {
        let mut columns = self.columns.borrow_mut();
        if !columns.contains(&column.name) {
            columns.push(column.name.clone());
        }
    }

    fn used(&self, kind: UseKind, columns: Vec<Arc<str>>, all: bool) -> ColumnUse {
        let (schema, table, within) = (self.schema.clone(), self.table.clone(), self.within.clone());
        ColumnUse { schema, table, kind, columns, all, within }
    }

    /// Notes that `*` names the table's columns.
    pub(crate) fn note_all(&self) {
        self.all.set(true);
    }
}

impl Binder<'_> {
    /// Begins to note what is read of a table or view.
    pub(crate) fn reads_of(&mut self, schema: &Arc<str>, table: &Arc<str>) -> Rc<Reads> {
        let reads = Rc::new(Reads {
            schema: schema.clone(),
            table: table.clone(),
            within: self.within.clone(),
            columns: RefCell::default(),
            all: Cell::new(false),
        });
        self.reads.push(Rc::clone(&reads));
        reads
    }

    /// As [`Binder::reads_of`] for a stored table; `None` for a temporary one.
    pub(crate) fn reads_of_stored(&mut self, info: &TableInfo) -> Option<Rc<Reads>> {
        let table = &info.table;
        (!table.id.is_temporary()).then(|| self.reads_of(&table.schema, &table.name))
    }

    /// Notes that columns of the block are changed, by their slots: in the tables whose they are, and in the views through
    /// which they are named. `all` when the statement names none of them.
    pub(crate) fn note_changes(&mut self, scope: &Scope<'_>, slots: &[usize], kind: UseKind, all: bool) {
        for (reads, columns) in named_slots(scope) {
            let names = columns.filter(|(slot, _)| slots.contains(slot));
            let columns: Vec<Arc<str>> = names.map(|(_, column)| column.name.clone()).collect();
            if slots.is_empty() || !columns.is_empty() {
                self.changes.push(reads.used(kind, columns, all));
            }
        }
    }

    /// Notes that rows of a table of the block are deleted, as far as it is named by views.
    pub(crate) fn note_deletes(&mut self, scope: &Scope<'_>, table: usize) {
        let views = scope.merged.iter().filter(|merged| merged.tables.contains(&table));
        let named = views.filter_map(|merged| merged.reads.as_ref()).chain(&scope.tables[table].reads);
        let within = named.filter(|reads| reads.within.is_some());
        self.changes.extend(within.map(|reads| reads.used(UseKind::Delete, Vec::new(), false)));
    }

    /// All that was noted, each table once for each use of it.
    pub(crate) fn uses(&mut self) -> Box<[ColumnUse]> {
        let reads = std::mem::take(&mut self.reads);
        let reads =
            reads.into_iter().map(|reads| reads.used(UseKind::Read, reads.columns.take(), reads.all.get()));
        let mut uses: Vec<ColumnUse> = Vec::new();
        for next in reads.chain(std::mem::take(&mut self.changes)) {
            let Some(known) = uses.iter_mut().find(|known| known.is_like(&next)) else {
                uses.push(next);
                continue;
            };
            known.all |= next.all;
            for column in next.columns {
                if !known.columns.contains(&column) {
                    known.columns.push(column);
                }
            }
        }
        uses.into()
    }
}

/// The tables and views of a block for which privileges are needed, with the slots of their columns.
fn named_slots<'s>(
    scope: &'s Scope<'_>,
) -> impl Iterator<Item = (&'s Reads, Box<dyn Iterator<Item = (usize, &'s ScopeColumn)> + 's>)> {
    let tables = scope.tables.iter().filter_map(|table| {
        let columns = table.columns.iter().enumerate().map(|(place, column)| (table.offset + place, column));
        Some((&**table.reads.as_ref()?, Box::new(columns) as Box<dyn Iterator<Item = _>>))
    });
    let views = scope.merged.iter().filter_map(|merged| {
        let columns = merged.exprs.iter().zip(&merged.columns).filter_map(|(expr, column)| match expr {
            Expr::Column { index, .. } => Some((*index, column)),
            _ => None,
        });
        Some((&**merged.reads.as_ref()?, Box::new(columns) as Box<dyn Iterator<Item = _>>))
    });
    tables.chain(views)
}
