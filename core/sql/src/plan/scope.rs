//! Which names are visible where.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use aquifer_catalog::Table;
use aquifer_types::{DataType, SqlError, SqlResult};

use crate::ast::{ColumnRef, CommonTable};
use crate::expr::{self, Expr};
use crate::plan::common::BoundCommon;
use crate::plan::merge::Pending;
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

/// A view or derived table whose own tables stand in the block instead of it ([`crate::plan::merge`]): a name for
/// expressions over their rows, without a place in the row of the block.
pub(crate) struct MergedTable {
    pub alias: Arc<str>,
    pub schema: Arc<str>,
    pub columns: Vec<ScopeColumn>,
    /// What each column is.
    pub exprs: Vec<Expr>,
    /// Numbers of the tables that stand for it.
    pub tables: Range<usize>,
    /// The view; `None` for a derived table.
    pub view: Option<Arc<Table>>,
    /// As those of a [`ScopeTable`].
    pub reads: Option<Rc<Reads>>,
}

/// What a name of FROM means: a table of the block or a merged one, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Table(usize),
    Merged(usize),
}

/// What names see of an entry of FROM.
pub(crate) struct Entry<'s> {
    pub alias: &'s Arc<str>,
    pub schema: &'s Arc<str>,
    pub columns: &'s [ScopeColumn],
    /// Where its columns are noted as they are read.
    pub reads: Option<&'s Rc<Reads>>,
    /// Whether tables of other databases may have the same name.
    has_schema: bool,
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
    /// How many blocks are around the block around that query; `None` when none is.
    pub depth: Option<usize>,
    /// Once it was named: how it is computed.
    pub bound: Option<BoundCommon>,
}

/// The names of one query block.
pub(crate) struct Scope<'p> {
    /// What has a place in the row of the block.
    pub tables: Vec<ScopeTable>,
    pub merged: Vec<MergedTable>,
    /// Entries of FROM in their order.
    pub names: Vec<Named>,
    pub parent: Option<&'p Scope<'p>>,
    /// Parameters that stand for columns of the parent, with the parent's expression.
    pub outer: RefCell<Vec<(usize, Expr)>>,
    /// Whether anything inside depends on a block outside.
    pub correlated: Cell<bool>,
    /// Whether that is a block beyond the one around it.
    pub distant: Cell<bool>,
    pub width: usize,
    /// Columns of `*` as (entry, column): those that USING and NATURAL merged come first (manual 13.2.13.2).
    pub star: Vec<(usize, usize)>,
    /// What merged queries leave to the block.
    pub pending: RefCell<Pending>,
    /// Whether tables that are added now are the inner side of an outer join.
    pub is_inner_side: bool,
    /// Whether each table is on the inner side of an outer join, where a row may be nothing but NULLs.
    pub inner_sides: Vec<bool>,
}

/// A resolved name.
pub(crate) struct Found<'s> {
    pub expr: Expr,
    pub column: &'s ScopeColumn,
    /// Which entry of FROM has it, and where.
    pub entry: usize,
    pub position: usize,
}

impl<'p> Scope<'p> {
    pub(crate) fn new(parent: Option<&'p Scope<'p>>) -> Self {
        Self {
            tables: Vec::new(),
            merged: Vec::new(),
            names: Vec::new(),
            parent,
            outer: RefCell::default(),
            correlated: Cell::new(false),
            distant: Cell::new(false),
            width: 0,
            star: Vec::new(),
            pending: RefCell::default(),
            is_inner_side: false,
            inner_sides: Vec::new(),
        }
    }

    /// How many blocks are around it.
    pub(crate) fn depth(&self) -> usize {
        std::iter::successors(self.parent, |scope| scope.parent).count()
    }

