//! Foreign keys as statements use them: from a table to its parents, and to its children as far as actions
//! carry.

use std::collections::HashMap;
use std::sync::Arc;

use aquifer_catalog::{ForeignKey, ReferentialAction, Table};
use aquifer_types::{SqlResult, TableId};

use crate::expr::Expr;
use crate::plan::binder::Binder;
use crate::plan::table_info::TableInfo;
use crate::virtual_tables::create_table::constraint_text;

/// A foreign key seen from the child.
pub(crate) struct ParentLink {
    pub name: Arc<str>,
    /// Positions in the child, in the order of the parent's index.
    pub columns: Vec<usize>,
    /// The parent and the position of an index that begins with its columns; `None` while there is none.
    pub parent: Option<(Arc<TableInfo>, usize)>,
    /// The constraint as messages show it.
    pub text: String,
}

/// A foreign key seen from the parent.
pub(crate) struct ChildLink {
    pub child: TableId,
    pub name: Arc<str>,
    /// Positions in the parent.
    pub parent_columns: Vec<usize>,
    /// Positions in the child.
    pub child_columns: Vec<usize>,
    /// Position of the child's index that begins with them.
    pub child_index: usize,
    pub on_delete: ReferentialAction,
    pub on_update: ReferentialAction,
    pub text: String,
}

/// A table with the foreign keys around it.
pub(crate) struct TableLinks {
    pub info: Arc<TableInfo>,
    pub generated: Vec<(usize, Expr)>,
    pub parents: Vec<ParentLink>,
    pub children: Vec<ChildLink>,
}

impl TableLinks {
    /// A table that is only looked at.
    fn alone(info: Arc<TableInfo>) -> Self {
        Self { info, generated: Vec::new(), parents: Vec::new(), children: Vec::new() }
    }
}

/// All tables that a change of one may touch.
pub(crate) struct ForeignKeys {
    tables: HashMap<TableId, TableLinks>,
}

impl ForeignKeys {
    pub(crate) fn table(&self, id: TableId) -> Option<&TableLinks> {
        self.tables.get(&id)
    }
}

/// A child, and whether actions change it.
type Carried = (Arc<TableInfo>, bool);

/// Whether an action changes the child, so that its own children matter.
fn carries(key: &ForeignKey) -> bool {
    let changes = |action| matches!(action, ReferentialAction::Cascade | ReferentialAction::SetNull);
    changes(key.on_delete) || changes(key.on_update)
}

impl Binder<'_> {
    /// The foreign keys that changes of a table must obey; `None` when there are none.
    pub(crate) fn foreign_keys(&mut self, info: &Arc<TableInfo>) -> SqlResult<Option<ForeignKeys>> {
        let table = &info.table;
        let catalog = self.env.catalog;
        if table.id.is_temporary() {
            return Ok(None);
        }
        if table.foreign_keys.is_empty() && catalog.children(&table.schema, &table.name).next().is_none() {
            return Ok(None);
        }
        let mut tables: HashMap<TableId, TableLinks> = HashMap::new();
        let mut expanded = vec![info.table.id];
        let mut open = vec![Arc::clone(info)];
        while let Some(next) = open.pop() {
            let (links, children) = self.links(&next, info)?;
            tables.insert(next.table.id, links);
            for (child, carried) in children {
                let id = child.table.id;
                if carried && !expanded.contains(&id) {
                    expanded.push(id);
                    open.push(child);
                } else if !expanded.contains(&id) {
                    tables.entry(id).or_insert_with(|| TableLinks::alone(child));
                }
            }
        }
        Ok(Some(ForeignKeys { tables }))
    }

    /// The foreign keys around a table, and its children with whether actions change them.
    fn links(
        &mut self,
        info: &Arc<TableInfo>,
        root: &Arc<TableInfo>,
    ) -> SqlResult<(TableLinks, Vec<Carried>)> {
        let table = &info.table;
        let mut parents = Vec::new();
        for key in &table.foreign_keys {
            parents.push(self.parent_link(info, key, root)?);
        }
        let catalog = self.env.catalog;
        let mut children = Vec::new();
        let mut tables = Vec::new();
        let own = std::iter::once(&root.table).filter(|root| refers(root, table));
        let others = catalog.children(&table.schema, &table.name).filter(|c| c.id != root.table.id);
        for child in own.chain(others) {
            let child_info = if child.id == root.table.id {
                Arc::clone(root)
            } else if child.id == table.id {
                Arc::clone(info)
            } else {
                Arc::new(TableInfo::new(child)?)
            };
            self.note_table(child.id);
            let keys = child.foreign_keys.iter().filter(|key| names(key, table));
            let mut carried = false;
            for key in keys {
                carried |= carries(key);
                children.extend(child_link(&child_info, key, table));
            }
            tables.push((child_info, carried));
        }
        let generated = self.generated_columns(info)?;
        Ok((TableLinks { info: Arc::clone(info), generated, parents, children }, tables))
    }

    fn parent_link(
        &mut self,
        info: &Arc<TableInfo>,
        key: &ForeignKey,
        root: &Arc<TableInfo>,
    ) -> SqlResult<ParentLink> {
        let table = &info.table;
        let columns = key.columns.iter().filter_map(|id| table.position_of(*id)).collect();
        let parent = if names(key, &root.table) {
            Some(Arc::clone(root))
        } else if names(key, table) {
            Some(Arc::clone(info))
        } else {
            let found = self.env.catalog.stored_table(&key.parent_schema, &key.parent_table);
            found.map(|parent| TableInfo::new(parent).map(Arc::new)).transpose()?
        };
        let parent = parent.and_then(|parent| {
            self.note_table(parent.table.id);
            let ids = parent_columns(key, &parent.table)?;
            let index = parent.table.index_starting_with(&ids)?;
            let position = parent.indexes.iter().position(|known| known.id == index.id)?;
            Some((parent, position))
        });
        Ok(ParentLink { name: key.name.clone(), columns, parent, text: constraint_text(table, key) })
    }

    fn note_table(&mut self, id: TableId) {
        if !self.tables.contains(&id) {
            self.tables.push(id);
        }
    }
}

/// Whether a foreign key's parent has the names of a table.
pub(crate) fn names(key: &ForeignKey, table: &Table) -> bool {
    key.parent_table == table.name && key.parent_schema == table.schema
}

fn refers(child: &Table, parent: &Table) -> bool {
    child.foreign_keys.iter().any(|key| names(key, parent))
}

/// The columns of a parent that a foreign key names; `None` when one is missing.
pub(crate) fn parent_columns(key: &ForeignKey, parent: &Table) -> Option<Vec<aquifer_catalog::ColumnId>> {
    let id = |name: &Arc<str>| parent.column_position(name).map(|position| parent.columns[position].id);
    key.parent_columns.iter().map(id).collect()
}

fn child_link(child: &Arc<TableInfo>, key: &ForeignKey, parent: &Table) -> Option<ChildLink> {
    let ids = parent_columns(key, parent)?;
    let index = child.table.index_starting_with(&key.columns)?;
    Some(ChildLink {
        child: child.table.id,
        name: key.name.clone(),
        parent_columns: ids.iter().filter_map(|id| parent.position_of(*id)).collect(),
        child_columns: key.columns.iter().filter_map(|id| child.table.position_of(*id)).collect(),
        child_index: child.indexes.iter().position(|known| known.id == index.id)?,
        on_delete: key.on_delete,
        on_update: key.on_update,
        text: constraint_text(&child.table, key),
    })
}
