//! Result sets on their way to the client.

use aquifer_sql::result::StoredColumn;
use aquifer_sql::{Batch, ResultColumn, StoredBatch};
use aquifer_types::collation::Charset;
use aquifer_types::row::{RowView, schema_version};
use aquifer_types::temporal::TimeZone;
use aquifer_types::{Collation, DataType, ErrorKind, SqlError, SqlResult, TypeKind, Value};
use aquifer_wire::{Channel, ColumnDef, ColumnFlags, ColumnsBlock, ResultCharset};
use bytes::Bytes;

/// Which encoding rows have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// COM_QUERY.
    Text,
    /// COM_STMT_EXECUTE.
    Binary,
}

/// How values are encoded for one session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoding {
    pub(crate) protocol: Protocol,
    pub(crate) charset: ResultCharset,
    /// What strings are converted to; `None` sends them as they are.
    pub(crate) target: Option<Charset>,
    pub(crate) time_zone: TimeZone,
}

/// The character set of results from `character_set_results`.
pub(crate) fn result_charset(name: &str) -> (ResultCharset, Option<Charset>) {
    match name {
        "utf8mb4" => (ResultCharset::UTF8MB4, Some(Charset::Utf8mb4)),
        "utf8mb3" => (ResultCharset::UTF8MB3, Some(Charset::Utf8mb3)),
        "latin1" => (ResultCharset::LATIN1, Some(Charset::Latin1)),
        "ascii" => {
            let charset = ResultCharset { collation: Some(Collation(11)), character_bytes_max: 1 };
            (charset, Some(Charset::Ascii))
        }
        _ => (ResultCharset::NONE, None),
    }
}

/// Definitions of result columns.
pub(crate) fn column_defs(columns: &[ResultColumn], charset: ResultCharset) -> Vec<ColumnDef> {
    columns.iter().map(|column| column_def(column, charset)).collect()
}

fn column_def(column: &ResultColumn, charset: ResultCharset) -> ColumnDef {
    let flags = ColumnFlags(column.flags.0);
    if column.org_name.is_empty() {
        let mut def = ColumnDef::expression(&*column.name, &column.data_type, charset);
        def.meta.flags |= flags;
        return def;
    }
    let mut meta = aquifer_wire::TypeMeta::from_data_type(&column.data_type, charset);
    meta.flags |= flags;
    ColumnDef {
        schema: column.schema.to_string(),
        table: column.table.to_string(),
        org_table: column.org_table.to_string(),
        name: column.name.to_string(),
        org_name: column.org_name.to_string(),
        meta,
    }
}

/// Encoded definitions of result columns.
pub(crate) fn columns_block(columns: &[ResultColumn], charset: ResultCharset) -> ColumnsBlock {
    ColumnsBlock::new(&column_defs(columns, charset))
}

impl Encoding {
    /// Writes at most `limit` rows of a batch.
    ///
    /// # Errors
    /// `Corrupt` for stored rows that cannot be read.
    pub(crate) fn write_batch(
        &self,
        channel: &mut Channel,
        columns: &[ResultColumn],
        batch: &Batch,
        limit: usize,
    ) -> SqlResult<()> {
        match batch {
            Batch::Values { width, values } => {
                for row in values.chunks(*width).take(limit) {
                    self.write_values(channel, columns, row);
                }
                Ok(())
            }
            Batch::Stored(stored) => self.write_stored(channel, columns, stored, limit),
        }
    }

    /// Writes one row.
    pub(crate) fn write_values(&self, channel: &mut Channel, columns: &[ResultColumn], row: &[Value]) {
        match self.protocol {
            Protocol::Text => {
                let mut out = channel.text_row();
                for (value, column) in row.iter().zip(columns) {
                    match self.converted(value, &column.data_type) {
                        Some(text) => out.push_bytes(&text),
                        None => out.push_value(value, &column.data_type),
                    }
                }
                out.finish();
            }
            Protocol::Binary => {
                let mut out = channel.binary_row(columns.len());
                for (value, column) in row.iter().zip(columns) {
                    match self.converted(value, &column.data_type) {
                        Some(text) => out.push_bytes(&text),
                        None => out.push_value(value, &column.data_type),
                    }
                }
                out.finish();
            }
        }
    }

    /// A string in the character set of the results, when its own is another one.
    fn converted(&self, value: &Value, data_type: &DataType) -> Option<Bytes> {
        let Value::Bytes(text) = value else { return None };
        let to = self.target?;
        let from = data_type.collation.charset();
        if data_type.collation == Collation::BINARY || from == to || is_same_family(from, to) {
            return None;
        }
        Some(from.convert(to, text).bytes)
    }

    fn write_stored(
        &self,
        channel: &mut Channel,
        columns: &[ResultColumn],
        stored: &StoredBatch,
        limit: usize,
    ) -> SqlResult<()> {
        let mut values = Vec::with_capacity(columns.len());
        for row in stored.rows.iter().take(limit) {
            values.clear();
            self.read_stored(stored, row, columns, &mut values)?;
            self.write_values(channel, columns, &values);
        }
        Ok(())
    }

    fn read_stored(
        &self,
        stored: &StoredBatch,
        row: &Bytes,
        columns: &[ResultColumn],
        values: &mut Vec<Value>,
    ) -> SqlResult<()> {
        let version = schema_version(row)?;
        let layout = stored.layout(version).ok_or_else(|| {
            let text = format!("a stored row has unknown schema version {version}");
            SqlError::with_kind(1105, ErrorKind::Corrupt, text)
        })?;
        let view = RowView::new(row, &layout.layout)?;
        for (source, column) in layout.columns.iter().zip(columns) {
            let value = match source {
                StoredColumn::At(position) => view.column(*position)?,
                StoredColumn::Constant(value) => value.clone(),
            };
            values.push(self.localised(value, &column.data_type));
        }
        Ok(())
    }

    /// TIMESTAMP is stored in UTC.
    fn localised(&self, value: Value, data_type: &DataType) -> Value {
        match value {
            Value::DateTime(utc) if data_type.kind == TypeKind::Timestamp => {
                Value::DateTime(self.time_zone.to_local(utc))
            }
            other => other,
        }
    }

    /// Rows of a batch as values.
    ///
    /// # Errors
    /// As [`Encoding::write_batch`].
    pub(crate) fn collect_batch(
        &self,
        columns: &[ResultColumn],
        batch: Batch,
        rows: &mut Vec<Vec<Value>>,
    ) -> SqlResult<()> {
        match batch {
            Batch::Values { width, values } => {
                let mut values = values.into_iter();
                loop {
                    let row: Vec<Value> = values.by_ref().take(width.max(1)).collect();
                    if row.is_empty() {
                        return Ok(());
                    }
                    rows.push(row);
                }
            }
            Batch::Stored(stored) => {
                for row in &stored.rows {
                    let mut values = Vec::with_capacity(columns.len());
                    self.read_stored(&stored, row, columns, &mut values)?;
                    rows.push(values);
                }
                Ok(())
            }
        }
    }
}

/// UTF-8 of three bytes is UTF-8 of four.
fn is_same_family(from: Charset, to: Charset) -> bool {
    let utf8 = |set: Charset| matches!(set, Charset::Utf8mb3 | Charset::Utf8mb4);
    utf8(from) && utf8(to)
}
