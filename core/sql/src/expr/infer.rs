//! Result types of operators and functions, as MySQL shows them in result set metadata.

use aquifer_types::collation::Charset;
use aquifer_types::{Collation, DataType, SqlError, SqlResult, TypeKind};

use super::build::convert_charset;
use super::context::BindContext;
use super::ir::{Coercibility, Expr, ExprType, Op};

/// What arithmetic sees of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numeric {
    Signed,
    Unsigned,
    Decimal,
    Double,
}

/// Families of types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Null,
    Integer,
    Decimal,
    Double,
    Temporal,
    String,
}

pub(crate) fn family(ty: &DataType) -> Family {
    match ty.kind {
        TypeKind::Null => Family::Null,
        TypeKind::TinyInt
        | TypeKind::SmallInt
        | TypeKind::MediumInt
        | TypeKind::Int
        | TypeKind::BigInt
        | TypeKind::Bit
        | TypeKind::Year => Family::Integer,
        TypeKind::Decimal => Family::Decimal,
        TypeKind::Float | TypeKind::Double => Family::Double,
        TypeKind::Date | TypeKind::Time | TypeKind::DateTime | TypeKind::Timestamp => Family::Temporal,
        _ => Family::String,
    }
}

pub(crate) fn numeric(ty: &DataType) -> Numeric {
    match family(ty) {
        Family::Null => Numeric::Signed,
        Family::Integer if is_unsigned(ty) => Numeric::Unsigned,
        Family::Integer => Numeric::Signed,
        Family::Decimal => Numeric::Decimal,
        Family::Temporal if ty.decimals == 0 => Numeric::Signed,
        Family::Temporal => Numeric::Decimal,
        Family::String if aquifer_types::convert::is_number_literal(ty) => Numeric::Unsigned,
        Family::Double | Family::String => Numeric::Double,
    }
}

fn is_unsigned(ty: &DataType) -> bool {
    ty.unsigned || matches!(ty.kind, TypeKind::Bit | TypeKind::Year)
}

/// Digits before and after the point that values of a type have.
pub(crate) fn digits(ty: &DataType) -> (u32, u32) {
    let scale = u32::from(if ty.decimals > 30 { 30 } else { ty.decimals });
    match ty.kind {
        TypeKind::TinyInt => (3, 0),
        TypeKind::SmallInt => (5, 0),
        TypeKind::MediumInt => (8, 0),
        TypeKind::Int => (10, 0),
        TypeKind::BigInt => (ty.length.saturating_sub(u32::from(!ty.unsigned)).clamp(1, 20), 0),
        TypeKind::Decimal => (ty.length.saturating_sub(scale), scale),
        TypeKind::Date => (8, 0),
        TypeKind::Time => (7, scale),
        TypeKind::DateTime | TypeKind::Timestamp => (14, scale),
        TypeKind::Year => (4, 0),
        TypeKind::Null => (1, 0),
        TypeKind::Bit => (20, 0),
        _ => (35, 30),
    }
}

/// Characters that the text of a value takes at most.
pub(crate) fn text_length(ty: &DataType) -> u32 {
    let fraction = |base: u32| base + if ty.decimals > 0 { u32::from(ty.decimals) + 1 } else { 0 };
    match ty.kind {
        TypeKind::Null => 0,
        TypeKind::Decimal => ty.length + u32::from(ty.decimals > 0) + u32::from(!ty.unsigned),
        TypeKind::Float => 12,
        TypeKind::Double => 22,
        TypeKind::Date => 10,
        TypeKind::Time => fraction(10),
        TypeKind::DateTime | TypeKind::Timestamp => fraction(19),
        TypeKind::Bit => ty.length.div_ceil(8),
        TypeKind::Enum => {
            members(ty).map(|m| m.chars().count()).max().and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
        }
        TypeKind::Set => {
            u32::try_from(members(ty).map(|m| m.chars().count() + 1).sum::<usize>()).unwrap_or(0)
        }
        TypeKind::Text | TypeKind::TinyText | TypeKind::MediumText | TypeKind::LongText => {
            ty.length / ty.collation.charset().maxlen().max(1)
        }
        _ => ty.length,
    }
}

fn members(ty: &DataType) -> impl Iterator<Item = &String> {
    ty.members.as_deref().unwrap_or(&[]).iter()
}

/// The type of a string of up to `chars` characters.
pub(crate) fn string_of(chars: u32, collation: Collation) -> DataType {
    let binary = collation == Collation::BINARY;
    let bytes = u64::from(chars) * u64::from(collation.charset().maxlen());
    let kind = match bytes {
        0..=65_535 if binary => TypeKind::VarBinary,
        0..=65_535 => TypeKind::VarChar,
        65_536..=16_777_215 if binary => TypeKind::MediumBlob,
        65_536..=16_777_215 => TypeKind::MediumText,
        _ if binary => TypeKind::LongBlob,
        _ => TypeKind::LongText,
    };
    let length = match kind {
        TypeKind::VarBinary | TypeKind::VarChar => chars,
        _ => u32::try_from(bytes).unwrap_or(u32::MAX),
    };
    DataType { length, collation, ..DataType::of(kind) }
}

