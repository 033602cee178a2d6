//! Rows of the binary protocol (prepared statements).
//!
//! A value's layout is that of its column's type; [`BinaryRow::push_value`] converts where a value's
//! variant and the column's type differ, so that a row can never be out of step with its definitions.

use aquifer_types::text::write_text;
use aquifer_types::{DataType, Date, DateTime, Time, TypeKind, Value};

use crate::channel::Channel;
use crate::codec::put_lenenc_bytes;
use crate::packet::PacketWriter;

/// The first two bits of the NULL bitmap are not used.
const BITMAP_OFFSET: usize = 2;
const MICROS_PER_SECOND: u64 = 1_000_000;

/// One unfinished row: push a value for each column, then [`BinaryRow::finish`]. A row that is dropped
/// unfinished is not sent.
#[derive(Debug)]
pub struct BinaryRow<'a> {
    packet: PacketWriter<'a>,
    /// Columns pushed so far.
    column: usize,
    /// All columns of the row.
    count: usize,
}

impl Channel {
    /// Begins a row of the binary protocol with `count` columns.
    pub fn binary_row(&mut self, count: usize) -> BinaryRow<'_> {
        let mut packet = self.packet();
        packet.u8(0);
        let bitmap = (count + BITMAP_OFFSET).div_ceil(8);
        let length = packet.buffer().len() + bitmap;
        packet.buffer().resize(length, 0);
        BinaryRow { packet, column: 0, count }
    }
}

impl BinaryRow<'_> {
    /// NULL.
    pub fn push_null(&mut self) {
        let bit = self.column + BITMAP_OFFSET;
        if self.column < self.count {
            self.packet.body_mut()[1 + bit / 8] |= 1 << (bit % 8);
        }
        self.column += 1;
    }

    /// TINYINT; an unsigned one with the same bits.
    pub fn push_i8(&mut self, value: i8) {
        self.push_fixed(&value.to_le_bytes());
    }

    /// SMALLINT, YEAR.
    pub fn push_i16(&mut self, value: i16) {
        self.push_fixed(&value.to_le_bytes());
    }

    /// INT, MEDIUMINT.
    pub fn push_i32(&mut self, value: i32) {
        self.push_fixed(&value.to_le_bytes());
    }

    /// BIGINT.
    pub fn push_i64(&mut self, value: i64) {
        self.push_fixed(&value.to_le_bytes());
    }

    /// An integer column of `kind`, signed or unsigned, by the low bytes of `value`. Other kinds than
    /// integers and YEAR are taken for BIGINT.
    pub fn push_integer(&mut self, value: i64, kind: TypeKind) {
        let bytes = value.to_le_bytes();
        let width = match kind {
            TypeKind::TinyInt => 1,
            TypeKind::SmallInt | TypeKind::Year => 2,
            TypeKind::Int | TypeKind::MediumInt => 4,
            _ => 8,
        };
        self.push_fixed(&bytes[..width]);
    }

    /// FLOAT.
    pub fn push_f32(&mut self, value: f32) {
        self.push_fixed(&value.to_le_bytes());
    }

    /// DOUBLE.
    pub fn push_f64(&mut self, value: f64) {
        self.push_fixed(&value.to_le_bytes());
    }

    /// Any string type, DECIMAL, ENUM, SET, BIT, JSON: everything that is sent as a string.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        put_lenenc_bytes(self.packet.buffer(), bytes);
        self.column += 1;
    }

    /// DATE.
    pub fn push_date(&mut self, date: Date) {
        let [low, high] = date.year.to_le_bytes();
        if date == Date::default() {
            self.push_fixed(&[0]);
        } else {
            self.push_fixed(&[4, low, high, date.month, date.day]);
        }
    }

    /// DATETIME, TIMESTAMP.
    pub fn push_datetime(&mut self, value: DateTime) {
        if value.micros == 0 {
            return self.push_date(value.date);
        }
        let (clock, micros) = Clock::of(value.micros);
        let [low, high] = value.date.year.to_le_bytes();
        let length = if micros == 0 { 7 } else { 11 };
        let (month, day) = (value.date.month, value.date.day);
        self.packet.bytes(&[length, low, high, month, day]);
        self.packet.bytes(&[clock.hour(), clock.minute, clock.second]);
        self.push_micros(micros);
    }

    /// TIME.
    pub fn push_time(&mut self, value: Time) {
        if value.micros == 0 {
            return self.push_fixed(&[0]);
        }
        let (clock, micros) = Clock::of(value.micros.unsigned_abs());
        let length = if micros == 0 { 8 } else { 12 };
        self.packet.bytes(&[length, u8::from(value.micros < 0)]);
        self.packet.u32(clock.days());
        self.packet.bytes(&[clock.hour(), clock.minute, clock.second]);
        self.push_micros(micros);
    }

    fn push_micros(&mut self, micros: u32) {
        if micros != 0 {
            self.packet.u32(micros);
        }
        self.column += 1;
    }

    fn push_fixed(&mut self, bytes: &[u8]) {
        self.packet.bytes(bytes);
        self.column += 1;
    }

    /// A value of type `data_type`.
    pub fn push_value(&mut self, value: &Value, data_type: &DataType) {
        if value.is_null() {
            return self.push_null();
        }
        match data_type.kind {
            TypeKind::TinyInt
            | TypeKind::SmallInt
            | TypeKind::MediumInt
            | TypeKind::Int
            | TypeKind::BigInt
            | TypeKind::Year => self.push_integer(as_integer(value), data_type.kind),
            TypeKind::Float => self.push_f32(as_f32(value)),
            TypeKind::Double => self.push_f64(as_f64(value)),
            TypeKind::Date => self.push_date(as_datetime(value).date),
            TypeKind::DateTime | TypeKind::Timestamp => self.push_datetime(as_datetime(value)),
            TypeKind::Time => self.push_time(as_time(value)),
            _ => self.push_text(value, data_type),
        }
    }

    fn push_text(&mut self, value: &Value, data_type: &DataType) {
        if let Value::Bytes(bytes) = value {
            return self.push_bytes(bytes);
        }
        let mut text = Vec::with_capacity(32);
        write_text(value, data_type, &mut text);
        self.push_bytes(&text);
    }

    /// Completes the row.
    pub fn finish(self) {
        debug_assert_eq!(self.column, self.count, "a value for each column");
        self.packet.finish();
    }
}

