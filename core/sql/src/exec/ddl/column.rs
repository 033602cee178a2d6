//! Column definitions: types, defaults, and the rules about them.

use std::sync::Arc;

use aquifer_catalog::{Column, ColumnDefault, ColumnId};
use aquifer_types::collation::Charset;
use aquifer_types::convert::{self, Strictness};
use aquifer_types::{Collation, DataType, SqlError, SqlResult, TypeKind, Value};

use crate::ast::{AstExpr, AstUnary, ColumnDef, DefaultDef, Literal, TypeDef};
use crate::exec::ExecContext;
use crate::expr::BindContext;
use crate::plan::{is_text, literal_expr};

/// The collation that CHARACTER SET and COLLATE name, else the one inherited.
pub(super) fn choose_collation(
    charset: Option<&str>,
    collate: Option<&str>,
    inherited: Collation,
) -> SqlResult<Collation> {
    let charset = match charset {
        Some(name) if name.eq_ignore_ascii_case("default") => None,
        Some(name) => Some(
            Charset::by_name(name)
                .ok_or_else(|| SqlError::new(1115, format!("Unknown character set: '{name}'")))?,
        ),
        None => None,
    };
    match collate {
        None => Ok(charset.map_or(inherited, Charset::default_collation)),
        Some(name) => {
            let collation = Collation::by_name(name)
                .ok_or_else(|| SqlError::new(1273, format!("Unknown collation: '{name}'")))?;
            match charset {
                Some(charset) if charset != collation.charset() => Err(SqlError::new(
                    1253,
                    format!("COLLATION '{name}' is not valid for CHARACTER SET '{}'", charset.name()),
                )),
                _ => Ok(collation),
            }
        }
    }
}

/// Kinds by name, aliases included; the second is the default length where the alias has one of its own.
fn kind_of(name: &str) -> Option<TypeKind> {
    Some(match name {
        "TINYINT" | "INT1" | "BOOL" | "BOOLEAN" => TypeKind::TinyInt,
        "SMALLINT" | "INT2" => TypeKind::SmallInt,
        "MEDIUMINT" | "INT3" | "MIDDLEINT" => TypeKind::MediumInt,
        "INT" | "INTEGER" | "INT4" => TypeKind::Int,
        "BIGINT" | "INT8" => TypeKind::BigInt,
        "BIT" => TypeKind::Bit,
        "YEAR" => TypeKind::Year,
        "FLOAT" | "FLOAT4" => TypeKind::Float,
        "DOUBLE" | "FLOAT8" | "REAL" => TypeKind::Double,
        "DECIMAL" | "DEC" | "NUMERIC" | "FIXED" => TypeKind::Decimal,
        "DATE" => TypeKind::Date,
        "TIME" => TypeKind::Time,
        "DATETIME" => TypeKind::DateTime,
        "TIMESTAMP" => TypeKind::Timestamp,
        "CHAR" | "CHARACTER" | "NCHAR" => TypeKind::Char,
        "VARCHAR" | "NVARCHAR" | "VARCHARACTER" => TypeKind::VarChar,
        "TINYTEXT" => TypeKind::TinyText,
        "TEXT" => TypeKind::Text,
        "MEDIUMTEXT" => TypeKind::MediumText,
        "LONGTEXT" => TypeKind::LongText,
        "BINARY" => TypeKind::Binary,
        "VARBINARY" => TypeKind::VarBinary,
        "TINYBLOB" => TypeKind::TinyBlob,
        "BLOB" => TypeKind::Blob,
        "MEDIUMBLOB" => TypeKind::MediumBlob,
        "LONGBLOB" => TypeKind::LongBlob,
        "ENUM" => TypeKind::Enum,
        "SET" => TypeKind::Set,
        "JSON" => TypeKind::Json,
        _ => return None,
    })
}

