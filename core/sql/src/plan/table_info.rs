//! A table as plans use it: its catalog entry with row layouts and index key columns worked out.

use std::sync::{Arc, OnceLock};

use aquifer_catalog::{Column, IndexKind, Table};
use aquifer_types::convert::{self, Strictness};
use aquifer_types::key::{KeyColumn, KeyEncoder, KeyOrder};
use aquifer_types::row::RowLayout;
use aquifer_types::temporal::TimeZone;
use aquifer_types::{DataType, IndexId, SchemaVersion, SqlMode, SqlResult, TypeKind, Value, Warnings};
use bytes::Bytes;

use crate::exec::conversion::Conversion;
use crate::plan::node::Needed;
use crate::result::{StoredColumn, StoredLayout};

/// An index with its key columns.
#[derive(Clone, Debug)]
pub(crate) struct IndexInfo {
    pub id: IndexId,
    pub name: Arc<str>,
    pub kind: IndexKind,
    /// Whether plans may read it.
    pub is_usable: bool,
    /// Whether rows are missing in it (ADR 0148).
    pub is_building: bool,
    /// Positions of its columns in the table.
    pub columns: Vec<usize>,
    /// How they are encoded.
    pub keys: Vec<KeyColumn>,
}

impl IndexInfo {
    /// Whether no two rows have equal, non-NULL parts.
    pub(crate) fn is_unique(&self) -> bool {
        matches!(self.kind, IndexKind::Primary | IndexKind::Unique) && !self.is_building
    }
}

/// A table for planning and execution.
#[derive(Debug)]
pub(crate) struct TableInfo {
    pub table: Arc<Table>,
    /// The first holds the rows.
    pub indexes: Vec<IndexInfo>,
    /// Layouts by schema version, the newest last; `columns` is every column of the table.
    pub layouts: Arc<[StoredLayout]>,
    /// Whether each column is a TIMESTAMP, whose stored values are UTC.
    pub timestamps: Vec<bool>,
    /// The rows that each row is written as too, while the table is written anew.
    pub shadow: Option<Box<Conversion>>,
    /// About how many rows there were when the plan was made; `None` without statistics.
    pub rows: OnceLock<Option<f64>>,
}

impl TableInfo {
    pub(crate) fn new(table: &Arc<Table>) -> SqlResult<Self> {
        let indexes = table
            .indexes
            .iter()
            .map(|index| {
                let columns: Vec<usize> =
                    index.parts.iter().filter_map(|part| table.position_of(part.column)).collect();
                let mut keys: Vec<KeyColumn> = columns
                    .iter()
                    .zip(&index.parts)
                    .map(|(column, part)| KeyColumn {
                        data_type: table.columns[*column].data_type.clone(),
                        order: if part.descending { KeyOrder::Descending } else { KeyOrder::Ascending },
                        prefix_length: part.prefix,
                        collation_version: index.collation_version,
                    })
                    .collect();
                if index.kind == IndexKind::Hidden {
                    keys.push(KeyColumn::new(DataType::bigint_unsigned()));
                }
                IndexInfo {
                    id: index.id,
                    name: index.name.clone(),
                    kind: index.kind,
                    is_usable: !index.invisible && !index.is_building(),
                    is_building: index.is_building(),
                    columns,
                    keys,
                }
            })
            .collect();
        let layouts: Vec<StoredLayout> =
            table.layouts.iter().map(|layout| stored_layout(table, layout)).collect::<SqlResult<_>>()?;
        let timestamps = table.columns.iter().map(|c| c.data_type.kind == TypeKind::Timestamp).collect();
        let rebuild = table.rebuild.as_ref();
        let shadow = rebuild.map(|rebuild| Conversion::of_rebuild(table, rebuild)).transpose()?;
        Ok(Self {
            table: Arc::clone(table),
            indexes,
            layouts: layouts.into(),
            timestamps,
            shadow: shadow.map(Box::new),
            rows: OnceLock::new(),
        })
    }

    pub(crate) fn width(&self) -> usize {
        self.table.columns.len()
    }

    /// Every column, each at its own place.
    pub(crate) fn all_columns(&self) -> impl Iterator<Item = Needed> + use<> {
        (0..self.width()).map(|column| Needed { column, place: column })
    }

