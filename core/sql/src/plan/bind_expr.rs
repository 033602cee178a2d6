//! Expressions: names to positions, operators to typed constructors.

use aquifer_types::{Collation, DataType, Decimal, SqlError, SqlResult, TypeKind};
use bytes::Bytes;

use crate::ast::{
    AstBinary, AstExpr, AstUnary, ColumnRef, FunctionCall, Literal, Quantifier, TruthTest, WindowSpec,
};
use crate::expr::aggregate::{self, Aggregate};
use crate::expr::{
    self, BinaryOp, BindContext, CastTarget, CompareOp, Expr, IntervalSign, IntervalUnit, Negation, TrimSide,
    Truth, UnaryOp,
};
use crate::plan::binder::Binder;
use crate::plan::node::Apply;
use crate::plan::scope::{Scope, unknown_column};
use crate::plan::window::WindowCall;

/// First position of placeholders for aggregates, beyond every real column.
pub(crate) const AGGREGATE_BASE: usize = 1 << 40;

/// Where an expression stands, and what it leaves behind.
pub(crate) struct ExprContext<'e> {
    /// For messages: `field list`, `where clause`, ….
    pub clause: &'static str,
    /// Where aggregates go; `None` where they are illegal (1111).
    pub aggregates: Option<&'e mut Vec<Aggregate>>,
    /// Where subqueries go.
    pub applies: &'e mut Vec<Apply>,
    /// Names that columns do not have: aliases of the select list.
    pub aliases: &'e [(String, Expr)],
    /// Whether aliases come before columns (ORDER BY) or after (GROUP BY, HAVING).
    pub alias_first: bool,
    /// VALUES(column) and row alias of INSERT: offset of the new row.
    pub new_row: Option<usize>,
    /// Where window functions go; `None` where they are illegal (3593).
    pub windows: Option<&'e mut Vec<WindowCall>>,
    /// WINDOW of the block.
    pub window_defs: &'e [(String, WindowSpec)],
}

impl<'e> ExprContext<'e> {
    pub(crate) fn plain(clause: &'static str, applies: &'e mut Vec<Apply>) -> Self {
        Self {
            clause,
            aggregates: None,
            applies,
            aliases: &[],
            alias_first: false,
            new_row: None,
            windows: None,
            window_defs: &[],
        }
    }
}

/// The argument that a number in ORDER BY of an aggregate means.
fn argument(args: &[Expr], position: u64) -> SqlResult<Expr> {
    let index = usize::try_from(position).ok().and_then(|position| position.checked_sub(1));
    let unknown = || SqlError::new(1054, format!("Unknown column '{position}' in 'order clause'"));
    index.and_then(|index| args.get(index)).cloned().ok_or_else(unknown)
}

fn negation(negated: bool) -> Negation {
    if negated { Negation::Negated } else { Negation::Plain }
}

