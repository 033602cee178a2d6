//! Column definitions, and how a [`DataType`] looks on the wire.
//!
//! Lengths follow MySQL's `THD::send_result_metadata`: strings are as long as their characters may get
//! in the character set of the results; all else has its display width and the `binary` collation.

use aquifer_types::{Collation, DataType, TypeKind};

use crate::channel::Channel;
use crate::codec::{len_u64, put_lenenc_bytes};
use crate::flags::{Capabilities, ColumnFlags, ColumnType, StatusFlags};
use crate::packet::HEADER_BYTES;
use crate::response::{OkPacket, ServerState};

/// In place of a length: NULL.
const NULL: u8 = 0xfb;

/// The character set that results are sent in (`character_set_results`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResultCharset {
    /// Its default collation, as column definitions name it; `None` for `character_set_results` NULL
    /// or `binary`: strings keep their own collation.
    pub collation: Option<Collation>,
    /// Bytes of its longest character.
    pub character_bytes_max: u8,
}

impl ResultCharset {
    /// utf8mb4 with its default collation.
    pub const UTF8MB4: Self = Self { collation: Some(Collation::UTF8MB4_0900_AI_CI), character_bytes_max: 4 };
    /// utf8mb3.
    pub const UTF8MB3: Self = Self { collation: Some(Collation::UTF8MB3_GENERAL_CI), character_bytes_max: 3 };
    /// latin1.
    pub const LATIN1: Self = Self { collation: Some(Collation(8)), character_bytes_max: 1 };
    /// No conversion.
    pub const NONE: Self = Self { collation: None, character_bytes_max: 4 };
}

/// What the wire says of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeMeta {
    /// The type byte.
    pub column_type: ColumnType,
    /// Flags that follow from the type alone.
    pub flags: ColumnFlags,
    /// Collation number: 63 for all that is not text.
    pub charset: u16,
    /// Greatest length in bytes, or display width.
    pub length: u32,
    /// Digits after the point, 31 for floating point and for strings that are computed.
    pub decimals: u8,
}

impl TypeMeta {
    /// The meta data of a type whose strings are sent in `charset`.
    #[must_use]
    pub fn from_data_type(data_type: &DataType, charset: ResultCharset) -> Self {
        let kind = data_type.kind;
        let column_type = column_type(kind);
        let text = is_text(kind);
        let collation = match charset.collation {
            Some(collation) if text => collation,
            None if text => data_type.collation,
            _ => Collation::BINARY,
        };
        Self {
            column_type,
            flags: type_flags(data_type),
            charset: collation.0,
            length: wire_length(data_type, charset),
            decimals: if kind == TypeKind::Null { 0 } else { data_type.decimals },
        }
    }
}

fn column_type(kind: TypeKind) -> ColumnType {
    match kind {
        TypeKind::Null => ColumnType::NULL,
        TypeKind::TinyInt => ColumnType::TINY,
        TypeKind::SmallInt => ColumnType::SHORT,
        TypeKind::MediumInt => ColumnType::INT24,
        TypeKind::Int => ColumnType::LONG,
        TypeKind::BigInt => ColumnType::LONG_LONG,
        TypeKind::Bit => ColumnType::BIT,
        TypeKind::Year => ColumnType::YEAR,
        TypeKind::Float => ColumnType::FLOAT,
        TypeKind::Double => ColumnType::DOUBLE,
        TypeKind::Decimal => ColumnType::NEW_DECIMAL,
        TypeKind::Date => ColumnType::DATE,
        TypeKind::Time => ColumnType::TIME,
        TypeKind::DateTime => ColumnType::DATETIME,
        TypeKind::Timestamp => ColumnType::TIMESTAMP,
        TypeKind::Char | TypeKind::Binary | TypeKind::Enum | TypeKind::Set => ColumnType::STRING,
        TypeKind::VarChar | TypeKind::VarBinary => ColumnType::VAR_STRING,
        TypeKind::TinyText | TypeKind::Text | TypeKind::MediumText | TypeKind::LongText => ColumnType::BLOB,
        TypeKind::TinyBlob | TypeKind::Blob | TypeKind::MediumBlob | TypeKind::LongBlob => ColumnType::BLOB,
        TypeKind::Json => ColumnType::JSON,
    }
}

/// Types that are converted to the character set of the results. JSON is not: it is sent as binary.
fn is_text(kind: TypeKind) -> bool {
    matches!(
        kind,
        TypeKind::Char
            | TypeKind::VarChar
            | TypeKind::TinyText
            | TypeKind::Text
            | TypeKind::MediumText
            | TypeKind::LongText
            | TypeKind::Enum
            | TypeKind::Set
    )
}