pub(crate) fn typed(data_type: DataType, nullable: bool, coercibility: Coercibility) -> ExprType {
    ExprType { data_type, nullable, coercibility }
}

pub(crate) fn number(data_type: DataType, nullable: bool) -> ExprType {
    typed(data_type, nullable, Coercibility::NUMERIC)
}

/// BIGINT shown with `length` characters.
pub(crate) fn int_type(length: u32) -> DataType {
    DataType { length, ..DataType::of(TypeKind::BigInt) }
}

pub(crate) fn uint_type(length: u32) -> DataType {
    DataType { length, ..DataType::bigint_unsigned() }
}

pub(crate) fn double_type() -> DataType {
    DataType { length: 23, ..DataType::of(TypeKind::Double) }
}

pub(crate) fn decimal_type(precision: u32, scale: u32) -> DataType {
    let scale = scale.min(30);
    let length = precision.clamp(scale.max(1), 65);
    DataType { length, decimals: u8::try_from(scale).unwrap_or(30), ..DataType::of(TypeKind::Decimal) }
}

pub(crate) fn temporal_type(kind: TypeKind, fsp: u8) -> DataType {
    DataType { decimals: fsp.min(6), ..DataType::of(kind) }
}

pub(crate) fn any_nullable(args: &[Expr]) -> bool {
    args.iter().any(Expr::nullable)
}

/// Collation of an expression when it is taken as text: numbers turn into the connection's.
pub(crate) fn text_collation(e: &Expr, bind: &BindContext) -> (Collation, Coercibility) {
    let ty = e.expr_type();
    match family(&ty.data_type) {
        Family::String if ty.data_type.kind == TypeKind::Json => (Collation::UTF8MB4_BIN, ty.coercibility),
        Family::String => (ty.data_type.collation, ty.coercibility),
        Family::Null => (bind.collation, Coercibility::NULL),
        _ => (bind.collation, Coercibility::NUMERIC),
    }
}

/// The collation that several texts have together (manual 10.8.4).
///
/// # Errors
/// 1267 naming two collations between which nothing decides.
pub(crate) fn aggregate_collations(
    args: &[Expr],
    what: &str,
    bind: &BindContext,
) -> SqlResult<(Collation, Coercibility)> {
    let mut parts = args.iter().map(|a| text_collation(a, bind));
    let Some(mut best) = parts.next() else {
        return Ok((bind.collation, Coercibility::LITERAL));
    };
    for next in parts {
        best = stronger(best, next, what)?;
    }
    if best.1 == Coercibility::NONE {
        return Err(illegal_mix(best, best, what));
    }
    Ok(best)
}

fn stronger(
    a: (Collation, Coercibility),
    b: (Collation, Coercibility),
    what: &str,
) -> SqlResult<(Collation, Coercibility)> {
    if a.0 == b.0 || a.1 != b.1 {
        return Ok(if a.1 <= b.1 { a } else { b });
    }
    if a.1 == Coercibility::EXPLICIT {
        return Err(illegal_mix(a, b, what));
    }
    let (x, y) = (a.0.charset(), b.0.charset());
    if x != y {
        let rank = |c: Charset| match c {
            Charset::Binary => 4,
            Charset::Utf8mb4 => 3,
            Charset::Utf8mb3 => 2,
            Charset::Latin1 => 1,
            Charset::Ascii => 0,
        };
        return Ok(if rank(x) > rank(y) { a } else { b });
    }
    match (a.0.is_binary(), b.0.is_binary()) {
        (true, false) => Ok(a),
        (false, true) => Ok(b),
        _ if a.1 >= Coercibility::LITERAL => Ok(a),
        _ => Err(illegal_mix(a, b, what)),
    }
}

fn illegal_mix(a: (Collation, Coercibility), b: (Collation, Coercibility), what: &str) -> SqlError {
    let show = |c: (Collation, Coercibility)| {
        let strength = match c.1.0 {
            0 => "EXPLICIT",
            1 => "NONE",
            2 => "IMPLICIT",
            3 => "SYSCONST",
            4 => "COERCIBLE",
            5 => "NUMERIC",
            _ => "IGNORABLE",
        };
        format!("({},{strength})", c.0.name())
    };
    let text = format!("Illegal mix of collations {} and {} for operation '{what}'", show(a), show(b));
    SqlError::new(1267, text)
}

/// Brings texts to one collation, converting those of other character sets.
///
/// # Errors
/// 1267.
pub(crate) fn unify_texts(
    args: &mut [Expr],
    what: &str,
    bind: &BindContext,
) -> SqlResult<(Collation, Coercibility)> {
    let (collation, strength) = aggregate_collations(args, what, bind)?;
    for arg in args.iter_mut() {
        to_charset_of(arg, collation);
    }
    Ok((collation, strength))
}

