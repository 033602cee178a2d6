//! Result columns and their flags.

use aquifer_types::{Collation, DataType, TypeKind};

use crate::plan::binder::OutColumn;
use crate::plan::table_info::TableInfo;
use crate::result::{ColumnFlags, ResultColumn};

/// Flags that follow from a type.
pub(crate) fn flags_of_type(data_type: &DataType, nullable: bool) -> ColumnFlags {
    let mut flags = if nullable { 0 } else { ColumnFlags::NOT_NULL };
    if data_type.unsigned {
        flags |= ColumnFlags::UNSIGNED;
    }
    if data_type.zerofill {
        flags |= ColumnFlags::ZEROFILL;
    }
    match data_type.kind {
        TypeKind::TinyText | TypeKind::Text | TypeKind::MediumText | TypeKind::LongText => {
            flags |= ColumnFlags::BLOB
        }
        TypeKind::TinyBlob | TypeKind::Blob | TypeKind::MediumBlob | TypeKind::LongBlob | TypeKind::Json => {
            flags |= ColumnFlags::BLOB | ColumnFlags::BINARY;
        }
        TypeKind::Enum => flags |= ColumnFlags::ENUM,
        TypeKind::Set => flags |= ColumnFlags::SET,
        TypeKind::Timestamp => flags |= ColumnFlags::TIMESTAMP | ColumnFlags::BINARY,
        TypeKind::Bit => flags |= ColumnFlags::UNSIGNED,
        TypeKind::Char | TypeKind::VarChar => {}
        _ => flags |= ColumnFlags::BINARY,
    }
    if matches!(data_type.kind, TypeKind::Char | TypeKind::VarChar | TypeKind::Text)
        && is_bin(data_type.collation)
    {
        flags |= ColumnFlags::BINARY;
    }
    ColumnFlags(flags)
}

fn is_bin(collation: Collation) -> bool {
    collation.name().ends_with("_bin")
}

/// Flags of a table's column.
pub(crate) fn flags_of_column(info: &TableInfo, position: usize) -> ColumnFlags {
    let column = &info.table.columns[position];
    let mut flags = flags_of_type(&column.data_type, column.nullable).0;
    for index in info.indexes.iter().filter(|index| !index.is_building) {
        let part = index.columns.iter().position(|c| *c == position);
        match (part, index.kind) {
            (Some(_), aquifer_catalog::IndexKind::Primary) => flags |= ColumnFlags::PRI_KEY,
            (Some(0), aquifer_catalog::IndexKind::Unique) if index.columns.len() == 1 => {
                flags |= ColumnFlags::UNIQUE_KEY;
            }
            (Some(0), _) => flags |= ColumnFlags::MULTIPLE_KEY,
            _ => {}
        }
    }
    if flags & (ColumnFlags::UNIQUE_KEY | ColumnFlags::PRI_KEY) != 0 {
        flags &= !ColumnFlags::MULTIPLE_KEY;
    }
    if column.auto_increment {
        flags |= ColumnFlags::AUTO_INCREMENT;
    }
    if column.on_update.is_some() {
        flags |= ColumnFlags::ON_UPDATE_NOW;
    }
    let no_default = column.default == aquifer_catalog::ColumnDefault::None;
    if no_default && !column.nullable && !column.auto_increment {
        flags |= ColumnFlags::NO_DEFAULT_VALUE;
    }
    ColumnFlags(flags)
}

/// As the session gets it.
pub(crate) fn result_column(column: &OutColumn) -> ResultColumn {
    ResultColumn {
        schema: column.schema.clone(),
        table: column.table.clone(),
        org_table: column.org_table.clone(),
        name: column.name.clone(),
        org_name: column.org_name.clone(),
        data_type: column.ty.data_type.clone(),
        flags: column.flags,
    }
}
