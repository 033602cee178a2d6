//! Tables that are computed: `information_schema`, `performance_schema` and so on.
//!
//! The session implements [`VirtualTables`]. The planner treats such a table as one that can only be
//! scanned; [`VirtualTables::rows`] is called once for each scan, when it starts, and may use the equality
//! conditions it is given to compute less, because the executor filters again.

use std::sync::Arc;

use aquifer_catalog::Catalog;
use aquifer_types::{DataType, SqlResult, Value};

/// A column of a virtual table.
#[derive(Clone, Debug)]
pub struct VirtualColumn {
    /// Name.
    pub name: Arc<str>,
    /// Type.
    pub data_type: DataType,
    /// Whether it may be NULL.
    pub nullable: bool,
}

/// A virtual table.
#[derive(Clone, Debug)]
pub struct VirtualTable {
    /// Name of its database as shown.
    pub schema: Arc<str>,
    /// Its name as shown.
    pub name: Arc<str>,
    /// Its columns.
    pub columns: Vec<VirtualColumn>,
}

/// Where virtual tables come from.
pub trait VirtualTables {
    /// Whether the database is virtual, in any case of letters: its unknown tables are error 1109
    /// rather than looked for in the catalog.
    fn has_schema(&self, schema: &str) -> bool;

    /// The table of that name, in any case of letters.
    fn table(&self, schema: &str, name: &str) -> Option<Arc<VirtualTable>>;

    /// All rows that satisfy `equals` (column position and value; a hint, may be ignored), each with a
    /// value for every column.
    ///
    /// # Errors
    /// What the client is told, such as 1227.
    fn rows(
        &self,
        table: &VirtualTable,
        catalog: &Arc<Catalog>,
        equals: &[(usize, Value)],
    ) -> SqlResult<Vec<Vec<Value>>>;
}

/// No virtual tables at all, for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoVirtualTables;

impl VirtualTables for NoVirtualTables {
    fn has_schema(&self, _schema: &str) -> bool {
        false
    }

    fn table(&self, _schema: &str, _name: &str) -> Option<Arc<VirtualTable>> {
        None
    }

    fn rows(&self, _: &VirtualTable, _: &Arc<Catalog>, _: &[(usize, Value)]) -> SqlResult<Vec<Vec<Value>>> {
        Ok(Vec::new())
    }
}
