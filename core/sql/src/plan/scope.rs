//! Which names are visible where.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use aquifer_types::{DataType, SqlError, SqlResult};

use crate::ast::{ColumnRef, CommonTable};
use crate::expr::Expr;
use crate::plan::common::BoundCommon;
use crate::plan::recursive::WorkTable;
use crate::plan::table_info::TableInfo;
use crate::plan::usage::Reads;
use crate::result::ColumnFlags;

/// A column of a table in scope.
#[derive(Clone)]
pub(crate) struct ScopeColumn {
    pub name: Arc<str>,
    pub data_type: DataType,
    pub nullable: bool,
    pub invisible: bool,
    /// Hidden from unqualified names and `*` because USING or NATURAL merged it into another.
    pub merged: bool,
    pub flags: ColumnFlags,
    pub org_name: Arc<str>,
    pub org_table: Arc<str>,
    pub schema: Arc<str>,
}

/// A table in scope.
pub(crate) struct ScopeTable {
    pub alias: Arc<str>,
    pub schema: Arc<str>,
    pub offset: usize,
    pub columns: Vec<ScopeColumn>,
    pub info: Option<Arc<TableInfo>>,
    /// Where its columns are noted as they are read; `None` for what nobody needs a privilege for.
    pub reads: Option<Rc<Reads>>,
}

impl ScopeTable {
    /// Notes that a column is read.
    pub(crate) fn note_read(&self, position: usize) {
        if let Some(reads) = &self.reads {
            reads.note(&self.columns[position]);
        }
    }
}

/// A common table that queries inside may name.
#[derive(Clone)]
pub(crate) struct CommonTableDef {
    pub table: Arc<CommonTable>,
    /// How many of the definitions before it are visible to its query.
    pub visible: usize,
    /// Whether it names itself under WITH RECURSIVE.
    pub recursive: bool,
    /// Within its own recursive parts: the rows of the iteration before.
    pub work: Option<WorkTable>,
    /// How often the query that it belongs to names it.
    pub references: usize,
    /// Once it was named: how it is computed.
    pub bound: Option<BoundCommon>,
}

/// The names of one query block.
pub(crate) struct Scope<'p> {
    pub tables: Vec<ScopeTable>,
    pub parent: Option<&'p Scope<'p>>,
    /// Parameters that stand for columns of the parent, with the parent's expression.
    pub outer: RefCell<Vec<(usize, Expr)>>,
    /// Whether anything inside depends on a block outside.
    pub correlated: Cell<bool>,
    /// Whether that is a block beyond the one around it.
    pub distant: Cell<bool>,
    pub width: usize,
    /// Columns of `*` as (table, column): those that USING and NATURAL merged come first (manual 13.2.13.2).
    pub star: Vec<(usize, usize)>,
}

/// A resolved name.
pub(crate) struct Found<'s> {
    pub index: usize,
    pub column: &'s ScopeColumn,
    pub table: usize,
}

impl<'p> Scope<'p> {
    pub(crate) fn new(parent: Option<&'p Scope<'p>>) -> Self {
        Self {
            tables: Vec::new(),
            parent,
            outer: RefCell::default(),
            correlated: Cell::new(false),
            distant: Cell::new(false),
            width: 0,
            star: Vec::new(),
        }
    }

    /// Adds a table and gives its offset.
    pub(crate) fn push(&mut self, table: ScopeTable) -> SqlResult<usize> {
        let clash = self.tables.iter().any(|known| {
            *known.alias == *table.alias
                && (known.schema == table.schema || known.info.is_none() || table.info.is_none())
        });
        if clash {
            return Err(SqlError::new(1066, format!("Not unique table/alias: '{}'", table.alias)));
        }
        self.star.extend((0..table.columns.len()).map(|column| (self.tables.len(), column)));
        Ok(self.push_unnamed(table))
    }

    /// Adds a table that no name means, after all names are resolved.
    pub(crate) fn push_unnamed(&mut self, mut table: ScopeTable) -> usize {
        table.offset = self.width;
        self.width += table.columns.len();
        self.tables.push(table);
        self.tables.len() - 1
    }

    /// A column of this block that is read; `None` when there is none.
    pub(crate) fn find(&self, name: &ColumnRef, clause: &str) -> SqlResult<Option<Found<'_>>> {
        let found = self.find_target(name, clause)?;
        if let Some(found) = &found {
            let table = &self.tables[found.table];
            table.note_read(found.index - table.offset);
        }
        Ok(found)
    }

    /// As [`Scope::find`] for a column that is not read but assigned.
    pub(crate) fn find_target(&self, name: &ColumnRef, clause: &str) -> SqlResult<Option<Found<'_>>> {
        let mut found: Option<Found<'_>> = None;
        for (number, table) in self.tables.iter().enumerate() {
            if !matches_table(table, name) {
                continue;
            }
            for (position, column) in table.columns.iter().enumerate() {
                if column.merged && name.table.is_none() || !same_name(&column.name, &name.name) {
                    continue;
                }
                if found.is_some() {
                    let text = format!("Column '{}' in {clause} is ambiguous", full_name(name));
                    return Err(SqlError::new(1052, text));
                }
                found = Some(Found { index: table.offset + position, column, table: number });
            }
        }
        Ok(found)
    }

    /// The table that fills a slot.
    pub(crate) fn table_of(&self, index: usize) -> Option<usize> {
        self.tables.iter().position(|t| index >= t.offset && index < t.offset + t.columns.len())
    }
}

/// Whether a table answers to the qualifiers of a name.
pub(crate) fn matches_table(table: &ScopeTable, name: &ColumnRef) -> bool {
    // Names of virtual tables are compared without case.
    let is_virtual = table.info.is_none() && crate::virtual_tables::schema_name(&table.schema).is_some();
    let same = |alias: &str| *table.alias == *alias || is_virtual && table.alias.eq_ignore_ascii_case(alias);
    match (&name.schema, &name.table) {
        (_, None) => true,
        (None, Some(alias)) => same(alias),
        (Some(schema), Some(alias)) => same(alias) && table.schema.eq_ignore_ascii_case(schema),
    }
}

/// Column names are compared without case.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || !a.is_ascii() && a.to_lowercase() == b.to_lowercase()
}

/// A name as messages show it.
pub(crate) fn full_name(name: &ColumnRef) -> String {
    let qualifiers = name.schema.iter().chain(&name.table);
    qualifiers.chain(std::iter::once(&name.name)).map(String::as_str).collect::<Vec<_>>().join(".")
}

/// Error 1054.
pub(crate) fn unknown_column(name: &ColumnRef, clause: &str) -> SqlError {
    SqlError::new(1054, format!("Unknown column '{}' in '{clause}'", full_name(name)))
}
