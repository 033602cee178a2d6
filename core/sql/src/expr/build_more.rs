//! Constructors of CASE, IN, BETWEEN, LIKE, row comparisons, casts and temporal expressions.

use aquifer_types::collation::Charset;
use aquifer_types::temporal::{DateRules, parse_datetime, parse_time};
use aquifer_types::{Collation, DataType, SqlError, SqlResult, TypeKind, Value};
use bytes::Bytes;

use super::build::{
    binary, bool_literal, bool_type, call, convert_charset, literal, string_literal, text_condition, unary,
};
use super::context::BindContext;
use super::domain::prepare;
use super::infer::{
    Family, any_nullable, common_type, decimal_type, double_type, family, int_type, number, string_of,
    temporal_type, text_collation, text_length, to_charset_of, typed, uint_type, unify_texts,
};
use super::ir::{
    BinaryOp, CaseShape, CastTarget, Coercibility, CompareOp, ElsePart, Expr, IntervalSign, IntervalUnit,
    Negation, Op, TrimSide, UnaryOp,
};

/// `DATE '…'`, `TIME '…'`, `TIMESTAMP '…'`: which one is said by `target`.
///
/// # Errors
/// 1525 for a wrong value.
pub fn date_literal(target: &CastTarget, text: &str, bind: &BindContext) -> SqlResult<Expr> {
    let wrong = |what: &str| SqlError::new(1525, format!("Incorrect {what} value: '{text}'"));
    if matches!(target, CastTarget::Time(_)) {
        let parsed = parse_time(text.as_bytes())
            .filter(|p| !p.truncated && p.in_range)
            .ok_or_else(|| wrong("TIME"))?;
        return Ok(literal(Value::Time(parsed.value), temporal_type(TypeKind::Time, parsed.fraction_digits)));
    }
    let is_date = matches!(target, CastTarget::Date);
    let what = if is_date { "DATE" } else { "DATETIME" };
    let rules = DateRules::from(bind.sql_mode);
    let parsed = parse_datetime(text.as_bytes())
        .filter(|p| !p.truncated && rules.allow(p.value.date))
        .ok_or_else(|| wrong(what))?;
    Ok(if is_date {
        literal(Value::Date(parsed.value.date), DataType::of(TypeKind::Date))
    } else {
        literal(Value::DateTime(parsed.value), temporal_type(TypeKind::DateTime, parsed.fraction_digits))
    })
}

/// CAST or CONVERT to a type.
///
/// # Errors
/// 1425, 1426, 1427 for precision or scale out of bounds.
pub fn cast(x: Expr, target: CastTarget, bind: &BindContext) -> SqlResult<Expr> {
    let _ = bind;
    check_bounds(&target)?;
    let source = text_length(x.data_type());
    let (ty, strength) = match &target {
        CastTarget::Signed => (int_type(21), Coercibility::NUMERIC),
        CastTarget::Unsigned => (uint_type(21), Coercibility::NUMERIC),
        CastTarget::Binary(n) => (string_of(n.unwrap_or(source), Collation::BINARY), Coercibility::IMPLICIT),
        CastTarget::Char(n, c) => (string_of(n.unwrap_or(source), *c), Coercibility::IMPLICIT),
        CastTarget::Date => (DataType::of(TypeKind::Date), Coercibility::NUMERIC),
        CastTarget::Time(fsp) => (temporal_type(TypeKind::Time, *fsp), Coercibility::NUMERIC),
        CastTarget::DateTime(fsp) => (temporal_type(TypeKind::DateTime, *fsp), Coercibility::NUMERIC),
        CastTarget::Decimal(p, s) => (decimal_type(u32::from(*p), u32::from(*s)), Coercibility::NUMERIC),
        CastTarget::Double => (double_type(), Coercibility::NUMERIC),
        CastTarget::Float => (DataType::of(TypeKind::Float), Coercibility::NUMERIC),
        CastTarget::Year => {
            (DataType { unsigned: true, ..DataType::of(TypeKind::Year) }, Coercibility::NUMERIC)
        }
        CastTarget::Json => (DataType::of(TypeKind::Json), Coercibility::IMPLICIT),
    };
    let never_null = matches!(
        target,
        CastTarget::Signed
            | CastTarget::Unsigned
            | CastTarget::Decimal(..)
            | CastTarget::Double
            | CastTarget::Float
    );
    let nullable = x.nullable() || !never_null;
    Ok(call(Op::Cast(target), vec![x], typed(ty, nullable, strength)))
}

