//! Keys at rest: bytes whose order is that of the rows in an index. The form is in
//! `core/docs/formats/key.md`.
//!
//! A key is the index id (4 bytes, big-endian), then its columns; an entry of a secondary index goes on
//! with the columns of the primary key. Each column is a byte that says NULL or not, then the value in a
//! form of its type that orders as the type does; the bytes of a descending column are inverted.

use std::ops::Range;

use bytes::Bytes;

use crate::collation::{CollationVersion, PadAttribute};
use crate::decimal::read_fixed;
use crate::row::{unsigned, year_byte, year_of};
use crate::storage::Storage;
use crate::{DataType, Date, DateTime, IndexId, SqlError, SqlResult, Time, TypeKind, Value};

const NULL: u8 = 1;
const PRESENT: u8 = 2;
/// A zero byte within a string is followed by this.
const ESCAPED: u8 = 0xFF;
/// A string ends with a zero byte and this.
const END: u8 = 1;

/// A column as part of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyColumn {
    /// The column's type.
    pub data_type: DataType,
    /// Order within the index.
    pub order: KeyOrder,
    /// Only the first so many characters (bytes of a binary string) are indexed.
    pub prefix_length: Option<u32>,
    /// The form of the index's sort keys.
    pub collation_version: CollationVersion,
}

/// ASC or DESC of an index part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum KeyOrder {
    Ascending,
    Descending,
}

impl KeyColumn {
    /// A whole column, ascending, in the newest form.
    #[must_use]
    pub fn new(data_type: DataType) -> Self {
        let collation_version = CollationVersion::default();
        Self { data_type, order: KeyOrder::Ascending, prefix_length: None, collation_version }
    }

    /// Whether the value can be read back from the key: all but strings under a collation that gives
    /// different strings one weight, and prefixes.
    #[must_use]
    pub fn is_reversible(&self) -> bool {
        let info = self.data_type.collation.info();
        let raw = self.data_type.collation.is_binary() && info.pad == PadAttribute::NoPad;
        self.prefix_length.is_none() && (Storage::of(&self.data_type) != Storage::Variable || raw)
    }
}

/// Builds one key after another.
#[derive(Clone, Debug, Default)]
pub struct KeyEncoder {
    buf: Vec<u8>,
}

impl KeyEncoder {
    /// Starts a key of an index.
    #[must_use]
    pub fn new(index: IndexId) -> Self {
        let mut buf = Vec::with_capacity(32);
        buf.extend_from_slice(&index.0.to_be_bytes());
        Self { buf }
    }

    /// Starts again from a prefix that is already encoded.
    #[must_use]
    pub fn from_prefix(prefix: &[u8]) -> Self {
        Self { buf: prefix.to_vec() }
    }

    /// Forgets the columns and starts a key of `index`, keeping the memory.
    pub fn reset(&mut self, index: IndexId) {
        self.buf.clear();
        self.buf.extend_from_slice(&index.0.to_be_bytes());
    }

    /// Appends a column's value, which must be of the column's type (`convert::store` makes it so).
    ///
    /// # Errors
    /// `Bug` when it is not; 3152 for JSON.
    #[inline]
    pub fn push(&mut self, column: &KeyColumn, value: &Value) -> SqlResult<()> {
        let start = self.buf.len();
        if value.is_null() {
            self.buf.push(NULL);
        } else {
            self.buf.push(PRESENT);
            self.put_value(column, value)?;
        }
        self.apply_order(column, start);
        Ok(())
    }

    /// Appends what the encodings of all strings that start with `text` start with (or a part of it):
    /// the bounds of a range that holds all matches of `LIKE 'text%'`. Nothing may be pushed after it.
    ///
    /// # Errors
    /// `Bug` when the column is not a string.
    pub fn push_string_prefix(&mut self, column: &KeyColumn, text: &[u8]) -> SqlResult<()> {
        if Storage::of(&column.data_type) != Storage::Variable {
            return Err(SqlError::bug("only a string column has string prefixes"));
        }
        let start = self.buf.len();
        self.buf.push(PRESENT);
        let from = self.buf.len();
        let cut = cut_prefix(column, text);
        column.data_type.collation.sort_key_prefix(column.collation_version, cut, &mut self.buf);
        self.escape_zeros(from);
        self.apply_order(column, start);
        Ok(())
    }

    /// Appends columns that are already encoded (the primary key after a secondary one).
    pub fn push_encoded(&mut self, columns: &[u8]) {
        self.buf.extend_from_slice(columns);
    }

    /// Cuts the key back to a length that [`KeyEncoder::as_slice`] had before.
    pub fn truncate(&mut self, len: usize) {
        self.buf.truncate(len);
    }

