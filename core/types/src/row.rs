//! Rows at rest: the value of a primary key entry. The form is in `core/docs/formats/row.md`.
//!
//! A [`RowLayout`] is computed once for a schema version; with it every column is found in constant time
//! and strings are shared with the row's bytes. Nothing here panics on malformed bytes. TIMESTAMP values
//! are stored, taken and given in UTC: the executor converts them from and to the session's time zone.

use bytes::Bytes;

use crate::decimal::read_fixed;
use crate::storage::Storage;
use crate::{DataType, Date, DateTime, Decimal, SchemaVersion, SqlError, SqlResult, Time, Value};

/// Schema version and flags.
const HEADER: usize = 5;
const FLAGS_AT: usize = 4;
/// Offsets have four bytes instead of two.
const WIDE: u8 = 1;

/// Where each column of a schema version lies in a row.
#[derive(Clone, Debug)]
pub struct RowLayout {
    version: SchemaVersion,
    slots: Vec<Slot>,
    /// Where the fixed area begins and ends; the offsets follow.
    fixed_start: usize,
    fixed_end: usize,
    variable_count: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    storage: Storage,
    /// Position from the row's start, or the number of the string.
    at: usize,
    width: usize,
}

impl RowLayout {
    /// Computes the layout of a row with these columns.
    #[must_use]
    pub fn new(version: SchemaVersion, types: &[DataType]) -> Self {
        let fixed_start = HEADER + types.len().div_ceil(8);
        let (mut fixed_end, mut variable_count) = (fixed_start, 0);
        let mut slots = Vec::with_capacity(types.len());
        for ty in types {
            let storage = Storage::of(ty);
            let slot = match storage.width() {
                Some(width) => {
                    fixed_end += width;
                    Slot { storage, at: fixed_end - width, width }
                }
                None => {
                    variable_count += 1;
                    Slot { storage, at: variable_count - 1, width: 0 }
                }
            };
            slots.push(slot);
        }
        Self { version, slots, fixed_start, fixed_end, variable_count }
    }

    /// The schema version that rows of this layout carry.
    #[must_use]
    pub fn version(&self) -> SchemaVersion {
        self.version
    }

    /// How many columns.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Appends the row to `out`. TIMESTAMP values are in UTC.
    ///
    /// # Errors
    /// `Bug` when a value does not fit its column's type; 1118 when the strings exceed 4 GiB.
    pub fn encode(&self, values: &[Value], out: &mut Vec<u8>) -> SqlResult<()> {
        if values.len() != self.slots.len() {
            return Err(SqlError::bug("a row has another number of values than its table has columns"));
        }
        let total: usize = values.iter().map(|v| if let Value::Bytes(b) = v { b.len() } else { 0 }).sum();
        if u32::try_from(total).is_err() {
            return Err(SqlError::new(1118, "Row size too large"));
        }
        let offset_width = if u16::try_from(total).is_ok() { 2 } else { 4 };
        let start = out.len();
        out.reserve(self.fixed_end + self.variable_count * offset_width + total);
        out.extend_from_slice(&self.version.0.to_le_bytes());
        out.push(if offset_width == 4 { WIDE } else { 0 });
        out.resize(start + self.fixed_start, 0);
        for (i, (slot, value)) in self.slots.iter().zip(values).enumerate() {
            if value.is_null() {
                out[start + HEADER + i / 8] |= 1 << (i % 8);
                out.resize(out.len() + slot.width, 0);
            } else if slot.storage != Storage::Variable {
                put_fixed(slot.storage, value, out).ok_or_else(|| mismatch(i, value))?;
            }
        }
        self.encode_strings(values, offset_width, out)
    }

    fn encode_strings(&self, values: &[Value], offset_width: usize, out: &mut Vec<u8>) -> SqlResult<()> {
        let mut end = 0_usize;
        let strings =
            || self.slots.iter().zip(values).enumerate().filter(|(_, (s, _))| s.storage == Storage::Variable);
        for (i, (_, value)) in strings() {
            end += match value {
                Value::Bytes(b) => b.len(),
                Value::Null => 0,
                _ => return Err(mismatch(i, value)),
            };
            out.extend_from_slice(&end.to_le_bytes()[..offset_width]);
        }
        for (_, (_, value)) in strings() {
            if let Value::Bytes(b) = value {
                out.extend_from_slice(b);
            }
        }
        Ok(())
    }
}

