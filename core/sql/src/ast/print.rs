//! Expressions as text, in the form in which MySQL keeps those of definitions: names in backticks, every
//! operator in parentheses, strings with their character set. The text means the same under any `sql_mode`.

use std::fmt::Write as _;

use aquifer_types::{SqlError, SqlResult};

use super::{AstBinary, AstExpr, AstUnary, CastType, FunctionCall, Literal, TruthTest};

/// A name in backticks.
#[must_use]
pub fn quoted_name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// The text of an expression that refers to columns of one row only.
///
/// # Errors
/// 1235 for what a definition may not hold: subqueries, variables, parameters.
pub fn expression_text(ast: &AstExpr) -> SqlResult<String> {
    let mut out = String::new();
    print(ast, &mut out)?;
    Ok(out)
}

fn list(items: &[AstExpr], out: &mut String) -> SqlResult<()> {
    for (number, item) in items.iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        print(item, out)?;
    }
    Ok(())
}

fn print(ast: &AstExpr, out: &mut String) -> SqlResult<()> {
    match ast {
        AstExpr::Literal(value) => literal(value, out),
        AstExpr::Column(name) => out.push_str(&quoted_name(&name.name)),
        AstExpr::Unary(op, operand) => return unary(*op, operand, out),
        AstExpr::Binary(op, left, right) => return binary(*op, left, right, out),
        AstExpr::Function(call) => return function(call, out),
        AstExpr::Cast(value, target) => return cast(value, target, out),
        AstExpr::ConvertUsing(value, charset) => {
            out.push_str("convert(");
            print(value, out)?;
            let _ = write!(out, " using {charset})");
        }
        AstExpr::Collate(value, name) => {
            out.push('(');
            print(value, out)?;
            let _ = write!(out, " collate {name})");
        }
        AstExpr::Case(case) => {
            out.push_str("(case");
            if let Some(operand) = &case.operand {
                out.push(' ');
                print(operand, out)?;
            }
            for (when, then) in &case.branches {
                out.push_str(" when ");
                print(when, out)?;
                out.push_str(" then ");
                print(then, out)?;
            }
            if let Some(otherwise) = &case.otherwise {
                out.push_str(" else ");
                print(otherwise, out)?;
            }
            out.push_str(" end)");
        }
        AstExpr::Row(items) => {
            out.push('(');
            list(items, out)?;
            out.push(')');
        }
        _ => return predicate(ast, out),
    }
    Ok(())
}

fn predicate(ast: &AstExpr, out: &mut String) -> SqlResult<()> {
    let not = |negated: &bool| if *negated { " not" } else { "" };
    match ast {
        AstExpr::Between(value, low, high, negated) => {
            out.push('(');
            print(value, out)?;
            let _ = write!(out, "{} between ", not(negated));
            print(low, out)?;
            out.push_str(" and ");
            print(high, out)?;
            out.push(')');
        }
        AstExpr::In(value, members, negated) => {
            out.push('(');
            print(value, out)?;
            let _ = write!(out, "{} in (", not(negated));
            list(members, out)?;
            out.push_str("))");
        }
        AstExpr::Like(value, pattern, escape, negated) => {
            out.push('(');
            print(value, out)?;
            let _ = write!(out, "{} like ", not(negated));
            print(pattern, out)?;
            if let Some(escape) = escape {
                out.push_str(" escape ");
                print(escape, out)?;
            }
            out.push(')');
        }
        AstExpr::Regexp(value, pattern, negated) => {
            out.push_str(if *negated { "(not(regexp_like(" } else { "regexp_like(" });
            print(value, out)?;
            out.push(',');
            print(pattern, out)?;
            out.push_str(if *negated { ")))" } else { ")" });
        }
        AstExpr::IsNull(value, negated) => {
            out.push('(');
            print(value, out)?;
            let _ = write!(out, " is{} null)", not(negated));
        }
        AstExpr::IsTruth(value, test, negated) => {
            out.push('(');
            print(value, out)?;
            let truth = match test {
                TruthTest::True => "true",
                TruthTest::False => "false",
                TruthTest::Unknown => "unknown",
            };
            let _ = write!(out, " is{} {truth})", not(negated));
        }
        _ => return temporal(ast, out),
    }
    Ok(())
}

fn temporal(ast: &AstExpr, out: &mut String) -> SqlResult<()> {
    match ast {
        AstExpr::AddInterval(date, amount, unit, subtract) => {
            out.push('(');
            print(date, out)?;
            out.push_str(if *subtract { " - interval " } else { " + interval " });
            print(amount, out)?;
            let _ = write!(out, " {})", unit.to_lowercase());
        }
        AstExpr::Extract(unit, value) => {
            let _ = write!(out, "extract({} from ", unit.to_lowercase());
            print(value, out)?;
            out.push(')');
        }
        AstExpr::Trim(side, what, from) => {
            out.push_str("trim(");
            if !side.is_empty() && (what.is_some() || side != "BOTH") {
                let _ = write!(out, "{} ", side.to_lowercase());
            }
            if let Some(what) = what {
                print(what, out)?;
                out.push(' ');
            }
            if what.is_some() || !side.is_empty() && side != "BOTH" {
                out.push_str("from ");
            }
            print(from, out)?;
            out.push(')');
        }
        AstExpr::TimestampAdd(unit, amount, date) => {
            let _ = write!(out, "timestampadd({},", unit.to_lowercase());
            print(amount, out)?;
            out.push(',');
            print(date, out)?;
            out.push(')');
        }
        AstExpr::TimestampDiff(unit, a, b) => {
            let _ = write!(out, "timestampdiff({},", unit.to_lowercase());
            print(a, out)?;
            out.push(',');
            print(b, out)?;
            out.push(')');
        }
        _ => return Err(SqlError::not_supported("this expression in a definition")),
    }
    Ok(())
}