    /// The key so far.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.buf
    }

    /// A copy of the key so far.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.buf)
    }

    /// The key.
    #[must_use]
    pub fn finish(self) -> Bytes {
        Bytes::from(self.buf)
    }

    fn apply_order(&mut self, column: &KeyColumn, start: usize) {
        if column.order == KeyOrder::Descending {
            self.buf[start..].iter_mut().for_each(|b| *b = !*b);
        }
    }

    fn put_value(&mut self, column: &KeyColumn, value: &Value) -> SqlResult<()> {
        let storage = Storage::of(&column.data_type);
        if storage != Storage::Variable {
            let fits = put_fixed(storage, value, &mut self.buf);
            return fits.ok_or_else(|| SqlError::bug(format!("a key column cannot hold {value:?}")));
        }
        if column.data_type.kind == TypeKind::Json {
            return Err(SqlError::new(3152, "JSON column cannot be used in key specification."));
        }
        let Value::Bytes(text) = value else {
            return Err(SqlError::bug(format!("a string key column cannot hold {value:?}")));
        };
        let from = self.buf.len();
        let collation = column.data_type.collation;
        collation.sort_key(column.collation_version, cut_prefix(column, text), &mut self.buf);
        self.escape_zeros(from);
        self.buf.extend_from_slice(&[0, END]);
        Ok(())
    }

    /// Marks the zero bytes from position `from` on.
    fn escape_zeros(&mut self, from: usize) {
        if !self.buf[from..].contains(&0) {
            return;
        }
        let zeros = self.buf[from..].iter().filter(|b| **b == 0).count();
        let tail = self.buf.split_off(from);
        self.buf.reserve(tail.len() + zeros + 2);
        for b in tail {
            self.buf.push(b);
            if b == 0 {
                self.buf.push(ESCAPED);
            }
        }
    }
}

/// The indexed part of a string.
fn cut_prefix<'a>(column: &KeyColumn, text: &'a [u8]) -> &'a [u8] {
    match column.prefix_length.and_then(|n| usize::try_from(n).ok()) {
        None => text,
        Some(n) => &text[..column.data_type.collation.charset().char_offset(text, n)],
    }
}

/// Appends a value that is not a string, big-endian; `None` when it does not fit.
fn put_fixed(storage: Storage, value: &Value, out: &mut Vec<u8>) -> Option<()> {
    match (storage, value) {
        (Storage::Int(w), v) => {
            let n = match v {
                Value::Int(n) => *n,
                Value::UInt(n) => i64::try_from(*n).ok()?,
                _ => return None,
            };
            let w = usize::from(w);
            let unused = 64 - 8 * u32::try_from(w).ok()?;
            if n << unused >> unused != n {
                return None;
            }
            let at = out.len();
            out.extend_from_slice(&n.to_be_bytes()[8 - w..]);
            out[at] ^= 0x80;
        }
        (Storage::UInt(w), v) => {
            let (n, w) = (unsigned(v)?, usize::from(w));
            if w < 8 && n >> (8 * w) != 0 {
                return None;
            }
            out.extend_from_slice(&n.to_be_bytes()[8 - w..]);
        }
        (Storage::Year, v) => out.push(year_byte(unsigned(v)?)?),
        (Storage::Float, Value::Float(x)) => {
            let bits = (x + 0.0).to_bits();
            let ordered = if bits >> 31 == 0 { bits ^ 1 << 31 } else { !bits };
            out.extend_from_slice(&ordered.to_be_bytes());
        }
        (Storage::Double, Value::Double(x)) => {
            let bits = (x + 0.0).to_bits();
            let ordered = if bits >> 63 == 0 { bits ^ 1 << 63 } else { !bits };
            out.extend_from_slice(&ordered.to_be_bytes());
        }
        (Storage::Decimal(p, s), Value::Decimal(d)) => d.write_fixed(p, s, out)?,
        (Storage::Date, Value::Date(d)) => out.extend_from_slice(&d.pack().to_be_bytes()[1..]),
        (Storage::Time, Value::Time(t)) => out.extend_from_slice(&t.pack().to_be_bytes()[2..]),
        (Storage::DateTime, Value::DateTime(t)) => out.extend_from_slice(&t.pack().to_be_bytes()),
        _ => return None,
    }
    Some(())
}

/// All keys of an index.
#[must_use]
pub fn keys_of(index: IndexId) -> Range<Bytes> {
    let prefix = index.0.to_be_bytes();
    Bytes::copy_from_slice(&prefix)..successor(&prefix)
}

/// The least key that is greater than every key that starts with `prefix`; empty when there is none.
#[must_use]
pub fn successor(prefix: &[u8]) -> Bytes {
    let Some(last) = prefix.iter().rposition(|b| *b != 0xFF) else {
        return Bytes::new();
    };
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Bytes::from(next)
}