fn check_bounds(target: &CastTarget) -> SqlResult<()> {
    match target {
        CastTarget::Decimal(p, _) if *p > 65 => {
            Err(SqlError::new(1426, format!("Too-big precision {p} specified for 'CAST'. Maximum is 65.")))
        }
        CastTarget::Decimal(_, s) if *s > 30 => {
            Err(SqlError::new(1425, format!("Too big scale {s} specified for column 'CAST'. Maximum is 30.")))
        }
        CastTarget::Decimal(p, s) if p < s => {
            let text = "For float(M,D), double(M,D) or decimal(M,D), M must be >= D (column 'CAST').";
            Err(SqlError::new(1427, text))
        }
        CastTarget::Time(f) | CastTarget::DateTime(f) if *f > 6 => {
            Err(SqlError::new(1426, format!("Too-big precision {f} specified for 'CAST'. Maximum is 6.")))
        }
        _ => Ok(()),
    }
}

/// `CONVERT(x USING charset)`.
///
/// # Errors
/// 1115 for an unknown character set.
pub fn convert_using(x: Expr, charset: &str, bind: &BindContext) -> SqlResult<Expr> {
    let _ = bind;
    let Some(charset) = Charset::by_name(charset) else {
        return Err(SqlError::new(1115, format!("Unknown character set: '{charset}'")));
    };
    let collation = charset.default_collation();
    let ty = typed(string_of(text_length(x.data_type()), collation), true, Coercibility::IMPLICIT);
    Ok(call(Op::ConvertCharset(collation), vec![x], ty))
}

/// `x COLLATE name`.
///
/// # Errors
/// 1253 when the collation is not of the expression's character set, 1273 when it is unknown.
pub fn collate(x: Expr, name: &str, bind: &BindContext) -> SqlResult<Expr> {
    let Some(collation) = Collation::by_name(name) else {
        return Err(SqlError::new(1273, format!("Unknown collation: '{name}'")));
    };
    let (present, _) = text_collation(&x, bind);
    let (has, wants) = (present.charset(), collation.charset());
    // A literal is converted where that loses nothing.
    let mut x = x;
    if has != wants {
        let ascii = matches!(&x, Expr::Literal { value: Value::Bytes(b), .. } if b.is_ascii());
        if !ascii || has == Charset::Binary {
            let text =
                format!("COLLATION '{}' is not valid for CHARACTER SET '{}'", collation.name(), has.name());
            return Err(SqlError::new(1253, text));
        }
        x = convert_charset(x, collation);
    }
    let ty = typed(string_of(text_length(x.data_type()), collation), x.nullable(), Coercibility::EXPLICIT);
    Ok(call(Op::Collate, vec![x], ty))
}

/// Conditions for a CASE over a JSON document, which is compared as a text with texts and as a number with numbers.
fn json_whens(document: &Expr, whens: Vec<Expr>, bind: &BindContext) -> SqlResult<Vec<Expr>> {
    let equal = |when: Expr| {
        let target = match (when.data_type().kind, family(when.data_type())) {
            (TypeKind::Json, _) | (_, Family::Null) => None,
            (_, Family::String) => Some(CastTarget::Char(None, Collation::UTF8MB4_BIN)),
            _ => Some(CastTarget::Double),
        };
        let document = match target {
            Some(target) => cast(document.clone(), target, bind)?,
            None => document.clone(),
        };
        binary(BinaryOp::Compare(CompareOp::Eq), document, when, bind)
    };
    whens.into_iter().map(equal).collect()
}

/// `CASE [operand] WHEN … THEN … [ELSE …] END`.
///
/// # Errors
/// 1267.
pub fn case(
    operand: Option<Expr>,
    branches: Vec<(Expr, Expr)>,
    otherwise: Option<Expr>,
    bind: &BindContext,
) -> SqlResult<Expr> {
    let (mut whens, mut results): (Vec<_>, Vec<_>) = branches.into_iter().unzip();
    let mut operand = operand;
    if let Some(document) = operand.take_if(|x| x.data_type().kind == TypeKind::Json) {
        whens = json_whens(&document, whens, bind)?;
    }
    let has_else = if otherwise.is_some() { ElsePart::Present } else { ElsePart::Absent };
    results.extend(otherwise);
    let (data_type, strength) = common_type(&results, "case", bind)?;
    let nullable = has_else == ElsePart::Absent || any_nullable(&results);
    let mut args = Vec::with_capacity(whens.len() + results.len() + 1);
    let mut domains = None;
    if let Some(mut operand) = operand {
        let mut found = Vec::with_capacity(whens.len());
        for when in &mut whens {
            found.push(prepare(&mut operand, when, "case", bind)?);
        }
        domains = Some(found);
        args.push(operand);
    }
    let mut results = results.into_iter();
    for when in whens {
        args.push(when);
        args.extend(results.next());
    }
    args.extend(results);
    let shape = CaseShape { operand: domains, has_else };
    Ok(call(Op::Case(shape), args, typed(data_type, nullable, strength)))
}

