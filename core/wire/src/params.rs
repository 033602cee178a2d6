//! Binary parameter values: of COM_STMT_EXECUTE, and as query attributes of COM_QUERY.
//!
//! A value's layout depends on the type that the client declares, once for several executions;
//! [`StatementParams`] keeps the declared types and the data sent ahead between packets.

use aquifer_types::{Date, DateTime, Decimal, Time, Value};
use bytes::Bytes;

use crate::codec::Reader;
use crate::error::{WireError, WireResult};
use crate::flags::{Capabilities, ColumnType};

/// Most parameters or attributes of one packet (the protocol counts them in 16 bits).
const PARAMS_MAX: usize = 65_535;
const MICROS_PER_SECOND: u64 = 1_000_000;
/// Longest TIME, 838:59:59, in seconds.
const TIME_SECONDS_MAX: u64 = 838 * 3600 + 59 * 60 + 59;

/// What a client declares of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamType {
    /// The type byte.
    pub column_type: ColumnType,
    /// Whether an integer is unsigned.
    pub unsigned: bool,
    /// Name of a query attribute; empty for a parameter of the statement.
    pub name: Bytes,
}

/// A parameter with its value.
#[derive(Clone, Debug)]
pub struct Param {
    /// The declared type: tells text (`VAR_STRING`, `STRING`, …) from binary (`BLOB`, …) in
    /// [`Value::Bytes`], and a DATETIME from a TIMESTAMP.
    pub column_type: ColumnType,
    /// Name of a query attribute; empty for a parameter of the statement.
    pub name: Bytes,
    /// The value. Strings share the packet's memory.
    pub value: Value,
}

/// Body of COM_STMT_EXECUTE; the parameters are decoded by [`StatementParams::decode`], because their
/// number belongs to the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StmtExecute {
    /// The statement.
    pub statement_id: u32,
    /// The kind of cursor and [`StmtExecute::PARAMETER_COUNT_AVAILABLE`].
    pub flags: u8,
    /// Everything after the iteration count.
    pub body: Bytes,
}

impl StmtExecute {
    /// The client wants a read-only cursor.
    pub const CURSOR_READ_ONLY: u8 = 1;
    /// The client wants a cursor for update; MySQL opens a read-only one.
    pub const CURSOR_FOR_UPDATE: u8 = 2;
    /// The client wants a scrollable cursor; MySQL refuses it.
    pub const CURSOR_SCROLLABLE: u8 = 4;
    /// The number of parameters, attributes included, is in the body.
    pub const PARAMETER_COUNT_AVAILABLE: u8 = 8;

    /// Whether rows are to be fetched with COM_STMT_FETCH.
    #[must_use]
    pub fn wants_cursor(&self) -> bool {
        self.flags & (Self::CURSOR_READ_ONLY | Self::CURSOR_FOR_UPDATE) != 0
    }
}

/// Parameters and attributes of one execution.
#[derive(Clone, Debug, Default)]
pub struct ExecuteParams {
    /// One for each `?`, in order.
    pub params: Vec<Param>,
    /// Named query attributes.
    pub attributes: Vec<Param>,
}

/// What a prepared statement remembers of its parameters from packet to packet.
#[derive(Clone, Debug, Default)]
pub struct StatementParams {
    count: usize,
    types: Vec<ParamType>,
    /// Data sent ahead, by parameter; empty until any is.
    long_data: Vec<Option<Vec<u8>>>,
    /// The limit that data sent ahead has exceeded; told at the next execution.
    exceeded: Option<usize>,
}

