//! Keys at rest.
use bytes::Bytes;
use crate::{DataType, IndexId, SqlResult, Value};
/// A column as part of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyColumn {
    /// The column's type.
    pub data_type: DataType,
    /// Order within the index.
    pub order: KeyOrder,
    /// Only the first so many characters (bytes of a binary string) are indexed.
    pub prefix_length: Option<u32>,
}
/// ASC or DESC of an index part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum KeyOrder { Ascending, Descending }
impl KeyColumn {
    /// A whole column, ascending.
    #[must_use]
    pub fn new(data_type: DataType) -> Self { Self { data_type, order: KeyOrder::Ascending, prefix_length: None } }
    /// Whether the value can be read back from the key.
    #[must_use]
    pub fn is_reversible(&self) -> bool { false }
}
/// Builds one key after another.
#[derive(Clone, Debug)]
pub struct KeyEncoder { buf: Vec<u8> }
impl KeyEncoder {
    /// Starts a key of an index.
    #[must_use]
    pub fn new(index: IndexId) -> Self { let _ = index; Self { buf: Vec::new() } }
    /// Starts again from a prefix that is already encoded.
    #[must_use]
    pub fn from_prefix(prefix: &[u8]) -> Self { Self { buf: prefix.to_vec() } }
    /// Forgets the columns and starts a key of `index`, keeping the memory.
    pub fn reset(&mut self, index: IndexId) { let _ = index; }
    /// Appends a column's value, which must be of the column's type (`convert::store` makes it so).
    ///
    /// # Errors
    /// `Bug` when it is not; 3152 for JSON.
    pub fn push(&mut self, column: &KeyColumn, value: &Value) -> SqlResult<()> { let _ = (column, value); Ok(()) }
    /// Appends columns that are already encoded (the primary key after a secondary one).
    pub fn push_encoded(&mut self, columns: &[u8]) { let _ = columns; }
    /// The key so far.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] { &self.buf }
    /// The key.
    #[must_use]
    pub fn finish(self) -> Bytes { Bytes::from(self.buf) }
}
/// The least key that is greater than every key that starts with `prefix`.
#[must_use]
pub fn successor(prefix: &[u8]) -> Bytes { let _ = prefix; Bytes::new() }
/// Reads the columns of a key one after another.
#[derive(Clone, Debug)]
pub struct KeyDecoder<'a> { rest: &'a [u8], index: IndexId }
impl<'a> KeyDecoder<'a> {
    /// Opens a key.
    ///
    /// # Errors
    /// `Corrupt` when it has no index id.
    pub fn new(key: &'a [u8]) -> SqlResult<Self> { Ok(Self { rest: key, index: IndexId(0) }) }
    /// The index that the key belongs to.
    #[must_use]
    pub fn index(&self) -> IndexId { self.index }
    /// Passes over a column.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn skip(&mut self, column: &KeyColumn) -> SqlResult<()> { let _ = column; Ok(()) }
    /// Reads a column whose type is reversible.
    ///
    /// # Errors
    /// `Corrupt`; `Bug` when the column is not reversible.
    pub fn decode(&mut self, column: &KeyColumn) -> SqlResult<Value> { let _ = column; Ok(Value::Null) }
    /// What follows the columns read so far.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] { self.rest }
}