fn literal(value: &Literal, out: &mut String) {
    let _ = match value {
        Literal::Null => write!(out, "NULL"),
        Literal::Bool(value) => write!(out, "{value}"),
        Literal::UInt(number) => write!(out, "{number}"),
        Literal::Decimal(text) => write!(out, "{text}"),
        Literal::Double(number) => write!(out, "{number:e}"),
        Literal::String(bytes) => write!(out, "_utf8mb4{}", string_text(bytes)),
        Literal::Introduced(charset, bytes) => write!(out, "_{charset}{}", string_text(bytes)),
        Literal::Hex(bytes) => {
            out.push_str("0x");
            bytes.iter().try_for_each(|byte| write!(out, "{byte:02X}"))
        }
        Literal::Date(text) => write!(out, "DATE{}", string_text(text.as_bytes())),
        Literal::Time(text) => write!(out, "TIME{}", string_text(text.as_bytes())),
        Literal::Timestamp(text) => write!(out, "TIMESTAMP{}", string_text(text.as_bytes())),
    };
}

/// A string in quotes. Bytes that are not text, and backslashes, whose meaning depends on `sql_mode`, make it
/// hexadecimal.
fn string_text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(['\\', '\0']) => format!("'{}'", text.replace('\'', "''")),
        _ => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            format!(" 0x{digits}")
        }
    }
}

fn unary(op: AstUnary, operand: &AstExpr, out: &mut String) -> SqlResult<()> {
    let (before, after) = match op {
        AstUnary::Minus => ("-(", ")"),
        AstUnary::Plus => ("", ""),
        AstUnary::Not => ("(not(", "))"),
        AstUnary::BitNot => ("~(", ")"),
        AstUnary::Binary => ("cast(", " as char charset binary)"),
    };
    if op == AstUnary::Minus && matches!(operand, AstExpr::Literal(_)) {
        out.push('-');
        return print(operand, out);
    }
    out.push_str(before);
    print(operand, out)?;
    out.push_str(after);
    Ok(())
}

fn binary(op: AstBinary, left: &AstExpr, right: &AstExpr, out: &mut String) -> SqlResult<()> {
    let call = match op {
        AstBinary::Concat => Some(("concat(", ")")),
        AstBinary::JsonExtract => Some(("json_extract(", ")")),
        AstBinary::JsonUnquote => Some(("json_unquote(json_extract(", "))")),
        _ => None,
    };
    let (before, between, after) = match call {
        Some((before, after)) => (before, ",", after),
        None => ("(", operator(op), ")"),
    };
    out.push_str(before);
    print(left, out)?;
    out.push_str(between);
    print(right, out)?;
    out.push_str(after);
    Ok(())
}

fn operator(op: AstBinary) -> &'static str {
    match op {
        AstBinary::Or => " or ",
        AstBinary::Xor => " xor ",
        AstBinary::And => " and ",
        AstBinary::Eq => " = ",
        AstBinary::NullSafeEq => " <=> ",
        AstBinary::Ne => " <> ",
        AstBinary::Lt => " < ",
        AstBinary::Le => " <= ",
        AstBinary::Gt => " > ",
        AstBinary::Ge => " >= ",
        AstBinary::BitOr => " | ",
        AstBinary::BitAnd => " & ",
        AstBinary::BitXor => " ^ ",
        AstBinary::ShiftLeft => " << ",
        AstBinary::ShiftRight => " >> ",
        AstBinary::Plus => " + ",
        AstBinary::Minus => " - ",
        AstBinary::Multiply => " * ",
        AstBinary::Divide => " / ",
        AstBinary::IntDivide => " DIV ",
        AstBinary::Modulo => " % ",
        AstBinary::Concat | AstBinary::JsonExtract | AstBinary::JsonUnquote => ",",
    }
}

fn function(call: &FunctionCall, out: &mut String) -> SqlResult<()> {
    if call.distinct || call.star || call.over.is_some() || !call.order.is_empty() || call.separator.is_some()
    {
        return Err(SqlError::not_supported("aggregates in a definition"));
    }
    out.push_str(&call.name.to_lowercase());
    out.push('(');
    list(&call.args, out)?;
    out.push(')');
    Ok(())
}

fn cast(value: &AstExpr, target: &CastType, out: &mut String) -> SqlResult<()> {
    out.push_str("cast(");
    print(value, out)?;
    let _ = write!(out, " as {}", target.name.to_lowercase());
    match (target.length, target.decimals) {
        (Some(length), Some(decimals)) => {
            let _ = write!(out, "({length},{decimals})");
        }
        (Some(length), None) => {
            let _ = write!(out, "({length})");
        }
        _ => {}
    }
    if let Some(charset) = &target.charset {
        let _ = write!(out, " charset {charset}");
    }
    out.push(')');
    Ok(())
}