/// `x [NOT] IN (members)`.
///
/// # Errors
/// 1267.
pub fn in_list(x: Expr, members: Vec<Expr>, negation: Negation, bind: &BindContext) -> SqlResult<Expr> {
    let (mut x, mut members) = (x, members);
    let mut domains = Vec::with_capacity(members.len());
    for member in &mut members {
        domains.push(prepare(&mut x, member, "IN", bind)?);
    }
    let nullable = x.nullable() || any_nullable(&members);
    let mut args = vec![x];
    args.append(&mut members);
    Ok(call(Op::In(negation, domains), args, bool_type(nullable)))
}

/// `x [NOT] BETWEEN low AND high`.
///
/// # Errors
/// 1267.
pub fn between(x: Expr, low: Expr, high: Expr, negation: Negation, bind: &BindContext) -> SqlResult<Expr> {
    let (mut x, mut low, mut high) = (x, low, high);
    let first = prepare(&mut x, &mut low, "between", bind)?;
    let second = prepare(&mut x, &mut high, "between", bind)?;
    let args = vec![x, low, high];
    let nullable = any_nullable(&args);
    Ok(call(Op::Between(negation, first, second), args, bool_type(nullable)))
}

/// `x [NOT] LIKE pattern [ESCAPE escape]`.
///
/// # Errors
/// 1210 for an escape of more than one character, 1267.
pub fn like(
    x: Expr,
    pattern: Expr,
    escape: Option<Expr>,
    negation: Negation,
    bind: &BindContext,
) -> SqlResult<Expr> {
    let backslash =
        if bind.sql_mode.contains(aquifer_types::SqlMode::NO_BACKSLASH_ESCAPES) { "" } else { "\\" };
    let mut escape =
        escape.unwrap_or_else(|| string_literal(Bytes::from_static(backslash.as_bytes()), bind.collation));
    if let Expr::Literal { value: Value::Bytes(text), ty } = &escape
        && ty.data_type.collation.charset().char_count(text) > 1
    {
        return Err(SqlError::new(1210, "Incorrect arguments to ESCAPE"));
    }
    let mut texts = vec![x, pattern];
    let (collation, _) = unify_texts(&mut texts, "like", bind)?;
    to_charset_of(&mut escape, collation);
    let nullable = any_nullable(&texts);
    texts.push(escape);
    Ok(call(Op::Like(negation, collation), texts, bool_type(nullable)))
}

/// `x [NOT] REGEXP pattern`.
///
/// # Errors
/// 1267.
pub fn regexp(x: Expr, pattern: Expr, negation: Negation, bind: &BindContext) -> SqlResult<Expr> {
    text_condition(|c| Op::Regexp(negation, c), vec![x, pattern], "regexp", bind)
}

fn same_length(left: usize, right: usize) -> SqlResult<()> {
    if left == right {
        Ok(())
    } else {
        Err(SqlError::new(1241, format!("Operand should contain {left} column(s)")))
    }
}

/// `(a, b) op (c, d)`.
///
/// # Errors
/// 1241 when the sides have different lengths, 1267.
pub fn row_compare(op: CompareOp, left: Vec<Expr>, right: Vec<Expr>, bind: &BindContext) -> SqlResult<Expr> {
    same_length(left.len(), right.len())?;
    let pairs: Vec<(Expr, Expr)> = left.into_iter().zip(right).collect();
    match op {
        CompareOp::Eq | CompareOp::NullSafeEq => all_hold(op, pairs, bind),
        CompareOp::Ne => unary(UnaryOp::Not, all_hold(CompareOp::Eq, pairs, bind)?, bind),
        _ => ordered(op, pairs, bind),
    }
}

fn all_hold(op: CompareOp, pairs: Vec<(Expr, Expr)>, bind: &BindContext) -> SqlResult<Expr> {
    let mut all = None;
    for (l, r) in pairs {
        let one = binary(BinaryOp::Compare(op), l, r, bind)?;
        all = Some(match all {
            None => one,
            Some(before) => binary(BinaryOp::And, before, one, bind)?,
        });
    }
    Ok(all.unwrap_or_else(|| bool_literal(true)))
}