/// The index that a key belongs to.
///
/// # Errors
/// `Corrupt` when the key is too short.
pub fn index_of(key: &[u8]) -> SqlResult<IndexId> {
    match key.first_chunk::<4>() {
        Some(head) => Ok(IndexId(u32::from_be_bytes(*head))),
        None => Err(SqlError::corrupt("a key is shorter than an index id")),
    }
}

/// Reads the columns of a key one after another.
#[derive(Clone, Debug)]
pub struct KeyDecoder<'a> {
    rest: &'a [u8],
    index: IndexId,
}

impl<'a> KeyDecoder<'a> {
    /// Opens a key.
    ///
    /// # Errors
    /// `Corrupt` when it has no index id.
    pub fn new(key: &'a [u8]) -> SqlResult<Self> {
        Ok(Self { index: index_of(key)?, rest: &key[4..] })
    }

    /// The index that the key belongs to.
    #[must_use]
    pub fn index(&self) -> IndexId {
        self.index
    }

    /// Passes over a column.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn skip(&mut self, column: &KeyColumn) -> SqlResult<()> {
        self.take(column).map(|_| ())
    }

    /// Reads a column whose type is reversible.
    ///
    /// # Errors
    /// `Corrupt`; `Bug` when the column is not reversible.
    pub fn decode(&mut self, column: &KeyColumn) -> SqlResult<Value> {
        if !column.is_reversible() {
            return Err(SqlError::bug("the value of a key column with a collation cannot be read back"));
        }
        let Some(raw) = self.take(column)? else {
            return Ok(Value::Null);
        };
        let mask = mask_of(column);
        let storage = Storage::of(&column.data_type);
        let plain: Vec<u8> = raw.iter().map(|b| b ^ mask).collect();
        if storage == Storage::Variable {
            return Ok(Value::Bytes(Bytes::from(unescape(&plain))));
        }
        read_value(storage, &plain).ok_or_else(malformed)
    }

    /// What follows the columns read so far.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The stored bytes of the next column, inverted if it is descending; `None` for NULL.
    fn take(&mut self, column: &KeyColumn) -> SqlResult<Option<&'a [u8]>> {
        let mask = mask_of(column);
        let (marker, body) = self.rest.split_first().ok_or_else(malformed)?;
        match marker ^ mask {
            NULL => {
                self.rest = body;
                Ok(None)
            }
            PRESENT => {
                let (len, used) = match Storage::of(&column.data_type).width() {
                    Some(width) => (width, width),
                    None => string_end(body, mask).ok_or_else(malformed)?,
                };
                let raw = body.get(..len).ok_or_else(malformed)?;
                self.rest = body.get(used..).ok_or_else(malformed)?;
                Ok(Some(raw))
            }
            _ => Err(malformed()),
        }
    }
}

fn malformed() -> SqlError {
    SqlError::corrupt("a key does not have the columns of its index")
}

fn mask_of(column: &KeyColumn) -> u8 {
    if column.order == KeyOrder::Descending { 0xFF } else { 0 }
}

/// Length of an escaped string without and with its end mark.
fn string_end(body: &[u8], mask: u8) -> Option<(usize, usize)> {
    let mut at = 0;
    loop {
        let zero = at + body.get(at..)?.iter().position(|b| *b == mask)?;
        match body.get(zero + 1)? ^ mask {
            END => return Some((zero, zero + 2)),
            ESCAPED => at = zero + 2,
            _ => return None,
        }
    }
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(b) = bytes.next() {
        out.push(*b);
        if *b == 0 {
            bytes.next();
        }
    }
    out
}

fn read_value(storage: Storage, raw: &[u8]) -> Option<Value> {
    let word = raw.iter().take(8).fold(0_u64, |acc, b| acc << 8 | u64::from(*b));
    Some(match storage {
        Storage::Int(w) => {
            let unused = 64 - 8 * u32::from(w);
            Value::Int(((word << unused) ^ 1 << 63).cast_signed() >> unused)
        }
        Storage::UInt(_) => Value::UInt(word),
        Storage::Year => Value::UInt(year_of(*raw.first()?)),
        Storage::Float => {
            let bits = u32::try_from(word).ok()?;
            Value::Float(f32::from_bits(if bits >> 31 == 1 { bits ^ 1 << 31 } else { !bits }))
        }
        Storage::Double => {
            Value::Double(f64::from_bits(if word >> 63 == 1 { word ^ 1 << 63 } else { !word }))
        }
        Storage::Decimal(_, scale) => Value::Decimal(read_fixed(raw, scale)),
        Storage::Date => Value::Date(Date::unpack(u32::try_from(word).ok()?)?),
        Storage::Time => Value::Time(Time::unpack(word)?),
        Storage::DateTime => Value::DateTime(DateTime::unpack(word)?),
        Storage::Variable => return None,
    })
}
