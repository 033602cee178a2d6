//! Rows at rest.
use bytes::Bytes;
use crate::{DataType, SchemaVersion, SqlResult, Value};
/// Where each column of a schema version lies in a row.
#[derive(Clone, Debug)]
pub struct RowLayout { version: SchemaVersion, types: Vec<DataType> }
impl RowLayout {
    /// Computes the layout of a row with these columns.
    #[must_use]
    pub fn new(version: SchemaVersion, types: &[DataType]) -> Self { Self { version, types: types.to_vec() } }
    /// The schema version that rows of this layout carry.
    #[must_use]
    pub fn version(&self) -> SchemaVersion { self.version }
    /// How many columns.
    #[must_use]
    pub fn len(&self) -> usize { self.types.len() }
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool { self.types.is_empty() }
    /// Appends the row to `out`. TIMESTAMP values are in UTC.
    ///
    /// # Errors
    /// `Bug` when a value does not fit its column's type; 1118 when the row exceeds 4 GiB.
    pub fn encode(&self, values: &[Value], out: &mut Vec<u8>) -> SqlResult<()> { let _ = (values, out); Ok(()) }
}
/// The schema version of a stored row.
///
/// # Errors
/// `Corrupt` when the bytes are too short.
pub fn schema_version(row: &[u8]) -> SqlResult<SchemaVersion> { let _ = row; Ok(SchemaVersion(0)) }
/// A stored row seen through its layout; columns are decoded when asked for.
#[derive(Clone, Copy, Debug)]
pub struct RowView<'a> { bytes: &'a Bytes, layout: &'a RowLayout }
impl<'a> RowView<'a> {
    /// Checks the row's outer form.
    ///
    /// # Errors
    /// `Corrupt` when the row is shorter than its layout needs or of another schema version.
    pub fn new(bytes: &'a Bytes, layout: &'a RowLayout) -> SqlResult<Self> { Ok(Self { bytes, layout }) }
    /// The value of column `i`; strings share the row's bytes. TIMESTAMP values are in UTC.
    ///
    /// # Errors
    /// `Corrupt` for malformed bytes, `Bug` when there is no such column.
    pub fn column(&self, i: usize) -> SqlResult<Value> { let _ = (i, self.bytes, self.layout); Ok(Value::Null) }
    /// The stored bytes of column `i`, `None` for NULL.
    ///
    /// # Errors
    /// As [`RowView::column`].
    pub fn column_raw(&self, i: usize) -> SqlResult<Option<&'a [u8]>> { let _ = i; Ok(None) }
    /// All columns, appended to `out`.
    ///
    /// # Errors
    /// As [`RowView::column`].
    pub fn decode_into(&self, out: &mut Vec<Value>) -> SqlResult<()> { let _ = out; Ok(()) }
}