impl<'a> Binder<'a> {
    pub(crate) fn expr(
        &mut self,
        ast: &AstExpr,
        scope: &Scope<'_>,
        cx: &mut ExprContext<'_>,
    ) -> SqlResult<Expr> {
        let bind = self.env.bind;
        match ast {
            AstExpr::Literal(literal) => self.literal(literal),
            AstExpr::Param(index) => Ok(self.param(*index)),
            AstExpr::Column(name) => self.column(name, scope, cx),
            AstExpr::SystemVariable(scope, name) => {
                self.reusable = false;
                let (value, data_type) = self.env.variables.get(*scope, name)?;
                Ok(expr::literal(value, data_type))
            }
            AstExpr::UserVariable(name) => {
                self.reusable = false;
                let known = self.env.user_variables.get(name).map(|(_, data_type)| data_type.clone());
                let data_type = known.unwrap_or_else(|| DataType::of(TypeKind::MediumBlob));
                Ok(expr::user_variable(name, data_type))
            }
            AstExpr::AssignVariable(name, value) => {
                self.reusable = false;
                self.repeatable = false;
                Ok(expr::set_user_variable(name, self.expr(value, scope, cx)?))
            }
            AstExpr::Unary(op, operand) => self.unary(*op, operand, scope, cx),
            AstExpr::Binary(..) => self.binary(ast, scope, cx),
            AstExpr::Function(call) => self.call(call, scope, cx),
            AstExpr::Cast(value, target) => {
                let value = self.expr(value, scope, cx)?;
                expr::cast(value, self.cast_target(target)?, bind)
            }
            AstExpr::ConvertUsing(value, charset) => {
                expr::convert_using(self.expr(value, scope, cx)?, charset, bind)
            }
            AstExpr::Collate(value, name) => expr::collate(self.expr(value, scope, cx)?, name, bind),
            AstExpr::Case(case) => {
                let operand = case.operand.as_ref().map(|e| self.expr(e, scope, cx)).transpose()?;
                let mut branches = Vec::new();
                for (when, then) in &case.branches {
                    branches.push((self.expr(when, scope, cx)?, self.expr(then, scope, cx)?));
                }
                let otherwise = case.otherwise.as_ref().map(|e| self.expr(e, scope, cx)).transpose()?;
                expr::case(operand, branches, otherwise, bind)
            }
            AstExpr::Between(value, low, high, negated) => {
                let value = self.expr(value, scope, cx)?;
                let (low, high) = (self.expr(low, scope, cx)?, self.expr(high, scope, cx)?);
                expr::between(value, low, high, negation(*negated), bind)
            }
            AstExpr::In(value, members, negated) => self.in_list(value, members, *negated, scope, cx),
            AstExpr::Like(value, pattern, escape, negated) => {
                let value = self.expr(value, scope, cx)?;
                let pattern = self.expr(pattern, scope, cx)?;
                let escape = escape.as_ref().map(|e| self.expr(e, scope, cx)).transpose()?;
                expr::like(value, pattern, escape, negation(*negated), bind)
            }
            AstExpr::Regexp(value, pattern, negated) => {
                let (value, pattern) = (self.expr(value, scope, cx)?, self.expr(pattern, scope, cx)?);
                expr::regexp(value, pattern, negation(*negated), bind)
            }
            AstExpr::IsNull(value, negated) => {
                Ok(expr::is_null(self.expr(value, scope, cx)?, negation(*negated)))
            }
            AstExpr::IsTruth(value, test, negated) => {
                let truth = match test {
                    TruthTest::True => Truth::True,
                    TruthTest::False => Truth::False,
                    TruthTest::Unknown => Truth::Unknown,
                };
                Ok(expr::is_truth(self.expr(value, scope, cx)?, truth, negation(*negated)))
            }
            AstExpr::AddInterval(date, amount, unit, subtract) => {
                let (date, amount) = (self.expr(date, scope, cx)?, self.expr(amount, scope, cx)?);
                let sign = if *subtract { IntervalSign::Subtract } else { IntervalSign::Add };
                expr::add_interval(date, amount, interval_unit(unit)?, sign, bind)
            }
            AstExpr::Extract(unit, value) => {
                expr::extract(interval_unit(unit)?, self.expr(value, scope, cx)?, bind)
            }
            AstExpr::Trim(side, what, from) => {
                let what = what.as_ref().map(|e| self.expr(e, scope, cx)).transpose()?;
                let side = match side.as_str() {
                    "LEADING" => TrimSide::Leading,
                    "TRAILING" => TrimSide::Trailing,
                    _ => TrimSide::Both,
                };
                expr::trim(side, what, self.expr(from, scope, cx)?, bind)
            }
            AstExpr::TimestampAdd(unit, amount, date) => {
                let (amount, date) = (self.expr(amount, scope, cx)?, self.expr(date, scope, cx)?);
                expr::timestamp_add(interval_unit(unit)?, amount, date, bind)
            }
            AstExpr::TimestampDiff(unit, a, b) => {
                let (a, b) = (self.expr(a, scope, cx)?, self.expr(b, scope, cx)?);
                expr::timestamp_diff(interval_unit(unit)?, a, b, bind)
            }
            AstExpr::GetFormat(kind, format) => {
                let kind = expr::string_literal(Bytes::copy_from_slice(kind.as_bytes()), bind.collation);
                expr::function("GET_FORMAT", vec![kind, self.expr(format, scope, cx)?], bind)
            }
            AstExpr::Subquery(query) => self.scalar_subquery(query, scope, cx),
            AstExpr::Exists(query, negated) => self.exists(query, *negated, scope, cx),
            AstExpr::InSubquery(value, query, negated) => {
                let result =
                    self.compare_subquery(value, query, CompareOp::Eq, Quantifier::Any, scope, cx)?;
                if *negated { expr::unary(UnaryOp::Not, result, bind) } else { Ok(result) }
            }
            AstExpr::Quantified(op, value, quantifier, query) => {
                self.compare_subquery(value, query, compare_op(*op)?, *quantifier, scope, cx)
            }
            AstExpr::Values(name) => self.new_row_column(name, scope, cx),
            AstExpr::DefaultOf(name) => self.default_of(name, scope),
            AstExpr::Row(_) => Err(operand_columns(1)),
            AstExpr::Default | AstExpr::Typed(..) => {
                Err(SqlError::new(1064, "You have an error in your SQL syntax near 'DEFAULT'"))
            }
            AstExpr::JsonValue(call) => self.json_value(call, scope, cx),
            AstExpr::Match => Err(SqlError::not_supported("MATCH ... AGAINST")),
        }
    }