/// The type that a definition means.
pub(crate) fn data_type(column: &str, def: &TypeDef, inherited: Collation) -> SqlResult<DataType> {
    let Some(kind) = kind_of(&def.name) else {
        return match def.name.as_str() {
            "GEOMETRY" | "POINT" | "LINESTRING" | "POLYGON" | "MULTIPOINT" | "MULTILINESTRING"
            | "MULTIPOLYGON" | "GEOMETRYCOLLECTION" | "GEOMCOLLECTION" => {
                Err(SqlError::not_supported("spatial types"))
            }
            other => Err(crate::parse::lexer::syntax_error(other, 0)),
        };
    };
    let mut data_type = DataType::of(kind);
    data_type.unsigned = def.unsigned;
    data_type.zerofill = def.zerofill;
    match kind {
        TypeKind::TinyInt | TypeKind::SmallInt | TypeKind::MediumInt | TypeKind::Int | TypeKind::BigInt => {
            if def.name.starts_with("BOOL") {
                data_type.length = 1;
            }
            if let Some(width) =
                def.length.filter(|width| def.zerofill || kind == TypeKind::TinyInt && *width == 1)
            {
                data_type.length = width;
            } else if def.unsigned && kind != TypeKind::BigInt && data_type.length > 1 {
                data_type.length -= 1;
            }
        }
        TypeKind::Decimal => decimal(column, def, &mut data_type)?,
        TypeKind::Float | TypeKind::Double => floating(def, &mut data_type),
        TypeKind::Bit => {
            data_type.length = def.length.unwrap_or(1);
            if data_type.length > 64 {
                return Err(too_long(
                    1439,
                    &format!("Display width out of range for column '{column}' (max = 64)"),
                ));
            }
        }
        TypeKind::Time | TypeKind::DateTime | TypeKind::Timestamp => {
            let fsp = def.length.unwrap_or(0);
            data_type.decimals = u8::try_from(fsp).ok().filter(|fsp| *fsp <= 6).ok_or_else(|| {
                SqlError::new(
                    1426,
                    format!("Too-big precision {fsp} specified for '{column}'. Maximum is 6."),
                )
            })?;
        }
        TypeKind::Enum | TypeKind::Set => {
            let members: Vec<String> = def
                .members
                .iter()
                .map(|member| String::from_utf8_lossy(member).trim_end_matches(' ').to_owned())
                .collect();
            data_type.members = Some(Arc::from(members));
            data_type.collation = text_collation(def, inherited)?;
        }
        _ => string(column, def, inherited, &mut data_type)?,
    }
    Ok(data_type)
}

fn too_long(code: u16, text: &str) -> SqlError {
    SqlError::new(code, text)
}

fn decimal(column: &str, def: &TypeDef, data_type: &mut DataType) -> SqlResult<()> {
    data_type.length = def.length.filter(|length| *length > 0).unwrap_or(10);
    data_type.decimals = def.decimals.unwrap_or(0);
    if data_type.length > 65 {
        let text = format!("Too-big precision {} specified for '{column}'. Maximum is 65.", data_type.length);
        return Err(SqlError::new(1426, text));
    }
    if data_type.decimals > 30 {
        let text =
            format!("Too big scale {} specified for column '{column}'. Maximum is 30.", data_type.decimals);
        return Err(SqlError::new(1425, text));
    }
    if u32::from(data_type.decimals) > data_type.length {
        let text =
            format!("For float(M,D), double(M,D) or decimal(M,D), M must be >= D (column '{column}').");
        return Err(SqlError::new(1427, text));
    }
    Ok(())
}

fn floating(def: &TypeDef, data_type: &mut DataType) {
    match (def.length, def.decimals) {
        (Some(length), Some(decimals)) => {
            data_type.length = length;
            data_type.decimals = decimals;
        }
        (Some(bits), None) if def.name == "FLOAT" && bits > 24 => {
            let unsigned = data_type.unsigned;
            *data_type = DataType { unsigned, ..DataType::of(TypeKind::Double) };
        }
        _ => {}
    }
}

fn text_collation(def: &TypeDef, inherited: Collation) -> SqlResult<Collation> {
    let national = matches!(def.name.as_str(), "NCHAR" | "NVARCHAR");
    let charset = def.charset.as_deref().or(national.then_some("utf8mb3"));
    let collation = choose_collation(charset, def.collate.as_deref(), inherited)?;
    Ok(if def.binary && def.collate.is_none() { collation.charset().binary_collation() } else { collation })
}