impl StatementParams {
    /// For a statement with `count` parameters.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self { count, ..Self::default() }
    }

    /// Number of parameters.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Takes a piece of COM_STMT_SEND_LONG_DATA, which has no answer: what is wrong with it is told at
    /// the next execution. `bytes_max` is `max_allowed_packet`, for the pieces of one parameter
    /// together.
    pub fn append_long_data(&mut self, parameter: u16, data: &[u8], bytes_max: usize) {
        let parameter = usize::from(parameter);
        if parameter >= self.count {
            return;
        }
        self.long_data.resize(self.count, None);
        let value = self.long_data[parameter].get_or_insert_default();
        if value.len() + data.len() > bytes_max {
            *value = Vec::new();
            self.exceeded = Some(bytes_max);
        } else if self.exceeded.is_none() {
            value.extend_from_slice(data);
        }
    }

    /// Forgets data sent ahead (COM_STMT_RESET, and after each execution).
    pub fn reset(&mut self) {
        self.long_data = Vec::new();
        self.exceeded = None;
    }

    /// Decodes the parameters of an execution and forgets data sent ahead.
    ///
    /// # Errors
    /// `Malformed`, also when the client has never declared types; `LongDataTooLarge`.
    pub fn decode(&mut self, execute: &StmtExecute, capabilities: Capabilities) -> WireResult<ExecuteParams> {
        let long_data = std::mem::take(&mut self.long_data);
        if let Some(limit) = self.exceeded.take() {
            return Err(WireError::LongDataTooLarge { limit });
        }
        let mut reader = Reader::new(execute.body.clone());
        // Counted and named whenever both sides know attributes; the flag only says that there is a
        // count although the statement has no parameters. Connector/Python never sets it without.
        let named = capabilities.contains(Capabilities::QUERY_ATTRIBUTES);
        let counted = named && execute.flags & StmtExecute::PARAMETER_COUNT_AVAILABLE != 0;
        if self.count == 0 && !counted {
            return Ok(ExecuteParams::default());
        }
        let total = if named { read_count(&mut reader)? } else { self.count };
        if total < self.count {
            return Err(WireError::Malformed("fewer parameters than the statement has"));
        }
        if total == 0 {
            return Ok(ExecuteParams::default());
        }
        let nulls = reader.bytes(total.div_ceil(8))?;
        match reader.u8()? {
            0 => {}
            1 => self.types = read_types(&mut reader, total, named)?,
            _ => return Err(WireError::Malformed("new-parameters flag is neither 0 nor 1")),
        }
        if self.types.len() != total {
            return Err(WireError::Malformed("parameter types were never declared"));
        }
        let mut params = read_values(&mut reader, &self.types, &nulls, long_data)?;
        let attributes = params.split_off(self.count);
        Ok(ExecuteParams { params, attributes })
    }
}