fn type_flags(data_type: &DataType) -> ColumnFlags {
    let mut flags = match data_type.kind {
        TypeKind::Null
        | TypeKind::Date
        | TypeKind::Time
        | TypeKind::DateTime
        | TypeKind::Timestamp
        | TypeKind::Binary
        | TypeKind::VarBinary => ColumnFlags::BINARY,
        TypeKind::Bit => ColumnFlags::UNSIGNED,
        TypeKind::Year => ColumnFlags::UNSIGNED | ColumnFlags::ZEROFILL,
        TypeKind::Enum => ColumnFlags::ENUM,
        TypeKind::Set => ColumnFlags::SET,
        TypeKind::TinyText | TypeKind::Text | TypeKind::MediumText | TypeKind::LongText => ColumnFlags::BLOB,
        TypeKind::TinyBlob | TypeKind::Blob | TypeKind::MediumBlob | TypeKind::LongBlob | TypeKind::Json => {
            ColumnFlags::BLOB | ColumnFlags::BINARY
        }
        _ => ColumnFlags::empty(),
    };
    if is_text(data_type.kind) && is_binary_collation(data_type.collation) {
        flags |= ColumnFlags::BINARY;
    }
    if data_type.unsigned {
        flags |= ColumnFlags::UNSIGNED;
    }
    if data_type.zerofill {
        flags |= ColumnFlags::UNSIGNED | ColumnFlags::ZEROFILL;
    }
    flags
}

/// The `_bin` collations of the character sets that results and columns have
/// (`information_schema.COLLATIONS`): latin1, ascii, utf8mb3, utf8mb4, `utf8mb4_0900_bin`, binary.
fn is_binary_collation(collation: Collation) -> bool {
    matches!(collation.0, 47 | 65 | 83 | 46 | 309 | 63)
}

fn wire_length(data_type: &DataType, charset: ResultCharset) -> u32 {
    let fraction = match data_type.decimals {
        digits @ 1..=6 => u32::from(digits) + 1,
        _ => 0,
    };
    match data_type.kind {
        TypeKind::Null => 0,
        TypeKind::Date => 10,
        TypeKind::Time => 10 + fraction,
        TypeKind::DateTime | TypeKind::Timestamp => 19 + fraction,
        TypeKind::Decimal => decimal_length(data_type),
        TypeKind::Enum | TypeKind::Set => in_bytes(member_characters(data_type), charset),
        TypeKind::Json => u32::MAX,
        kind if is_text(kind) => in_bytes(data_type.length, charset),
        _ => data_type.length,
    }
}

/// Digits, point and sign.
fn decimal_length(data_type: &DataType) -> u32 {
    let point = u32::from(data_type.decimals > 0);
    let sign = u32::from(!data_type.unsigned);
    data_type.length.saturating_add(point + sign)
}

fn in_bytes(characters: u32, charset: ResultCharset) -> u32 {
    characters.saturating_mul(u32::from(charset.character_bytes_max))
}

/// Characters of the longest ENUM member, or of all SET members with their commas.
fn member_characters(data_type: &DataType) -> u32 {
    let members = data_type.members.as_deref().unwrap_or_default();
    let lengths = members.iter().map(|member| member.chars().count());
    let characters = match data_type.kind {
        TypeKind::Set => lengths.sum::<usize>() + members.len().saturating_sub(1),
        _ => lengths.max().unwrap_or(0),
    };
    u32::try_from(characters).unwrap_or(u32::MAX)
}

/// One column of a result set, or one parameter of a prepared statement. The catalog is always `def`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDef {
    /// Schema of the table, empty for an expression.
    pub schema: String,
    /// Alias of the table, empty for an expression.
    pub table: String,
    /// Name of the table, empty for an expression.
    pub org_table: String,
    /// Alias of the column.
    pub name: String,
    /// Name of the column, empty for an expression.
    pub org_name: String,
    /// Type, flags, character set, length, decimals. Add the flags of the column's keys and
    /// attributes to those of the type.
    pub meta: TypeMeta,
}

impl ColumnDef {
    /// A column that is computed. Numbers carry the BINARY flag and strings 31 decimals, as MySQL's
    /// items do.
    #[must_use]
    pub fn expression(name: impl Into<String>, data_type: &DataType, charset: ResultCharset) -> Self {
        let mut meta = TypeMeta::from_data_type(data_type, charset);
        if meta.charset == Collation::BINARY.0 {
            meta.flags |= ColumnFlags::BINARY;
        }
        if matches!(meta.column_type, ColumnType::VAR_STRING | ColumnType::BLOB) {
            meta.decimals = 31;
        }
        Self {
            schema: String::new(),
            table: String::new(),
            org_table: String::new(),
            name: name.into(),
            org_name: String::new(),
            meta,
        }
    }

    /// A parameter of a prepared statement: `?`, a string of unknown length, as MySQL sends it when it
    /// knows nothing of the parameter.
    #[must_use]
    pub fn parameter() -> Self {
        Self::expression("?", &DataType::of(TypeKind::Null), ResultCharset::UTF8MB4).with_parameter_type()
    }