/// As [`unify_texts`], for functions that compare: the first argument then carries the collation of the
/// comparison, whatever its own was.
///
/// # Errors
/// 1267.
pub(crate) fn unify_compared(args: &mut [Expr], what: &str, bind: &BindContext) -> SqlResult<()> {
    let (collation, strength) = unify_texts(args, what, bind)?;
    let Some(first) = args.first_mut() else {
        return Ok(());
    };
    if family(first.data_type()) != Family::String || first.data_type().collation != collation {
        let inner = std::mem::replace(first, super::build::null_literal());
        let ty = typed(string_of(text_length(inner.data_type()), collation), inner.nullable(), strength);
        *first = super::build::call(Op::Collate, vec![inner], ty);
    }
    Ok(())
}

/// Converts a text to the character set of a collation if it has another.
pub(crate) fn to_charset_of(arg: &mut Expr, collation: Collation) {
    let ty = arg.data_type();
    let (from, to) = (ty.collation.charset(), collation.charset());
    let plain_text =
        family(ty) == Family::String && !matches!(ty.kind, TypeKind::Enum | TypeKind::Set | TypeKind::Json);
    if plain_text && from != to && from != Charset::Binary && to != Charset::Binary {
        let inner = std::mem::replace(arg, super::build::null_literal());
        *arg = convert_charset(inner, collation);
    }
}

/// One type for several values (CASE, IF, COALESCE, UNION), as MySQL aggregates them.
///
/// # Errors
/// 1267.
pub(crate) fn common_type(
    values: &[Expr],
    what: &str,
    bind: &BindContext,
) -> SqlResult<(DataType, Coercibility)> {
    let known: Vec<&Expr> = values.iter().filter(|v| family(v.data_type()) != Family::Null).collect();
    let Some(first) = known.first() else {
        return Ok((DataType::of(TypeKind::Null), Coercibility::NULL));
    };
    let all = |f: Family| known.iter().all(|v| family(v.data_type()) == f);
    let numbers = known
        .iter()
        .all(|v| matches!(family(v.data_type()), Family::Integer | Family::Decimal | Family::Double));
    if all(Family::Integer) {
        return Ok((common_integer(&known), Coercibility::NUMERIC));
    }
    if numbers {
        let double = known.iter().any(|v| family(v.data_type()) == Family::Double);
        let ty = if double { common_double(&known) } else { common_decimal(&known) };
        return Ok((ty, Coercibility::NUMERIC));
    }
    if all(Family::Temporal) {
        return Ok((common_temporal(&known), Coercibility::NUMERIC));
    }
    if known.iter().all(|v| v.data_type() == first.data_type()) {
        return Ok((plain_string(first.data_type()), first.expr_type().coercibility));
    }
    let length = known.iter().map(|v| text_length(v.data_type())).max().unwrap_or(0);
    let (collation, strength) = aggregate_collations(values, what, bind)?;
    Ok((string_of(length, collation), strength))
}

/// ENUM and SET become text as soon as they leave their column.
fn plain_string(ty: &DataType) -> DataType {
    match ty.kind {
        TypeKind::Enum | TypeKind::Set => string_of(text_length(ty), ty.collation),
        _ => ty.clone(),
    }
}

fn common_integer(known: &[&Expr]) -> DataType {
    let mut out = known[0].data_type().clone();
    for v in &known[1..] {
        let ty = v.data_type();
        if out == *ty {
            continue;
        }
        let unsigned = is_unsigned(&out) && is_unsigned(ty);
        let mixed_big = is_unsigned(&out) != is_unsigned(ty)
            && [&out, ty]
                .iter()
                .any(|t| is_unsigned(t) && matches!(t.kind, TypeKind::BigInt | TypeKind::Bit));
        if mixed_big {
            return decimal_type(20, 0);
        }
        let length = out.length.max(ty.length);
        out = DataType { unsigned, length, ..int_type(length) };
    }
    DataType { zerofill: false, ..out }
}

fn common_double(known: &[&Expr]) -> DataType {
    let first = known[0].data_type();
    if known.iter().all(|v| v.data_type() == first) { first.clone() } else { double_type() }
}

fn common_decimal(known: &[&Expr]) -> DataType {
    let (mut integer, mut scale) = (0, 0);
    for v in known {
        let (i, s) = digits(v.data_type());
        (integer, scale) = (integer.max(i), scale.max(s));
    }
    decimal_type(integer + scale, scale)
}

fn common_temporal(known: &[&Expr]) -> DataType {
    let fsp = known.iter().map(|v| v.data_type().decimals).max().unwrap_or(0);
    let first = known[0].data_type().kind;
    let same = known.iter().all(|v| v.data_type().kind == first);
    temporal_type(if same { first } else { TypeKind::DateTime }, fsp)
}
