//! Which columns of which tables a statement reads and changes: what privileges are checked against.
//!
//! Names note themselves as they are resolved. Tables that a view's query names are noted with the view, because
//! they are read with its definer's rights. Temporary tables are not noted: everybody may do anything with his own.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use crate::plan::binder::Binder;
use crate::plan::scope::ScopeColumn;
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
        if !columns.contains(&column.org_name) {
            columns.push(column.org_name.clone());
        }
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

    /// Notes which columns of a table are changed.
    pub(crate) fn note_change(
        &mut self,
        info: &TableInfo,
        kind: UseKind,
        columns: impl Iterator<Item = usize>,
        all: bool,
    ) {
        let table = &info.table;
        if table.id.is_temporary() {
            return;
        }
        let names = columns.map(|column| table.columns[column].name.clone()).collect();
        let (schema, table) = (table.schema.clone(), table.name.clone());
        self.changes.push(ColumnUse { schema, table, kind, columns: names, all, within: None });
    }

    /// All that was noted, each table once for each use of it.
    pub(crate) fn uses(&mut self) -> Box<[ColumnUse]> {
        let reads = std::mem::take(&mut self.reads);
        let reads = reads.into_iter().map(|reads| ColumnUse {
            schema: reads.schema.clone(),
            table: reads.table.clone(),
            kind: UseKind::Read,
            columns: reads.columns.take(),
            all: reads.all.get(),
            within: reads.within.clone(),
        });
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