fn mismatch(column: usize, value: &Value) -> SqlError {
    SqlError::bug(format!("column {column} cannot hold {value:?}"))
}

/// Appends a value that is not a string, little-endian; `None` when it does not fit.
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
            out.extend_from_slice(&n.to_le_bytes()[..w]);
        }
        (Storage::UInt(w), v) => {
            let n = unsigned(v)?;
            let w = usize::from(w);
            if w < 8 && n >> (8 * w) != 0 {
                return None;
            }
            out.extend_from_slice(&n.to_le_bytes()[..w]);
        }
        (Storage::Year, v) => out.push(year_byte(unsigned(v)?)?),
        (Storage::Float, Value::Float(x)) => out.extend_from_slice(&x.to_le_bytes()),
        (Storage::Double, Value::Double(x)) => out.extend_from_slice(&x.to_le_bytes()),
        (Storage::Decimal(p, s), Value::Decimal(d)) => d.write_fixed(p, s, out)?,
        (Storage::Date, Value::Date(d)) => out.extend_from_slice(&d.pack().to_le_bytes()[..3]),
        (Storage::Time, Value::Time(t)) => out.extend_from_slice(&t.pack().to_le_bytes()[..6]),
        (Storage::DateTime, Value::DateTime(t)) => out.extend_from_slice(&t.pack().to_le_bytes()),
        _ => return None,
    }
    Some(())
}

/// The number of an unsigned value.
pub(crate) fn unsigned(value: &Value) -> Option<u64> {
    match value {
        Value::UInt(n) => Some(*n),
        Value::Int(n) => u64::try_from(*n).ok(),
        _ => None,
    }
}

/// A YEAR as stored.
pub(crate) fn year_byte(year: u64) -> Option<u8> {
    if year == 0 { Some(0) } else { u8::try_from(year.checked_sub(1900)?).ok().filter(|b| *b > 0) }
}

/// A stored YEAR.
pub(crate) fn year_of(byte: u8) -> u64 {
    if byte == 0 { 0 } else { 1900 + u64::from(byte) }
}

/// The schema version of a stored row.
///
/// # Errors
/// `Corrupt` when the bytes are too short.
pub fn schema_version(row: &[u8]) -> SqlResult<SchemaVersion> {
    match row.first_chunk::<4>() {
        Some(head) => Ok(SchemaVersion(u32::from_le_bytes(*head))),
        None => Err(SqlError::corrupt("a stored row is shorter than its header")),
    }
}

/// A stored row seen through its layout; columns are decoded when asked for.
#[derive(Clone, Copy, Debug)]
pub struct RowView<'a> {
    bytes: &'a Bytes,
    layout: &'a RowLayout,
    /// 2 or 4.
    offset_width: usize,
    /// Where the strings begin.
    strings_at: usize,
}

impl<'a> RowView<'a> {
    /// Checks the row's outer form.
    ///
    /// # Errors
    /// `Corrupt` when the row is shorter than its layout needs or of another schema version.
    #[inline]
    pub fn new(bytes: &'a Bytes, layout: &'a RowLayout) -> SqlResult<Self> {
        if schema_version(bytes)? != layout.version {
            return Err(SqlError::corrupt("a stored row has another schema version than its layout"));
        }
        let offset_width = match bytes.get(FLAGS_AT) {
            Some(0) => 2,
            Some(&WIDE) => 4,
            _ => return Err(SqlError::corrupt("a stored row has unknown flags")),
        };
        let strings_at = layout.fixed_end + layout.variable_count * offset_width;
        if bytes.len() < strings_at {
            return Err(SqlError::corrupt("a stored row is shorter than its columns"));
        }
        Ok(Self { bytes, layout, offset_width, strings_at })
    }

    /// The value of column `i`; strings share the row's bytes. TIMESTAMP values are in UTC.
    ///
    /// # Errors
    /// `Corrupt` for malformed bytes, `Bug` when there is no such column.
    #[inline]
    pub fn column(&self, i: usize) -> SqlResult<Value> {
        let slot = self.slot(i)?;
        if self.is_null(i) {
            return Ok(Value::Null);
        }
        if slot.storage == Storage::Variable {
            let (from, to) = self.string_range(slot.at)?;
            return Ok(Value::Bytes(self.bytes.slice(from..to)));
        }
        read_value(slot.storage, &self.bytes[slot.at..slot.at + slot.width])
            .ok_or_else(|| SqlError::corrupt(format!("column {i} of a stored row is malformed")))
    }