/// `(a, b) < (c, d)` is `a < c OR (a = c AND b < d)`.
fn ordered(op: CompareOp, pairs: Vec<(Expr, Expr)>, bind: &BindContext) -> SqlResult<Expr> {
    let strict = match op {
        CompareOp::Le => CompareOp::Lt,
        CompareOp::Ge => CompareOp::Gt,
        other => other,
    };
    let mut pairs = pairs.into_iter().rev();
    let Some((l, r)) = pairs.next() else {
        return Ok(bool_literal(true));
    };
    let mut rest = binary(BinaryOp::Compare(op), l, r, bind)?;
    for (l, r) in pairs {
        let equal = binary(BinaryOp::Compare(CompareOp::Eq), l.clone(), r.clone(), bind)?;
        let less = binary(BinaryOp::Compare(strict), l, r, bind)?;
        rest = binary(BinaryOp::Or, less, binary(BinaryOp::And, equal, rest, bind)?, bind)?;
    }
    Ok(rest)
}

/// `(a, b) [NOT] IN ((c, d), …)`.
///
/// # Errors
/// 1241, 1267.
pub fn row_in_list(
    left: Vec<Expr>,
    members: Vec<Vec<Expr>>,
    negation: Negation,
    bind: &BindContext,
) -> SqlResult<Expr> {
    let mut any = None;
    for member in members {
        let one = row_compare(CompareOp::Eq, left.clone(), member, bind)?;
        any = Some(match any {
            None => one,
            Some(before) => binary(BinaryOp::Or, before, one, bind)?,
        });
    }
    let any = any.unwrap_or_else(|| bool_literal(false));
    if negation == Negation::Negated { unary(UnaryOp::Not, any, bind) } else { Ok(any) }
}

/// `x ± INTERVAL amount unit`; also DATE_ADD, DATE_SUB, ADDDATE, SUBDATE.
///
/// # Errors
/// None today.
pub fn add_interval(
    x: Expr,
    amount: Expr,
    unit: IntervalUnit,
    sign: IntervalSign,
    bind: &BindContext,
) -> SqlResult<Expr> {
    let from = x.data_type();
    let amount_digits = match unit {
        _ if unit.has_micros() => 6,
        IntervalUnit::Second => amount.data_type().decimals.min(6),
        _ => 0,
    };
    let fsp = from.decimals.min(6).max(amount_digits);
    let ty = match from.kind {
        TypeKind::Date if !unit.has_time() => DataType::of(TypeKind::Date),
        TypeKind::Date => temporal_type(TypeKind::DateTime, amount_digits),
        TypeKind::Time if unit.has_time() || matches!(unit, IntervalUnit::Day | IntervalUnit::Week) => {
            temporal_type(TypeKind::Time, fsp)
        }
        TypeKind::Time | TypeKind::DateTime | TypeKind::Timestamp => temporal_type(TypeKind::DateTime, fsp),
        // A text may be a date or a date with time: the result is a text as well.
        _ => string_of(29, bind.collation),
    };
    let strength = if family(&ty) == Family::String { Coercibility::LITERAL } else { Coercibility::NUMERIC };
    Ok(call(Op::AddInterval(unit, sign), vec![x, amount], typed(ty, true, strength)))
}

/// `EXTRACT(unit FROM x)`.
///
/// # Errors
/// None today.
pub fn extract(unit: IntervalUnit, x: Expr, bind: &BindContext) -> SqlResult<Expr> {
    let _ = bind;
    let length = if unit.has_micros() { 20 } else { 11 };
    Ok(call(Op::Extract(unit), vec![x], number(int_type(length), true)))
}

/// `TIMESTAMPADD(unit, amount, x)`.
///
/// # Errors
/// None today.
pub fn timestamp_add(unit: IntervalUnit, amount: Expr, x: Expr, bind: &BindContext) -> SqlResult<Expr> {
    add_interval(x, amount, unit, IntervalSign::Add, bind)
}

/// `TIMESTAMPDIFF(unit, a, b)`.
///
/// # Errors
/// None today.
pub fn timestamp_diff(unit: IntervalUnit, a: Expr, b: Expr, bind: &BindContext) -> SqlResult<Expr> {
    let _ = bind;
    Ok(call(Op::TimestampDiff(unit), vec![a, b], number(int_type(21), true)))
}

/// `TRIM([side] [what FROM] x)`.
///
/// # Errors
/// 1267.
pub fn trim(side: TrimSide, what: Option<Expr>, x: Expr, bind: &BindContext) -> SqlResult<Expr> {
    let length = text_length(x.data_type());
    let mut args = vec![x];
    args.extend(what);
    let (collation, strength) = unify_texts(&mut args, "trim", bind)?;
    let nullable = any_nullable(&args);
    Ok(call(Op::Trim(side), args, typed(string_of(length, collation), nullable, strength)))
}