fn string(column: &str, def: &TypeDef, inherited: Collation, data_type: &mut DataType) -> SqlResult<()> {
    if is_text(data_type) {
        let collation = text_collation(def, inherited)?;
        if collation == Collation::BINARY {
            data_type.kind = binary_kind(data_type.kind);
        }
        data_type.collation = collation;
    }
    match data_type.kind {
        TypeKind::Char | TypeKind::Binary => {
            data_type.length = def.length.unwrap_or(1);
            if data_type.length > 255 {
                let text = format!(
                    "Column length too big for column '{column}' (max = 255); use BLOB or TEXT instead"
                );
                return Err(SqlError::new(1074, text));
            }
        }
        TypeKind::VarChar | TypeKind::VarBinary => {
            let Some(length) = def.length else { return Err(crate::parse::lexer::syntax_error("", 0)) };
            let max = 65_535 / data_type.collation.charset().maxlen().max(1);
            if length > max {
                let text = format!(
                    "Column length too big for column '{column}' (max = {max}); use BLOB or TEXT instead"
                );
                return Err(SqlError::new(1074, text));
            }
            data_type.length = length;
        }
        TypeKind::Text | TypeKind::Blob => {
            if let Some(length) = def.length {
                sized(length, data_type);
            }
        }
        _ => {}
    }
    Ok(())
}

/// TEXT(n) and BLOB(n): the smallest type that holds n characters.
fn sized(length: u32, data_type: &mut DataType) {
    let bytes = u64::from(length) * u64::from(data_type.collation.charset().maxlen());
    let text = data_type.kind == TypeKind::Text;
    let kind = match bytes {
        0..=255 if text => TypeKind::TinyText,
        0..=255 => TypeKind::TinyBlob,
        256..=65_535 => data_type.kind,
        65_536..=16_777_215 if text => TypeKind::MediumText,
        65_536..=16_777_215 => TypeKind::MediumBlob,
        _ if text => TypeKind::LongText,
        _ => TypeKind::LongBlob,
    };
    data_type.length = DataType::of(kind).length;
    data_type.kind = kind;
}

fn binary_kind(kind: TypeKind) -> TypeKind {
    match kind {
        TypeKind::Char => TypeKind::Binary,
        TypeKind::VarChar => TypeKind::VarBinary,
        TypeKind::TinyText => TypeKind::TinyBlob,
        TypeKind::Text => TypeKind::Blob,
        TypeKind::MediumText => TypeKind::MediumBlob,
        TypeKind::LongText => TypeKind::LongBlob,
        other => other,
    }
}