    pub(crate) fn literal(&self, literal: &Literal) -> SqlResult<Expr> {
        literal_expr(literal, self.env.bind)
    }

    pub(crate) fn param(&self, index: usize) -> Expr {
        let known = self.env.param_types.get(index).cloned();
        let mut data_type = known.unwrap_or_else(|| DataType::varchar(255));
        if is_text(&data_type) {
            data_type.collation = self.env.bind.collation;
        }
        expr::param(index, data_type)
    }

    fn column(&mut self, name: &ColumnRef, scope: &Scope<'_>, cx: &mut ExprContext<'_>) -> SqlResult<Expr> {
        let alias = |cx: &ExprContext<'_>| {
            let unqualified = name.table.is_none();
            let found = cx
                .aliases
                .iter()
                .find(|(alias, _)| unqualified && super::scope::same_name(alias, &name.name));
            found.map(|(_, expr)| expr.clone())
        };
        if cx.alias_first
            && let Some(found) = alias(cx)
        {
            return Ok(found);
        }
        if let Some(found) = scope.find(name, cx.clause)? {
            return Ok(found.expr);
        }
        if let Some(found) = alias(cx) {
            return Ok(found);
        }
        self.outer_column(name, scope, cx.clause)?.ok_or_else(|| unknown_column(name, cx.clause))
    }

    /// A column of a block outside, as a parameter.
    fn outer_column(&mut self, name: &ColumnRef, scope: &Scope<'_>, clause: &str) -> SqlResult<Option<Expr>> {
        let Some(parent) = scope.parent else { return Ok(None) };
        let outer = match parent.find(name, clause)? {
            Some(found) => found.expr,
            None => match self.outer_column(name, parent, clause)? {
                Some(param) => {
                    scope.correlated.set(true);
                    scope.distant.set(true);
                    return Ok(Some(param));
                }
                None => return Ok(None),
            },
        };
        scope.correlated.set(true);
        let ty = outer.expr_type().clone();
        let known = scope.outer.borrow().iter().find(|(_, expr)| *expr == outer).map(|(slot, _)| *slot);
        let slot = known.unwrap_or_else(|| self.allocate_slot());
        if known.is_none() {
            scope.outer.borrow_mut().push((slot, outer));
        }
        Ok(Some(Expr::Param { index: slot, ty }))
    }

    fn unary(
        &mut self,
        op: AstUnary,
        operand: &AstExpr,
        scope: &Scope<'_>,
        cx: &mut ExprContext<'_>,
    ) -> SqlResult<Expr> {
        if op == AstUnary::Minus
            && let AstExpr::Literal(Literal::UInt(value)) = operand
            && *value <= 1 << 63
        {
            let negative = i64::try_from(-i128::from(*value)).unwrap_or(i64::MIN);
            return Ok(expr::int_literal(negative));
        }
        if op == AstUnary::Not
            && let AstExpr::Exists(query, negated) = operand
        {
            return self.exists(query, !*negated, scope, cx);
        }
        let operand = self.expr(operand, scope, cx)?;
        let op = match op {
            AstUnary::Minus => UnaryOp::Minus,
            AstUnary::Plus => UnaryOp::Plus,
            AstUnary::Not => UnaryOp::Not,
            AstUnary::BitNot => UnaryOp::BitNot,
            AstUnary::Binary => UnaryOp::Binary,
        };
        expr::unary(op, operand, self.env.bind)
    }

    /// A chain of operators that leans to the left is bound from its end, not by recursion.
    fn binary(&mut self, ast: &AstExpr, scope: &Scope<'_>, cx: &mut ExprContext<'_>) -> SqlResult<Expr> {
        let mut chain = Vec::new();
        let mut first = ast;
        while let AstExpr::Binary(op, left, right) = first
            && !matches!(**left, AstExpr::Row(_))
        {
            chain.push((*op, &**right));
            first = left;
        }
        let mut bound = match first {
            AstExpr::Binary(op, left, right) => self.row_operation(*op, left, right, scope, cx)?,
            other => self.expr(other, scope, cx)?,
        };
        for (op, right) in chain.into_iter().rev() {
            let right = self.expr(right, scope, cx)?;
            bound = self.operation(op, bound, right)?;
        }
        Ok(bound)
    }

    /// `(a, b) op (c, d)` and `(a, b) op (subquery)`.
    fn row_operation(
        &mut self,
        op: AstBinary,
        left: &AstExpr,
        right: &AstExpr,
        scope: &Scope<'_>,
        cx: &mut ExprContext<'_>,
    ) -> SqlResult<Expr> {
        match (left, right) {
            (AstExpr::Row(a), AstExpr::Row(b)) => {
                let op = compare_op(op)?;
                let (a, b) = (self.exprs(a, scope, cx)?, self.exprs(b, scope, cx)?);
                expr::row_compare(op, a, b, self.env.bind)
            }
            (AstExpr::Row(_), AstExpr::Subquery(query)) => {
                self.compare_subquery(left, query, compare_op(op)?, Quantifier::Any, scope, cx)
            }
            (AstExpr::Row(row), _) => Err(operand_columns(row.len())),
            _ => Err(operand_columns(1)),
        }
    }

    fn operation(&self, op: AstBinary, left: Expr, right: Expr) -> SqlResult<Expr> {
        let bind = self.env.bind;
        let op = match op {
            AstBinary::Or => BinaryOp::Or,
            AstBinary::Xor => BinaryOp::Xor,
            AstBinary::And => BinaryOp::And,
            AstBinary::BitOr => BinaryOp::BitOr,
            AstBinary::BitAnd => BinaryOp::BitAnd,
            AstBinary::BitXor => BinaryOp::BitXor,
            AstBinary::ShiftLeft => BinaryOp::ShiftLeft,
            AstBinary::ShiftRight => BinaryOp::ShiftRight,
            AstBinary::Plus => BinaryOp::Add,
            AstBinary::Minus => BinaryOp::Sub,
            AstBinary::Multiply => BinaryOp::Mul,
            AstBinary::Divide => BinaryOp::Div,
            AstBinary::IntDivide => BinaryOp::IntDiv,
            AstBinary::Modulo => BinaryOp::Rem,
            AstBinary::Concat => return expr::function("CONCAT", vec![left, right], bind),
            AstBinary::JsonExtract => return expr::function("JSON_EXTRACT", vec![left, right], bind),
            AstBinary::JsonUnquote => {
                let extracted = expr::function("JSON_EXTRACT", vec![left, right], bind)?;
                return expr::function("JSON_UNQUOTE", vec![extracted], bind);
            }
            comparison => BinaryOp::Compare(compare_op(comparison)?),
        };
        expr::binary(op, left, right, bind)
    }

    pub(crate) fn exprs(
        &mut self,
        list: &[AstExpr],
        scope: &Scope<'_>,
        cx: &mut ExprContext<'_>,
    ) -> SqlResult<Vec<Expr>> {
        list.iter().map(|ast| self.expr(ast, scope, cx)).collect()
    }

    fn in_list(
        &mut self,
        value: &AstExpr,
        members: &[AstExpr],
        negated: bool,
        scope: &Scope<'_>,
        cx: &mut ExprContext<'_>,
    ) -> SqlResult<Expr> {
        if let AstExpr::Row(left) = value {
            let left = self.exprs(left, scope, cx)?;
            let mut rows = Vec::with_capacity(members.len());
            for member in members {
                let AstExpr::Row(row) = member else { return Err(operand_columns(left.len())) };
                rows.push(self.exprs(row, scope, cx)?);
            }
            return expr::row_in_list(left, rows, negation(negated), self.env.bind);
        }
        let value = self.expr(value, scope, cx)?;
        let members = self.exprs(members, scope, cx)?;
        expr::in_list(value, members, negation(negated), self.env.bind)
    }

    fn call(&mut self, call: &FunctionCall, scope: &Scope<'_>, cx: &mut ExprContext<'_>) -> SqlResult<Expr> {
        if let Some(over) = &call.over {
            return self.window_call(call, over, scope, cx);
        }
        if call.name == "GROUPING" {
            return self.grouping(call, scope, cx);
        }
        if aggregate::is_aggregate(&call.name) {
            return self.aggregate(call, scope, cx);
        }
        if call.star || call.distinct {
            return Err(SqlError::new(
                1064,
                format!("You have an error in your SQL syntax near '{}'", call.name),
            ));
        }
        let mut args = self.exprs(&call.args, scope, cx)?;
        if matches!(call.name.as_str(), "AES_ENCRYPT" | "AES_DECRYPT") {
            self.add_encryption_mode(&call.name, &mut args)?;
        }
        let bound = expr::function(&call.name, args, self.env.bind)?;
        self.repeatable &= !bound.is_volatile();
        Ok(bound)
    }

    fn aggregate(
        &mut self,
        call: &FunctionCall,
        scope: &Scope<'_>,
        cx: &mut ExprContext<'_>,
    ) -> SqlResult<Expr> {
        let Some(aggregates) = cx.aggregates.take() else {
            return Err(SqlError::new(1111, "Invalid use of group function"));
        };
        let duplicates =
            if call.distinct { aggregate::Duplicates::Distinct } else { aggregate::Duplicates::All };
        let mut inner = ExprContext { aliases: &[], ..ExprContext::plain(cx.clause, &mut *cx.applies) };
        let args = self.exprs(&call.args, scope, &mut inner);
        let mut order = Vec::new();
        for item in &call.order {
            let direction = if item.descending {
                aggregate::SortOrder::Descending
            } else {
                aggregate::SortOrder::Ascending
            };
            let expr = match (&item.expr, &args) {
                // GROUP_CONCAT(a, b ORDER BY 2).
                (AstExpr::Literal(Literal::UInt(position)), Ok(args)) => argument(args, *position)?,
                (expr, _) => self.expr(expr, scope, &mut inner)?,
            };
            order.push((expr, direction));
        }
        let aggregate = Aggregate::new(&call.name, duplicates, args?, self.env.bind)?;
        let separator = call.separator.clone().map(Bytes::from);
        let aggregate = if order.is_empty() && separator.is_none() {
            aggregate
        } else {
            aggregate.with_order(order, separator)
        };
        let ty = aggregate.expr_type().clone();
        let known = aggregates.iter().position(|other| *other == aggregate);
        let number = known.unwrap_or(aggregates.len());
        if known.is_none() {
            aggregates.push(aggregate);
        }
        cx.aggregates = Some(aggregates);
        Ok(Expr::Column { index: AGGREGATE_BASE + number, ty })
    }
}