    /// The stored bytes of column `i`, `None` for NULL.
    ///
    /// # Errors
    /// As [`RowView::column`].
    #[inline]
    pub fn column_raw(&self, i: usize) -> SqlResult<Option<&'a [u8]>> {
        let slot = self.slot(i)?;
        if self.is_null(i) {
            return Ok(None);
        }
        let (from, to) = match slot.storage {
            Storage::Variable => self.string_range(slot.at)?,
            _ => (slot.at, slot.at + slot.width),
        };
        Ok(Some(&self.bytes[from..to]))
    }

    /// All columns, appended to `out`.
    ///
    /// # Errors
    /// As [`RowView::column`].
    pub fn decode_into(&self, out: &mut Vec<Value>) -> SqlResult<()> {
        out.reserve(self.layout.len());
        for i in 0..self.layout.len() {
            out.push(self.column(i)?);
        }
        Ok(())
    }

    /// Whether column `i` is NULL; a column that is not there is.
    #[must_use]
    #[inline]
    pub fn is_null(&self, i: usize) -> bool {
        self.bytes.get(HEADER + i / 8).is_none_or(|b| b >> (i % 8) & 1 != 0)
    }

    #[inline]
    fn slot(&self, i: usize) -> SqlResult<Slot> {
        self.layout.slots.get(i).copied().ok_or_else(|| SqlError::bug(format!("a row has no column {i}")))
    }

    #[inline]
    fn string_range(&self, number: usize) -> SqlResult<(usize, usize)> {
        let end_of = |n: usize| {
            let at = self.layout.fixed_end + n * self.offset_width;
            let mut le = [0_u8; 8];
            le[..self.offset_width].copy_from_slice(&self.bytes[at..at + self.offset_width]);
            usize::try_from(u64::from_le_bytes(le)).unwrap_or(usize::MAX)
        };
        let from = if number == 0 { 0 } else { end_of(number - 1) };
        let to = end_of(number);
        if from > to || to > self.bytes.len() - self.strings_at {
            return Err(SqlError::corrupt("a stored row has string offsets out of range"));
        }
        Ok((self.strings_at + from, self.strings_at + to))
    }
}

/// Decodes a value that is not a string.
#[inline]
fn read_value(storage: Storage, raw: &[u8]) -> Option<Value> {
    let word = || match *raw {
        [a, b, c] => u64::from(a) | u64::from(b) << 8 | u64::from(c) << 16,
        [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => raw.iter().take(8).rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    Some(match storage {
        Storage::Int(w) => {
            let unused = 64 - 8 * u32::from(w);
            Value::Int((word() << unused).cast_signed() >> unused)
        }
        Storage::UInt(_) => Value::UInt(word()),
        Storage::Year => Value::UInt(year_of(*raw.first()?)),
        Storage::Float => Value::Float(f32::from_le_bytes(*raw.first_chunk()?)),
        Storage::Double => Value::Double(f64::from_le_bytes(*raw.first_chunk()?)),
        Storage::Decimal(_, scale) => Value::Decimal(decimal_of(raw, scale)),
        Storage::Date => Value::Date(Date::unpack(u32::try_from(word()).ok()?)?),
        Storage::Time => Value::Time(Time::unpack(word())?),
        Storage::DateTime => Value::DateTime(DateTime::unpack(word())?),
        Storage::Variable => return None,
    })
}

/// Short decimals, nearly all, take one word.
fn decimal_of(raw: &[u8], scale: u8) -> Decimal {
    if raw.len() > 8 {
        return read_fixed(raw, scale);
    }
    let unused = 64 - 8 * raw.len();
    let word = match *raw {
        [a, b, c, d, e, f, g] => u64::from_be_bytes([a, b, c, d, e, f, g, 0]),
        _ => raw.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)) << unused,
    };
    Decimal::from_scaled((word ^ 1 << 63).cast_signed() >> unused, scale)
}
