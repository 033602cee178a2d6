//! Rows of a table as another definition of the table has them, for ALTER TABLE.

use std::sync::Arc;

use aquifer_catalog::{Rebuild, Table};
use aquifer_types::convert::{self, StoreContext, Strictness};
use aquifer_types::key::{KeyDecoder, KeyEncoder};
use aquifer_types::temporal::TimeZone;
use aquifer_types::{DataType, SqlError, SqlMode, SqlResult, TypeKind, Value, Warnings};
use bytes::Bytes;

use crate::exec::write;
use crate::plan::table_info::{TableInfo, text_value};
use crate::plan::zero_value;

/// How rows become those of another definition.
#[derive(Debug)]
pub(crate) struct Conversion {
    /// The definition that they are to have.
    pub to: TableInfo,
    /// For each column, where its value comes from, and that column's type.
    origins: Vec<Option<(usize, DataType)>>,
    /// Columns of the old definition that are TIMESTAMPs.
    timestamps: Vec<bool>,
    sql_mode: SqlMode,
    time_zone: TimeZone,
}

impl Conversion {
    pub(crate) fn new(
        from: &Table,
        to: &Arc<Table>,
        sql_mode: SqlMode,
        time_zone: TimeZone,
    ) -> SqlResult<Self> {
        let origin = |column: &aquifer_catalog::Column| {
            from.position_of(column.id).map(|at| (at, from.columns[at].data_type.clone()))
        };
        Ok(Self {
            to: TableInfo::new(to)?,
            origins: to.columns.iter().map(origin).collect(),
            timestamps: from
                .columns
                .iter()
                .map(|column| column.data_type.kind == TypeKind::Timestamp)
                .collect(),
            sql_mode,
            time_zone,
        })
    }

    /// That of a table which is being written anew.
    pub(crate) fn of_rebuild(from: &Table, rebuild: &Rebuild) -> SqlResult<Self> {
        let time_zone = TimeZone::parse(&rebuild.time_zone).ok_or_else(|| {
            SqlError::new(1298, format!("Unknown or incorrect time zone: '{}'", rebuild.time_zone))
        })?;
        let sql_mode = SqlMode::from_bits(rebuild.sql_mode);
        Self::new(from, &Arc::new(Table::clone(&rebuild.table)), sql_mode, time_zone)
    }

    /// Whether what does not fit is an error.
    pub(crate) fn strictness(&self) -> Strictness {
        if self.sql_mode.is_strict() { Strictness::Strict } else { Strictness::Lenient }
    }

    /// A stored row in the other definition, also as it is stored. Generated columns are NULL, and so are numbers that the
    /// table gives out.
    ///
    /// # Errors
    /// When a value does not fit.
    pub(crate) fn convert(
        &self,
        stored: &[Value],
        row_number: u64,
        warnings: &mut Warnings,
    ) -> SqlResult<Vec<Value>> {
        let mut row = Vec::with_capacity(self.origins.len());
        for (at, (origin, column)) in self.origins.iter().zip(&self.to.table.columns).enumerate() {
            let value = match (origin, &column.initial) {
                (Some((from, old_type)), _) if *old_type == column.data_type => stored[*from].clone(),
                (Some((from, old_type)), _) => {
                    let mut store = StoreContext {
                        strictness: self.strictness(),
                        sql_mode: self.sql_mode,
                        time_zone: self.time_zone,
                        column: &column.name,
                        row_number,
                        warnings,
                    };
                    let value = self.local(&stored[*from], self.timestamps[*from]);
                    self.utc(convert::store(value, old_type, &column.data_type, &mut store)?, at)
                }
                (None, Some(text)) => text_value(text, &column.data_type)?,
                (None, None) => Value::Null,
            };
            let filled_later = column.auto_increment || column.generated.is_some();
            if value.is_null() && !column.nullable && !filled_later {
                if self.sql_mode.is_strict() {
                    return Err(SqlError::new(1138, "Invalid use of NULL value"));
                }
                row.push(zero_value(&column.data_type));
            } else {
                row.push(value);
            }
        }
        Ok(row)
    }

    /// A converted row as the session sees it that alters the table.
    pub(crate) fn session_row(&self, stored: &[Value]) -> Vec<Value> {
        let values = stored.iter().zip(&self.to.timestamps);
        values.map(|(value, timestamp)| self.local(value, *timestamp)).collect()
    }

    fn local(&self, stored: &Value, timestamp: bool) -> Value {
        match stored {
            Value::DateTime(utc) if timestamp => Value::DateTime(self.time_zone.to_local(*utc)),
            other => other.clone(),
        }
    }

    /// The stored form of a value for the column at `at`.
    pub(crate) fn utc(&self, value: Value, at: usize) -> Value {
        match value {
            Value::DateTime(local) if self.to.timestamps[at] => Value::DateTime(self.time_zone.to_utc(local)),
            other => other,
        }
    }

    /// The key of a converted row whose old key is `key`.
    pub(crate) fn key(&self, stored: &[Value], key: &[u8]) -> SqlResult<Bytes> {
        match self.to.primary_key(stored)? {
            Some(key) => Ok(key),
            None => Ok(write::row_of(&self.to, write::after_index(key))),
        }
    }

    /// The old key of the row whose new one ends with `suffix`: only where the primary keys are of the same columns.
    pub(crate) fn old_key(&self, from: &TableInfo, suffix: &[u8]) -> SqlResult<Bytes> {
        let (old, new) = (&from.indexes[0], &self.to.indexes[0]);
        let key = write::row_of(&self.to, suffix);
        let mut decoder = KeyDecoder::new(&key)?;
        let mut encoder = KeyEncoder::new(old.id);
        for (old, new) in old.keys.iter().zip(&new.keys) {
            if old == new {
                let before = decoder.rest();
                decoder.skip(new)?;
                encoder.push_encoded(&before[..before.len() - decoder.rest().len()]);
            } else {
                encoder.push(old, &decoder.decode(new)?)?;
            }
        }
        Ok(encoder.finish())
    }
}
