//! Index definitions and the entries of new indexes.

use std::sync::Arc;

use aquifer_catalog::{Index, IndexKind, IndexPart, IndexState, Table};
use aquifer_types::collation::CollationVersion;
use aquifer_types::{Collation, Lsn, SqlError, SqlResult, TypeKind};

use super::{new_index_id, rule};
use crate::ast::{IndexDef, IndexDefKind};
use crate::exec::ExecContext;
use crate::exec::ddl::all_rows::AllRows;
use crate::exec::write;
use crate::expr::BindContext;
use crate::plan::table_info::TableInfo;

/// Longest key of an index, in bytes, as InnoDB has it.
const KEY_BYTES_MAX: u64 = 3072;

/// Adds an index to a table's definition.
pub(super) async fn add(
    table: &mut Table,
    def: &IndexDef,
    bind: &BindContext,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<()> {
    let kind = match def.kind {
        IndexDefKind::Primary => IndexKind::Primary,
        IndexDefKind::Unique => IndexKind::Unique,
        IndexDefKind::Plain => IndexKind::Plain,
        IndexDefKind::Fulltext => return Err(SqlError::not_supported("FULLTEXT")),
        IndexDefKind::Spatial => return Err(SqlError::not_supported("SPATIAL")),
    };
    if kind == IndexKind::Primary && table.indexes.iter().any(|index| index.kind == IndexKind::Primary) {
        return Err(SqlError::new(1068, "Multiple primary key defined"));
    }
    let functional = def.parts.iter().any(|part| part.expression.is_some());
    if functional && kind == IndexKind::Primary {
        return Err(SqlError::new(3754, "The primary key cannot be a functional index"));
    }
    let plain = if functional { with_hidden_columns(table, def, bind, ctx)? } else { def.clone() };
    let parts = parts(table, &plain)?;
    if kind == IndexKind::Primary {
        for part in &parts {
            if let Some(position) = table.position_of(part.column) {
                table.columns[position].nullable = false;
            }
        }
    }
    let name = match (&def.name, kind) {
        (_, IndexKind::Primary) => "PRIMARY".to_owned(),
        (Some(name), _) => {
            if name.eq_ignore_ascii_case("PRIMARY") {
                return Err(SqlError::new(1280, format!("Incorrect index name '{name}'")));
            }
            if table.index_named(name).is_some() {
                return Err(SqlError::new(1061, format!("Duplicate key name '{name}'")));
            }
            name.clone()
        }
        (None, _) if def.parts[0].expression.is_some() => free_name(table, "functional_index"),
        (None, _) => free_name(table, &def.parts[0].column),
    };
    let id = new_index_id(table, ctx).await?;
    let index = Index {
        id,
        name: Arc::from(name.as_str()),
        kind,
        parts,
        comment: def.comment.clone(),
        invisible: def.invisible,
        state: IndexState::Complete(Lsn(0)),
        collation_version: CollationVersion::default(),
    };
    if kind == IndexKind::Primary {
        table.indexes.retain(|index| index.kind != IndexKind::Hidden);
        table.indexes.insert(0, index);
    } else {
        table.indexes.push(index);
    }
    Ok(())
}

/// The definition with a column in place of each expression.
fn with_hidden_columns(
    table: &mut Table,
    def: &IndexDef,
    bind: &BindContext,
    ctx: &ExecContext<'_>,
) -> SqlResult<IndexDef> {
    let mut plain = def.clone();
    let name = def.name.clone().unwrap_or_else(|| free_name(table, "functional_index"));
    for (number, part) in plain.parts.iter_mut().enumerate() {
        if let Some(ast) = part.expression.take() {
            let id = rule::hidden_column(table, &name, number, &ast, bind, ctx)?;
            part.column =
                table.position_of(id).map_or_else(String::new, |at| table.columns[at].name.to_string());
        }
    }
    Ok(plain)
}

fn parts(table: &Table, def: &IndexDef) -> SqlResult<Vec<IndexPart>> {
    let mut out: Vec<IndexPart> = Vec::new();
    let mut bytes = 0_u64;
    for part in &def.parts {
        let Some(position) = table.column_position(&part.column) else {
            let text = format!("Key column '{}' doesn't exist in table", part.column);
            return Err(SqlError::new(1072, text));
        };
        let column = &table.columns[position];
        if out.iter().any(|known| known.column == column.id) {
            return Err(SqlError::new(1060, format!("Duplicate column name '{}'", column.name)));
        }
        let kind = column.data_type.kind;
        let text =
            matches!(kind, TypeKind::Char | TypeKind::VarChar | TypeKind::Binary | TypeKind::VarBinary);
        let blob = is_blob(kind);
        if kind == TypeKind::Json {
            let text = format!(
                "JSON column '{}' supports indexing only via generated columns on a specified JSON path.",
                column.name
            );
            return Err(SqlError::new(3152, text));
        }
        if blob && part.prefix.is_none() {
            let text =
                format!("BLOB/TEXT column '{}' used in key specification without a key length", column.name);
            return Err(SqlError::new(1170, text));
        }
        if part.prefix == Some(0) {
            return Err(SqlError::new(1391, format!("Key part '{}' length cannot be 0", column.name)));
        }
        if part.prefix.is_some_and(|prefix| !blob && (!text || prefix > column.data_type.length)) {
            return Err(SqlError::new(
                1089,
                "Incorrect prefix key; the used key part isn't a string, the used length is longer than the key \
                 part, or the storage engine doesn't support unique prefix keys",
            ));
        }
        let prefix = part.prefix.filter(|prefix| blob || *prefix < column.data_type.length);
        if text || blob {
            let unit = if column.data_type.collation == Collation::BINARY {
                1
            } else {
                column.data_type.collation.charset().maxlen()
            };
            bytes += u64::from(prefix.unwrap_or(column.data_type.length)) * u64::from(unit);
        } else {
            bytes += 8;
        }
        out.push(IndexPart { column: column.id, prefix, descending: part.descending });
    }
    if out.len() > 16 {
        return Err(SqlError::new(1070, "Too many key parts specified; max 16 parts allowed"));
    }
    if bytes > KEY_BYTES_MAX {
        let text = format!("Specified key was too long; max key length is {KEY_BYTES_MAX} bytes");
        return Err(SqlError::new(1071, text));
    }
    Ok(out)
}

fn is_blob(kind: TypeKind) -> bool {
    matches!(
        kind,
        TypeKind::TinyText
            | TypeKind::Text
            | TypeKind::MediumText
            | TypeKind::LongText
            | TypeKind::TinyBlob
            | TypeKind::Blob
            | TypeKind::MediumBlob
            | TypeKind::LongBlob
    )
}

/// The name of an index without one: that of its first column, numbered when taken.
fn free_name(table: &Table, column: &str) -> String {
    let mut name = column.to_owned();
    let mut number = 2;
    while table.index_named(&name).is_some() || name.eq_ignore_ascii_case("PRIMARY") {
        name = format!("{column}_{number}");
        number += 1;
    }
    name
}

/// The order in which MySQL keeps indexes: primary, unique without NULLs, unique, others.
pub(super) fn arrange(table: &mut Table) {
    let nullable: Vec<_> = table.columns.iter().filter(|c| c.nullable).map(|c| c.id).collect();
    table.indexes.sort_by_key(|index| match index.kind {
        IndexKind::Primary | IndexKind::Hidden => 0,
        IndexKind::Unique if !index.parts.iter().any(|part| nullable.contains(&part.column)) => 1,
        IndexKind::Unique => 2,
        IndexKind::Plain => 3,
    });
}

/// The rule about AUTO_INCREMENT columns: one, and first in some index.
pub(super) fn check_auto_increment(table: &Table) -> SqlResult<()> {
    let mut columns = table.columns.iter().filter(|column| column.auto_increment);
    let Some(column) = columns.next() else { return Ok(()) };
    let indexed =
        table.indexes.iter().any(|index| index.parts.first().is_some_and(|part| part.column == column.id));
    let numeric = !matches!(column.data_type.kind, TypeKind::Char | TypeKind::VarChar | TypeKind::Decimal)
        && !is_blob(column.data_type.kind);
    if !numeric {
        return Err(SqlError::new(1063, format!("Incorrect column specifier for column '{}'", column.name)));
    }
    if columns.next().is_some() || !indexed {
        return Err(SqlError::new(
            1075,
            "Incorrect table definition; there can be only one auto column and it must be defined as a key",
        ));
    }
    Ok(())
}

/// Writes the entries of new indexes (positions in the table's list) for all rows; `false` when there are more than
/// `rows_max`, and nothing has changed then.
pub(super) async fn backfill(
    info: &TableInfo,
    added: &[usize],
    rows_max: u64,
    ctx: &ExecContext<'_>,
) -> SqlResult<bool> {
    let txn = ctx.txn;
    let begin = txn.savepoint();
    let mut rows = 0_u64;
    let mut all = AllRows::of(info, ctx.txn);
    while let Some(batch) = all.next().await? {
        rows += batch.len() as u64;
        if rows > rows_max {
            txn.rollback_to(begin);
            return Ok(false);
        }
        for (key, row) in batch {
            let stored = write::stored_values(info, row)?;
            for index in added {
                let entry = write::entry(info, *index, &stored, key)?;
                if !txn.put_new(entry.key, entry.value, entry.unique).await? {
                    return Err(write::duplicate_error(info, *index, &stored));
                }
            }
        }
    }
    Ok(true)
}