    /// The layout of a stored row.
    pub(crate) fn layout(&self, version: SchemaVersion) -> SqlResult<&StoredLayout> {
        self.layouts.iter().rev().find(|layout| layout.version == version).ok_or_else(|| {
            let text = format!("row of table '{}' has unknown schema version {version}", self.table.name);
            aquifer_types::SqlError::with_kind(1030, aquifer_types::ErrorKind::Corrupt, text)
        })
    }

    /// The layout of new rows.
    pub(crate) fn newest(&self) -> &StoredLayout {
        &self.layouts[self.layouts.len() - 1]
    }

    /// The key of the row's primary entry; `None` for a hidden key.
    pub(crate) fn primary_key(&self, row: &[Value]) -> SqlResult<Option<Bytes>> {
        let primary = &self.indexes[0];
        if primary.kind == IndexKind::Hidden {
            return Ok(None);
        }
        let mut encoder = KeyEncoder::new(primary.id);
        for (column, key) in primary.columns.iter().zip(&primary.keys) {
            encoder.push(key, &row[*column])?;
        }
        Ok(Some(encoder.finish()))
    }

    /// The key of a hidden row number.
    pub(crate) fn hidden_key(&self, number: u64) -> SqlResult<Bytes> {
        let primary = &self.indexes[0];
        let mut encoder = KeyEncoder::new(primary.id);
        for key in &primary.keys {
            encoder.push(key, &Value::UInt(number))?;
        }
        Ok(encoder.finish())
    }

    /// Whether a column belongs to any index; such columns are read when rows change.
    pub(crate) fn index_named(&self, name: &str) -> Option<usize> {
        self.indexes
            .iter()
            .position(|i| i.kind != IndexKind::Hidden && i.is_usable && i.name.eq_ignore_ascii_case(name))
    }
}

fn stored_layout(table: &Table, layout: &aquifer_catalog::Layout) -> SqlResult<StoredLayout> {
    let types: Vec<DataType> = layout.columns.iter().map(|column| column.data_type.clone()).collect();
    let columns = table
        .columns
        .iter()
        .map(|column| match layout.columns.iter().position(|stored| stored.id == column.id) {
            Some(position) => Ok(StoredColumn::At(position)),
            None => initial_value(column).map(StoredColumn::Constant),
        })
        .collect::<SqlResult<_>>()?;
    Ok(StoredLayout {
        version: layout.version,
        layout: Arc::new(RowLayout::new(layout.version, &types)),
        columns,
    })
}

/// What a column shows in rows that were written before it was added; stored form (TIMESTAMP in UTC).
fn initial_value(column: &Column) -> SqlResult<Value> {
    match &column.initial {
        None => Ok(Value::Null),
        Some(text) => text_value(text, &column.data_type),
    }
}

/// A literal's text as a value of a column's type.
pub(crate) fn text_value(text: &[u8], data_type: &DataType) -> SqlResult<Value> {
    let mut warnings = Warnings::default();
    let mut ctx = convert::StoreContext {
        strictness: Strictness::Lenient,
        sql_mode: SqlMode::ALLOW_INVALID_DATES,
        time_zone: TimeZone::Utc,
        column: "",
        row_number: 1,
        warnings: &mut warnings,
    };
    let from = literal_text_type(data_type, text);
    convert::store(Value::Bytes(Bytes::copy_from_slice(text)), &from, data_type, &mut ctx)
}

/// The type under which a stored literal's text converts: binary for binary columns.
pub(crate) fn literal_text_type(data_type: &DataType, text: &[u8]) -> DataType {
    let mut from = DataType::varchar(u32::try_from(text.len()).unwrap_or(u32::MAX));
    match data_type.kind {
        TypeKind::Binary
        | TypeKind::VarBinary
        | TypeKind::TinyBlob
        | TypeKind::Blob
        | TypeKind::MediumBlob
        | TypeKind::LongBlob
        | TypeKind::Bit => {
            from = DataType { length: from.length, ..DataType::of(TypeKind::VarBinary) };
        }
        _ => {}
    }
    from
}