    fn with_parameter_type(mut self) -> Self {
        self.meta = TypeMeta {
            column_type: ColumnType::VAR_STRING,
            flags: ColumnFlags::BINARY,
            charset: Collation::BINARY.0,
            length: 0,
            decimals: 0,
        };
        self
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_lenenc_bytes(out, b"def");
        for text in [&self.schema, &self.table, &self.org_table, &self.name, &self.org_name] {
            put_lenenc_bytes(out, text.as_bytes());
        }
        out.push(0x0c);
        out.extend_from_slice(&self.meta.charset.to_le_bytes());
        out.extend_from_slice(&self.meta.length.to_le_bytes());
        out.push(self.meta.column_type.0);
        out.extend_from_slice(&self.meta.flags.bits().to_le_bytes());
        out.extend_from_slice(&[self.meta.decimals, 0, 0]);
    }
}

/// Column definitions encoded once, for a cached plan: the count and the definitions as packets whose
/// sequence numbers are set when they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnsBlock {
    count: usize,
    /// Bodies of the definition packets, end to end.
    bodies: Vec<u8>,
    /// Where each body ends.
    ends: Vec<usize>,
}

impl ColumnsBlock {
    /// Encodes `columns`.
    #[must_use]
    pub fn new(columns: &[ColumnDef]) -> Self {
        let mut bodies = Vec::with_capacity(columns.len() * 64);
        let ends = columns
            .iter()
            .map(|column| {
                column.encode(&mut bodies);
                bodies.len()
            })
            .collect();
        Self { count: columns.len(), bodies, ends }
    }

    /// Number of columns.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no columns.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl Channel {
    /// Begins a result set: the number of columns, their definitions, and EOF for clients that want
    /// one.
    pub fn write_columns(&mut self, columns: &[ColumnDef], state: ServerState) {
        self.write_columns_block(&ColumnsBlock::new(columns), state);
    }

    /// As [`Channel::write_columns`], from definitions that were encoded before.
    pub fn write_columns_block(&mut self, block: &ColumnsBlock, state: ServerState) {
        let mut packet = self.packet();
        packet.lenenc(len_u64(block.count));
        packet.finish();
        self.write_definitions(block);
        self.write_metadata_end(state);
    }

    /// Answers a COM_STMT_EXECUTE that opened a cursor: the definitions, then what says that rows are to
    /// be fetched. The status flag is set here. COM_STMT_FETCH is answered by rows and
    /// [`Channel::write_result_end`], the last one with [`StatusFlags::LAST_ROW_SENT`].
    pub fn write_cursor_columns(&mut self, block: &ColumnsBlock, mut state: ServerState) {
        state.status |= StatusFlags::CURSOR_EXISTS;
        self.write_columns_block(block, state);
        if self.capabilities().contains(Capabilities::DEPRECATE_EOF) {
            self.write_result_end(&OkPacket { state, ..OkPacket::default() });
        }
    }

    fn write_definitions(&mut self, block: &ColumnsBlock) {
        let mut from = 0;
        for &end in &block.ends {
            let mut packet = self.packet();
            packet.buffer().reserve(end - from + HEADER_BYTES);
            packet.bytes(&block.bodies[from..end]);
            packet.finish();
            from = end;
        }
    }

    fn write_metadata_end(&mut self, state: ServerState) {
        if !self.capabilities().contains(Capabilities::DEPRECATE_EOF) {
            self.write_eof(state);
        }
    }

    /// Answers COM_FIELD_LIST: each definition is followed by the column's default, or by NULL.
    pub fn write_field_list(&mut self, columns: &[(ColumnDef, Option<Vec<u8>>)], state: ServerState) {
        for (column, default) in columns {
            let mut packet = self.packet();
            column.encode(packet.buffer());
            match default {
                Some(text) => packet.lenenc_bytes(text),
                None => packet.u8(NULL),
            }
            packet.finish();
        }
        self.write_result_end(&OkPacket { state, ..OkPacket::default() });
    }

    /// Answers COM_STMT_PREPARE: the statement's id, then the definitions of parameters and columns.
    ///
    /// More than 65,535 of either cannot be told (MySQL: error 1390) and must be refused before.
    pub fn write_prepared(
        &mut self,
        statement_id: u32,
        parameters: &ColumnsBlock,
        columns: &ColumnsBlock,
        state: ServerState,
    ) {
        let count = |block: &ColumnsBlock| u16::try_from(block.count).unwrap_or(u16::MAX);
        let mut packet = self.packet();
        packet.u8(0);
        packet.u32(statement_id);
        packet.u16(count(columns));
        packet.u16(count(parameters));
        packet.u8(0);
        packet.u16(state.warnings);
        packet.finish();
        for block in [parameters, columns] {
            if !block.is_empty() {
                self.write_definitions(block);
                self.write_metadata_end(state);
            }
        }
    }
}