/// Decodes the query attributes that precede the text of a COM_QUERY.
pub(crate) fn read_query_attributes(reader: &mut Reader) -> WireResult<Vec<Param>> {
    let count = read_count(reader)?;
    if reader.lenenc()? != 1 {
        return Err(WireError::Malformed("more than one set of query attributes"));
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    let nulls = reader.bytes(count.div_ceil(8))?;
    if reader.u8()? != 1 {
        return Err(WireError::Malformed("query attributes without types"));
    }
    let types = read_types(reader, count, true)?;
    read_values(reader, &types, &nulls, Vec::new())
}

fn read_count(reader: &mut Reader) -> WireResult<usize> {
    usize::try_from(reader.lenenc()?)
        .ok()
        .filter(|&count| count <= PARAMS_MAX)
        .ok_or(WireError::Malformed("too many parameters"))
}

fn read_types(reader: &mut Reader, count: usize, named: bool) -> WireResult<Vec<ParamType>> {
    if reader.remaining() < count * 2 {
        return Err(WireError::Malformed("parameter types end too early"));
    }
    let mut types = Vec::with_capacity(count);
    for _ in 0..count {
        let [column_type, flags] = reader.array()?;
        let name = if named { reader.lenenc_bytes()? } else { Bytes::new() };
        let unsigned = flags & 0x80 != 0;
        // A name from the packet must not keep the whole packet alive with the statement.
        let name = Bytes::copy_from_slice(&name);
        types.push(ParamType { column_type: ColumnType(column_type), unsigned, name });
    }
    Ok(types)
}

fn read_values(
    reader: &mut Reader,
    types: &[ParamType],
    nulls: &[u8],
    mut long_data: Vec<Option<Vec<u8>>>,
) -> WireResult<Vec<Param>> {
    let mut params = Vec::with_capacity(types.len());
    for (index, declared) in types.iter().enumerate() {
        let sent_ahead = long_data.get_mut(index).and_then(Option::take);
        let is_null = nulls.get(index / 8).is_some_and(|bits| bits & (1 << (index % 8)) != 0);
        let value = match sent_ahead {
            Some(data) => Value::Bytes(Bytes::from(data)),
            None if is_null => Value::Null,
            None => read_value(reader, declared)?,
        };
        params.push(Param { column_type: declared.column_type, name: declared.name.clone(), value });
    }
    Ok(params)
}

fn read_value(reader: &mut Reader, declared: &ParamType) -> WireResult<Value> {
    Ok(match declared.column_type {
        ColumnType::NULL => Value::Null,
        ColumnType::TINY | ColumnType::BOOL => {
            let byte = reader.u8()?;
            integer(declared, u64::from(byte), i64::from(byte.cast_signed()))
        }
        ColumnType::SHORT | ColumnType::YEAR => {
            let short = reader.u16()?;
            integer(declared, u64::from(short), i64::from(short.cast_signed()))
        }
        ColumnType::LONG | ColumnType::INT24 => {
            let long = reader.u32()?;
            integer(declared, u64::from(long), i64::from(long.cast_signed()))
        }
        ColumnType::LONG_LONG => {
            let long = reader.u64()?;
            integer(declared, long, long.cast_signed())
        }
        ColumnType::FLOAT => Value::Float(f32::from_le_bytes(reader.array()?)),
        ColumnType::DOUBLE => Value::Double(f64::from_le_bytes(reader.array()?)),
        ColumnType::DATE => Value::Date(read_datetime(reader)?.date),
        ColumnType::DATETIME | ColumnType::TIMESTAMP => Value::DateTime(read_datetime(reader)?),
        ColumnType::TIME => Value::Time(read_time(reader)?),
        ColumnType::DECIMAL | ColumnType::NEW_DECIMAL => {
            let text = reader.lenenc_bytes()?;
            Decimal::parse(&text).map_or(Value::Bytes(text), Value::Decimal)
        }
        ColumnType::VARCHAR
        | ColumnType::VAR_STRING
        | ColumnType::STRING
        | ColumnType::TINY_BLOB
        | ColumnType::MEDIUM_BLOB
        | ColumnType::LONG_BLOB
        | ColumnType::BLOB
        | ColumnType::BIT
        | ColumnType::ENUM
        | ColumnType::SET
        | ColumnType::JSON
        | ColumnType::GEOMETRY => Value::Bytes(reader.lenenc_bytes()?),
        _ => return Err(WireError::Malformed("unknown parameter type")),
    })
}

fn integer(declared: &ParamType, unsigned: u64, signed: i64) -> Value {
    if declared.unsigned { Value::UInt(unsigned) } else { Value::Int(signed) }
}

/// A DATE, DATETIME or TIMESTAMP. Parts out of range make it zero, as MySQL does.
fn read_datetime(reader: &mut Reader) -> WireResult<DateTime> {
    let length = reader.u8()?;
    if length == 0 {
        return Ok(DateTime::default());
    }
    if !matches!(length, 4 | 7 | 11) {
        return Err(WireError::Malformed("length of a date parameter"));
    }
    let year = reader.u16()?;
    let [month, day] = reader.array()?;
    let [hour, minute, second] = if length > 4 { reader.array()? } else { [0; 3] };
    let fraction = if length > 7 { reader.u32()? } else { 0 };
    let date_fits = year <= 9999 && month <= 12 && day <= 31;
    let time_fits = hour < 24 && minute < 60 && second < 60 && fraction < 1_000_000;
    if !date_fits || !time_fits {
        return Ok(DateTime::default());
    }
    let seconds = (u64::from(hour) * 60 + u64::from(minute)) * 60 + u64::from(second);
    Ok(DateTime {
        date: Date { year, month, day },
        micros: seconds * MICROS_PER_SECOND + u64::from(fraction),
    })
}

/// A TIME. One that is too long becomes the longest, as MySQL does.
fn read_time(reader: &mut Reader) -> WireResult<Time> {
    let length = reader.u8()?;
    if length == 0 {
        return Ok(Time::default());
    }
    if !matches!(length, 8 | 12) {
        return Err(WireError::Malformed("length of a time parameter"));
    }
    let negative = reader.u8()? != 0;
    let days = reader.u32()?;
    let [hour, minute, second] = reader.array()?;
    let fraction = if length > 8 { reader.u32()? } else { 0 };
    if minute > 59 || second > 59 || fraction > 999_999 {
        return Ok(Time::default());
    }
    let hours = u64::from(days) * 24 + u64::from(hour);
    let seconds = hours * 3600 + u64::from(minute) * 60 + u64::from(second);
    let micros = if seconds > TIME_SECONDS_MAX {
        TIME_SECONDS_MAX * MICROS_PER_SECOND
    } else {
        (seconds * MICROS_PER_SECOND + u64::from(fraction)).min(TIME_SECONDS_MAX * MICROS_PER_SECOND)
    };
    let micros = i64::try_from(micros).unwrap_or_default();
    Ok(Time { micros: if negative { -micros } else { micros } })
}