/// A time of day, or a duration.
struct Clock {
    hours: u64,
    minute: u8,
    second: u8,
}

impl Clock {
    fn of(micros: u64) -> (Self, u32) {
        let seconds = micros / MICROS_PER_SECOND;
        let small = |value: u64| u8::try_from(value).unwrap_or(0);
        let clock =
            Self { hours: seconds / 3600, minute: small(seconds / 60 % 60), second: small(seconds % 60) };
        (clock, u32::try_from(micros % MICROS_PER_SECOND).unwrap_or(0))
    }

    fn days(&self) -> u32 {
        u32::try_from(self.hours / 24).unwrap_or(u32::MAX)
    }

    fn hour(&self) -> u8 {
        u8::try_from(self.hours % 24).unwrap_or(0)
    }
}

fn as_integer(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        Value::UInt(number) => number.cast_signed(),
        Value::Decimal(number) => {
            number.to_i64().or_else(|| number.to_u64().map(u64::cast_signed)).unwrap_or_default()
        }
        other => number_of_text(other),
    }
}

/// The integer that a value's text is, 0 when it is none.
fn number_of_text(value: &Value) -> i64 {
    let text = text_of(value);
    let text = String::from_utf8_lossy(&text);
    let signed = text.parse::<i64>();
    signed.or_else(|_| text.parse::<u64>().map(u64::cast_signed)).unwrap_or_default()
}

fn text_of(value: &Value) -> Vec<u8> {
    let mut text = Vec::new();
    write_text(value, &DataType::of(kind_of(value)), &mut text);
    text
}

fn kind_of(value: &Value) -> TypeKind {
    match value {
        Value::Null => TypeKind::Null,
        Value::Int(_) | Value::UInt(_) => TypeKind::BigInt,
        Value::Float(_) => TypeKind::Float,
        Value::Double(_) => TypeKind::Double,
        Value::Decimal(_) => TypeKind::Decimal,
        Value::Bytes(_) => TypeKind::VarBinary,
        Value::Date(_) => TypeKind::Date,
        Value::Time(_) => TypeKind::Time,
        Value::DateTime(_) => TypeKind::DateTime,
    }
}

fn as_f64(value: &Value) -> f64 {
    match value {
        Value::Double(number) => *number,
        Value::Float(number) => f64::from(*number),
        Value::Decimal(number) => number.to_f64(),
        other => String::from_utf8_lossy(&text_of(other)).parse().unwrap_or_default(),
    }
}

fn as_f32(value: &Value) -> f32 {
    match value {
        Value::Float(number) => *number,
        other => String::from_utf8_lossy(&text_of(other)).parse().unwrap_or_default(),
    }
}

fn as_datetime(value: &Value) -> DateTime {
    match value {
        Value::DateTime(value) => *value,
        Value::Date(date) => DateTime { date: *date, micros: 0 },
        _ => DateTime::default(),
    }
}

fn as_time(value: &Value) -> Time {
    match value {
        Value::Time(value) => *value,
        Value::DateTime(value) => Time { micros: i64::try_from(value.micros).unwrap_or_default() },
        _ => Time::default(),
    }
}
