//! Bound expressions as text for people (EXPLAIN): columns by the names that the caller knows.

use aquifer_types::{TypeKind, Value, text};

use super::aggregate::Aggregate;
use super::ir::{BinaryOp, CompareOp, Expr, Negation, Op, UnaryOp};

/// What columns and parameters are called, by their positions.
pub(crate) trait Names {
    /// A column of the row.
    fn column(&self, index: usize) -> String;

    /// A parameter.
    fn param(&self, index: usize) -> String;
}

/// The text of an expression.
pub(crate) fn show(expr: &Expr, names: &dyn Names) -> String {
    match expr {
        Expr::Literal { value, ty } => literal(value, &ty.data_type),
        Expr::Column { index, .. } => names.column(*index),
        Expr::Param { index, .. } => names.param(*index),
        Expr::Call(call) => {
            let args: Vec<String> = call.args.iter().map(|arg| show(arg, names)).collect();
            operation(&call.op, &args)
        }
    }
}

/// The text of an aggregate.
pub(crate) fn show_aggregate(aggregate: &Aggregate, names: &dyn Names) -> String {
    let args: Vec<String> = aggregate.args.iter().map(|arg| show(arg, names)).collect();
    let args = if args.is_empty() { "0".to_owned() } else { args.join(",") };
    format!("{}({args})", aggregate.name())
}

fn literal(value: &Value, data_type: &aquifer_types::DataType) -> String {
    if value.is_null() {
        return "NULL".to_owned();
    }
    let mut out = Vec::new();
    text::write_text(value, data_type, &mut out);
    let text = String::from_utf8_lossy(&out);
    let plain = matches!(
        data_type.kind,
        TypeKind::TinyInt | TypeKind::SmallInt | TypeKind::MediumInt | TypeKind::Int | TypeKind::BigInt
    ) || matches!(data_type.kind, TypeKind::Decimal | TypeKind::Double | TypeKind::Float);
    if plain { text.into_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

fn operation(op: &Op, args: &[String]) -> String {
    let infix = |symbol: &str| format!("({})", args.join(&format!(" {symbol} ")));
    let not = |negation: &Negation| if *negation == Negation::Negated { "not " } else { "" };
    match op {
        Op::Binary(op) => infix(binary(*op)),
        Op::Compare(op, _) => infix(comparison(*op)),
        Op::And => infix("and"),
        Op::Or => infix("or"),
        Op::Xor => infix("xor"),
        Op::Unary(op) => format!("{}{}", unary(*op), args.concat()),
        Op::IsNull(negation) => format!("({} is {}null)", args.concat(), not(negation)),
        Op::Between(negation, ..) => {
            format!("({} {}between {})", args[0], not(negation), args[1..].join(" and "))
        }
        Op::In(negation, _) => format!("({} {}in ({}))", args[0], not(negation), args[1..].join(",")),
        Op::Like(negation, _) => format!("({} {}like {})", args[0], not(negation), args[1]),
        Op::Regexp(negation, _) => format!("({} {}regexp {})", args[0], not(negation), args[1]),
        Op::Case(_) => format!("case({})", args.join(",")),
        Op::NullIf(_) => format!("nullif({})", args.join(",")),
        Op::Cast(target) => format!("cast({} as {})", args.concat(), format!("{target:?}").to_lowercase()),
        Op::ConvertCharset(_) | Op::Collate => args.concat(),
        Op::AddInterval(unit, sign) => {
            let sign = if *sign == super::ir::IntervalSign::Add { '+' } else { '-' };
            format!("({} {sign} interval {} {})", args[0], args[1], format!("{unit:?}").to_lowercase())
        }
        Op::Extract(unit) => {
            format!("extract({} from {})", format!("{unit:?}").to_lowercase(), args.concat())
        }
        Op::TimestampDiff(_) => format!("timestampdiff({})", args.join(",")),
        Op::Trim(_) => format!("trim({})", args.join(",")),
        Op::UserVariable(name) => format!("@{name}"),
        Op::SetUserVariable(name) => format!("(@{name}:={})", args.concat()),
        Op::Function(function) => format!("{}({})", function.name.to_lowercase(), args.join(",")),
        Op::IsTruth(truth, negation) => {
            format!("({} is {}{})", args.concat(), not(negation), format!("{truth:?}").to_lowercase())
        }
    }
}

fn binary(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Mul => "*",
        BinaryOp::Div => "/",
        BinaryOp::IntDiv => "div",
        BinaryOp::Rem => "%",
        BinaryOp::BitAnd => "&",
        BinaryOp::BitOr => "|",
        BinaryOp::BitXor => "^",
        BinaryOp::ShiftLeft => "<<",
        BinaryOp::ShiftRight => ">>",
        BinaryOp::And => "and",
        BinaryOp::Or => "or",
        BinaryOp::Xor => "xor",
        BinaryOp::Compare(op) => comparison(op),
    }
}

fn comparison(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Eq => "=",
        CompareOp::NullSafeEq => "<=>",
        CompareOp::Ne => "<>",
        CompareOp::Lt => "<",
        CompareOp::Le => "<=",
        CompareOp::Gt => ">",
        CompareOp::Ge => ">=",
    }
}

fn unary(op: UnaryOp) -> &'static str {
    match op {
        UnaryOp::Minus => "-",
        UnaryOp::Plus => "+",
        UnaryOp::Not => "not ",
        UnaryOp::BitNot => "~",
        UnaryOp::Binary => "binary ",
    }
}
