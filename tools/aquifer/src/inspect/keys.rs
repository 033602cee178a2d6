//! Keys as people read them: the index by its name, the columns by their values as far as a key has them.

use std::collections::BTreeMap;
use std::fmt::Write;

use aquifer_catalog::{Catalog, Index, Table};
use aquifer_types::IndexId;
use aquifer_types::key::{KeyColumn, KeyDecoder, KeyOrder};

/// Characters of a key that are printed.
const KEY_CHARS_MAX: usize = 40;

/// Names and columns of the indexes that a catalog knows.
#[derive(Default)]
pub struct Keys {
    indexes: BTreeMap<IndexId, Named>,
}

struct Named {
    name: String,
    columns: Vec<KeyColumn>,
}

impl Keys {
    /// The indexes of all tables of a catalog.
    pub fn of(catalog: &Catalog) -> Self {
        let mut keys = Self::default();
        for database in catalog.databases() {
            for table in catalog.tables(database.id) {
                for index in &table.indexes {
                    keys.add(table, index);
                }
            }
        }
        keys
    }

    fn add(&mut self, table: &Table, index: &Index) {
        let rows = index.id == table.primary().id;
        let of = format!("{}.{}", table.schema, table.name);
        let name = if rows { of } else { format!("{of}.{}", index.name) };
        let column = |part: &aquifer_catalog::IndexPart| {
            let column = &table.columns[table.position_of(part.column)?];
            let order = if part.descending { KeyOrder::Descending } else { KeyOrder::Ascending };
            Some(KeyColumn {
                order,
                prefix_length: part.prefix,
                collation_version: index.collation_version,
                ..KeyColumn::new(column.data_type.clone())
            })
        };
        let columns = index.parts.iter().map_while(column).collect();
        self.indexes.insert(index.id, Named { name, columns });
    }

    /// A key in one line: `app.t(7, 'x')`, or its bytes when nobody knows its index.
    pub fn text(&self, key: &[u8]) -> String {
        let Ok(mut decoder) = KeyDecoder::new(key) else { return bytes_text(key) };
        let index = decoder.index();
        let Some(named) = self.indexes.get(&index) else {
            let owner = if index.0 < aquifer_format::delta::CATALOG_INDEX_END.0 { "system" } else { "index" };
            return short(format!("{owner} {}({})", index.0, bytes_text(decoder.rest())));
        };
        let mut values = Vec::new();
        for column in &named.columns {
            let Some(value) = column_text(&mut decoder, column) else { break };
            values.push(value);
        }
        if named.columns.is_empty() {
            values.push(bytes_text(decoder.rest()));
        }
        short(format!("{}({})", named.name, values.join(", ")))
    }
}

/// The next column, as far as the key has it.
fn column_text(decoder: &mut KeyDecoder<'_>, column: &KeyColumn) -> Option<String> {
    let before = decoder.rest();
    if column.is_reversible() {
        let value = decoder.decode(column).ok()?;
        return Some(match aquifer_types::text::to_text(&value, &column.data_type) {
            Some(text) => String::from_utf8_lossy(&text).into_owned(),
            None => "NULL".to_owned(),
        });
    }
    decoder.skip(column).ok()?;
    let taken = &before[..before.len() - decoder.rest().len()];
    Some(bytes_text(taken.get(1..).unwrap_or_default()))
}

/// Printable ASCII as it is, other bytes as two digits behind a backslash.
fn bytes_text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes.iter().take(KEY_CHARS_MAX) {
        // Writing to a String cannot fail.
        let _ = match byte {
            b'!'..=b'~' if *byte != b'\\' => write!(text, "{}", char::from(*byte)),
            _ => write!(text, "\\{byte:02x}"),
        };
    }
    text
}

fn short(text: String) -> String {
    if text.chars().count() <= KEY_CHARS_MAX {
        return text;
    }
    let kept: String = text.chars().take(KEY_CHARS_MAX - 1).collect();
    format!("{kept}…")
}

#[cfg(test)]
#[path = "keys_test.rs"]
mod keys_test;