/// The column that a definition means, without the effect of a primary key.
pub(super) fn column(
    id: ColumnId,
    def: &ColumnDef,
    inherited: Collation,
    bind: &BindContext,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<Column> {
    if def.name.chars().count() > 64 {
        return Err(SqlError::new(1059, format!("Identifier name '{}' is too long", def.name)));
    }
    let data_type = data_type(&def.name, &def.type_def, inherited)?;
    let nullable = def.nullable.unwrap_or(true) && !def.primary && !def.auto_increment;
    let mut column = Column {
        id,
        name: Arc::from(def.name.as_str()),
        data_type,
        nullable,
        default: ColumnDefault::None,
        initial: None,
        on_update: def.on_update,
        auto_increment: def.auto_increment,
        invisible: def.invisible,
        comment: def.comment.clone(),
        generated: None,
        hidden: false,
    };
    if let Some(default) = &def.default {
        column.default = column_default(&column, default, bind, ctx)?;
        if def.auto_increment {
            return Err(invalid_default(&column.name));
        }
    }
    if let Some(generated) = &def.generated {
        super::rule::generate(&mut column, generated)?;
    }
    let temporal = matches!(column.data_type.kind, TypeKind::DateTime | TypeKind::Timestamp);
    if column.on_update.is_some_and(|fsp| !temporal || fsp != column.data_type.decimals) {
        return Err(SqlError::new(1294, format!("Invalid ON UPDATE clause for '{}' column", column.name)));
    }
    Ok(column)
}

fn invalid_default(name: &str) -> SqlError {
    SqlError::new(1067, format!("Invalid default value for '{name}'"))
}

/// DEFAULT of a column, checked against its type.
pub(super) fn column_default(
    column: &Column,
    default: &DefaultDef,
    bind: &BindContext,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<ColumnDefault> {
    let value = match default {
        DefaultDef::CurrentTimestamp(fsp) => {
            let temporal = matches!(column.data_type.kind, TypeKind::DateTime | TypeKind::Timestamp);
            if !temporal || *fsp != column.data_type.decimals {
                return Err(invalid_default(&column.name));
            }
            return Ok(ColumnDefault::CurrentTimestamp(*fsp));
        }
        DefaultDef::Expression(_, text) => return Ok(ColumnDefault::Expression(text.clone())),
        DefaultDef::Value(value) => value,
    };
    let (value, from) = constant(value, bind).ok_or_else(|| invalid_default(&column.name))??;
    if value.is_null() {
        return if column.nullable { Ok(ColumnDefault::Null) } else { Err(invalid_default(&column.name)) };
    }
    let blob = matches!(
        column.data_type.kind,
        TypeKind::TinyText
            | TypeKind::Text
            | TypeKind::MediumText
            | TypeKind::LongText
            | TypeKind::TinyBlob
            | TypeKind::Blob
            | TypeKind::MediumBlob
            | TypeKind::LongBlob
            | TypeKind::Json
    );
    if blob {
        let text =
            format!("BLOB, TEXT, GEOMETRY or JSON column '{}' can't have a default value", column.name);
        return Err(SqlError::new(1101, text));
    }
    let strict = if ctx.eval.sql_mode.is_strict() { Strictness::Strict } else { Strictness::Lenient };
    let mut store = convert::StoreContext {
        strictness: strict,
        sql_mode: ctx.eval.sql_mode,
        time_zone: ctx.eval.time_zone,
        column: &column.name,
        row_number: 1,
        warnings: &mut ctx.eval.warnings,
    };
    let stored = convert::store(value, &from, &column.data_type, &mut store)
        .map_err(|_| invalid_default(&column.name))?;
    Ok(ColumnDefault::Literal(default_text(&stored, &column.data_type)))
}

/// A value as the text that converts back to it.
pub(super) fn default_text(value: &Value, data_type: &DataType) -> Vec<u8> {
    let mut text = Vec::new();
    match (value, data_type.kind) {
        (Value::UInt(bits), TypeKind::Bit) => {
            let bytes = bits.to_be_bytes();
            let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(7);
            text.extend(&bytes[first..]);
        }
        _ => aquifer_types::text::write_text(value, data_type, &mut text),
    }
    text
}

/// A literal, perhaps with a sign; `None` for anything else.
fn constant(ast: &AstExpr, bind: &BindContext) -> Option<SqlResult<(Value, DataType)>> {
    let expr = match ast {
        AstExpr::Literal(literal) => literal_expr(literal, bind),
        AstExpr::Unary(AstUnary::Plus, inner) => return constant(inner, bind),
        AstExpr::Unary(AstUnary::Minus, inner) => match &**inner {
            AstExpr::Literal(Literal::UInt(number)) => {
                literal_expr(&Literal::Decimal(format!("-{number}")), bind)
            }
            AstExpr::Literal(Literal::Decimal(text)) => {
                literal_expr(&Literal::Decimal(format!("-{text}")), bind)
            }
            AstExpr::Literal(Literal::Double(number)) => literal_expr(&Literal::Double(-number), bind),
            _ => return None,
        },
        _ => return None,
    };
    Some(expr.and_then(|expr| match &expr {
        crate::expr::Expr::Literal { value, ty } => Ok((value.clone(), ty.data_type.clone())),
        _ => Err(SqlError::new(1067, "Invalid default value")),
    }))
}