/// Error 1241.
pub(crate) fn operand_columns(count: usize) -> SqlError {
    SqlError::new(1241, format!("Operand should contain {count} column(s)"))
}

fn interval_unit(name: &str) -> SqlResult<IntervalUnit> {
    IntervalUnit::parse(name).ok_or_else(|| SqlError::new(1064, format!("unknown interval unit '{name}'")))
}

pub(crate) fn compare_op(op: AstBinary) -> SqlResult<CompareOp> {
    Ok(match op {
        AstBinary::Eq => CompareOp::Eq,
        AstBinary::NullSafeEq => CompareOp::NullSafeEq,
        AstBinary::Ne => CompareOp::Ne,
        AstBinary::Lt => CompareOp::Lt,
        AstBinary::Le => CompareOp::Le,
        AstBinary::Gt => CompareOp::Gt,
        AstBinary::Ge => CompareOp::Ge,
        _ => return Err(operand_columns(1)),
    })
}

/// Whether values of a type are text with a collation.
pub(crate) fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type.kind,
        TypeKind::Char
            | TypeKind::VarChar
            | TypeKind::TinyText
            | TypeKind::Text
            | TypeKind::MediumText
            | TypeKind::LongText
    ) && data_type.collation != Collation::BINARY
}

/// A constant.
pub(crate) fn literal_expr(literal: &Literal, bind: &BindContext) -> SqlResult<Expr> {
    let collation = bind.collation;
    Ok(match literal {
        Literal::Null => expr::null_literal(),
        Literal::Bool(value) => expr::bool_literal(*value),
        Literal::UInt(value) => match i64::try_from(*value) {
            Ok(value) => expr::int_literal(value),
            Err(_) => expr::uint_literal(*value),
        },
        Literal::Decimal(text) => match Decimal::parse(text.as_bytes()) {
            Some(value) => expr::decimal_literal(value),
            None => expr::double_literal(text.parse().unwrap_or(f64::MAX)),
        },
        Literal::Double(value) => expr::double_literal(*value),
        Literal::String(bytes) => expr::string_literal(Bytes::copy_from_slice(bytes), collation),
        Literal::Introduced(charset, bytes) => {
            let charset = aquifer_types::collation::Charset::by_name(charset)
                .ok_or_else(|| SqlError::new(1115, format!("Unknown character set: '{charset}'")))?;
            expr::string_literal(Bytes::copy_from_slice(bytes), charset.default_collation())
        }
        Literal::Hex(bytes) => expr::hex_literal(Bytes::copy_from_slice(bytes)),
        Literal::Date(text) => expr::date_literal(&CastTarget::Date, text, bind)?,
        Literal::Time(text) => expr::date_literal(&CastTarget::Time(6), text, bind)?,
        Literal::Timestamp(text) => expr::date_literal(&CastTarget::DateTime(6), text, bind)?,
    })
}