    /// The block around it that has so many around it.
    pub(crate) fn around(&self, depth: usize) -> Option<&'p Self> {
        std::iter::successors(self.parent, |scope| scope.parent).find(|scope| scope.depth() == depth)
    }

    /// Says of the blocks between this one and one around it that they depend on what is outside of that.
    pub(crate) fn correlate_up_to(&self, depth: usize) {
        for scope in std::iter::successors(self.parent, |scope| scope.parent) {
            if scope.depth() <= depth {
                return;
            }
            scope.correlated.set(true);
            scope.distant.set(true);
        }
    }

    /// Adds a table and gives its number.
    pub(crate) fn push(&mut self, table: ScopeTable) -> SqlResult<usize> {
        self.refuse_clash(&table.alias, &table.schema, table.info.is_some())?;
        let columns = table.columns.len();
        let number = self.push_unnamed(table);
        self.name(Named::Table(number), columns);
        Ok(number)
    }

    /// Adds the name of a merged view or derived table.
    pub(crate) fn push_merged(&mut self, table: MergedTable) -> SqlResult<()> {
        self.refuse_clash(&table.alias, &table.schema, table.view.is_some())?;
        let columns = table.columns.len();
        self.merged.push(table);
        self.name(Named::Merged(self.merged.len() - 1), columns);
        Ok(())
    }

    fn refuse_clash(&self, alias: &Arc<str>, schema: &Arc<str>, has_schema: bool) -> SqlResult<()> {
        let clash = self.entries().any(|known| {
            known.alias == alias && (known.schema == schema || !known.has_schema || !has_schema)
        });
        if clash { Err(SqlError::new(1066, format!("Not unique table/alias: '{alias}'"))) } else { Ok(()) }
    }

    fn name(&mut self, named: Named, columns: usize) {
        self.star.extend((0..columns).map(|column| (self.names.len(), column)));
        self.names.push(named);
    }

    /// Adds a table that no name means, after all names are resolved.
    pub(crate) fn push_unnamed(&mut self, mut table: ScopeTable) -> usize {
        table.offset = self.width;
        self.width += table.columns.len();
        self.inner_sides.push(self.is_inner_side);
        self.tables.push(table);
        self.tables.len() - 1
    }

    /// Tables that have a row of their own for each row of the block.
    pub(crate) fn whole_tables(&self) -> impl Iterator<Item = &ScopeTable> {
        self.tables.iter().zip(&self.inner_sides).filter(|(_, is_inner)| !**is_inner).map(|(table, _)| table)
    }

    /// What names see of FROM.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.names.iter().map(|named| self.entry_of(*named))
    }

    /// An entry of FROM.
    pub(crate) fn entry(&self, number: usize) -> Entry<'_> {
        self.entry_of(self.names[number])
    }

    fn entry_of(&self, named: Named) -> Entry<'_> {
        match named {
            Named::Table(number) => {
                let ScopeTable { alias, schema, columns, info, reads, .. } = &self.tables[number];
                Entry { alias, schema, columns, reads: reads.as_ref(), has_schema: info.is_some() }
            }
            Named::Merged(number) => {
                let MergedTable { alias, schema, columns, view, reads, .. } = &self.merged[number];
                Entry { alias, schema, columns, reads: reads.as_ref(), has_schema: view.is_some() }
            }
        }
    }

    /// What a column of an entry is.
    pub(crate) fn expr_at(&self, entry: usize, position: usize) -> Expr {
        match self.names[entry] {
            Named::Table(number) => {
                let table = &self.tables[number];
                let column = &table.columns[position];
                expr::column(table.offset + position, column.data_type.clone(), column.nullable)
            }
            Named::Merged(number) => self.merged[number].exprs[position].clone(),
        }
    }

    /// Hides a column because USING or NATURAL merged it into another.
    pub(crate) fn hide(&mut self, entry: usize, position: usize) {
        let columns = match self.names[entry] {
            Named::Table(number) => &mut self.tables[number].columns,
            Named::Merged(number) => &mut self.merged[number].columns,
        };
        columns[position].merged = true;
    }

    /// The numbers of the tables that an entry stands for.
    pub(crate) fn tables_of(&self, entry: usize) -> Range<usize> {
        match self.names[entry] {
            Named::Table(number) => number..number + 1,
            Named::Merged(number) => self.merged[number].tables.clone(),
        }
    }

    /// The merged table that an entry is.
    pub(crate) fn merged_at(&self, entry: usize) -> Option<&MergedTable> {
        match self.names[entry] {
            Named::Table(_) => None,
            Named::Merged(number) => Some(&self.merged[number]),
        }
    }

    /// The name that an entry has in the catalog, if it is in there.
    pub(crate) fn own_name(&self, entry: usize) -> Option<&str> {
        match self.names[entry] {
            Named::Table(number) => self.tables[number].info.as_ref().map(|info| &*info.table.name),
            Named::Merged(number) => self.merged[number].view.as_ref().map(|view| &*view.name),
        }
    }

    /// A column of this block that is read; `None` when there is none.
    pub(crate) fn find(&self, name: &ColumnRef, clause: &str) -> SqlResult<Option<Found<'_>>> {
        let found = self.find_target(name, clause)?;
        if let Some(Found { entry, position, .. }) = found {
            self.entry(entry).note_read(position);
        }
        Ok(found)
    }

    /// As [`Scope::find`] for a column that is not read but assigned.
    pub(crate) fn find_target(&self, name: &ColumnRef, clause: &str) -> SqlResult<Option<Found<'_>>> {
        let mut found: Option<(usize, usize)> = None;
        for (number, entry) in self.entries().enumerate() {
            if !entry.answers_to(name) {
                continue;
            }
            for (position, column) in entry.columns.iter().enumerate() {
                if column.merged && name.table.is_none() || !same_name(&column.name, &name.name) {
                    continue;
                }
                if found.is_some() {
                    let text = format!("Column '{}' in {clause} is ambiguous", full_name(name));
                    return Err(SqlError::new(1052, text));
                }
                found = Some((number, position));
            }
        }
        Ok(found.map(|(entry, position)| Found {
            expr: self.expr_at(entry, position),
            column: &self.entry(entry).columns[position],
            entry,
            position,
        }))
    }

    /// The table that fills a slot.
    pub(crate) fn table_of(&self, index: usize) -> Option<usize> {
        self.tables.iter().position(|t| index >= t.offset && index < t.offset + t.columns.len())
    }

    /// The full name under which the statement knows a slot.
    pub(crate) fn slot_name(&self, slot: usize) -> Option<String> {
        let is_slot = |expr: &Expr| matches!(expr, Expr::Column { index, .. } if *index == slot);
        let merged = (0..self.names.len()).find_map(|number| {
            let position = self.merged_at(number)?.exprs.iter().position(is_slot)?;
            Some((self.entry(number), position))
        });
        let (entry, position) = match merged {
            Some(found) => found,
            None => {
                let number = self.table_of(slot)?;
                (self.entry_of(Named::Table(number)), slot - self.tables[number].offset)
            }
        };
        let schema = if entry.schema.is_empty() { String::new() } else { format!("{}.", entry.schema) };
        Some(format!("{schema}{}.{}", entry.alias, entry.columns[position].name))
    }
}

impl Entry<'_> {
    /// Notes that a column is read.
    pub(crate) fn note_read(&self, position: usize) {
        if let Some(reads) = self.reads {
            reads.note(&self.columns[position]);
        }
    }

    /// Whether it answers to the qualifiers of a name.
    pub(crate) fn answers_to(&self, name: &ColumnRef) -> bool {
        // Names of virtual tables are compared without case.
        let is_virtual = !self.has_schema && crate::virtual_tables::schema_name(self.schema).is_some();
        let same =
            |alias: &str| **self.alias == *alias || is_virtual && self.alias.eq_ignore_ascii_case(alias);
        match (&name.schema, &name.table) {
            (_, None) => true,
            (None, Some(alias)) => same(alias),
            (Some(schema), Some(alias)) => same(alias) && self.schema.eq_ignore_ascii_case(schema),
        }
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
