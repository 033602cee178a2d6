//! Window functions: binding, and their place in a block.
//!
//! Calls are bound to placeholders beyond all columns, as aggregates are. They are computed above grouping and
//! HAVING and below the select list: [`Node::Extend`] adds what they need to each row, [`Node::Window`] sorts
//! rows for each window in turn and adds one column for each call.

use aquifer_types::{SqlError, SqlResult, TypeKind};

use crate::ast::{Frame, FrameBound, FrameUnit, FunctionCall, OrderItem, WindowSpec};
use crate::expr::aggregate::Duplicates;
use crate::expr::window::WindowFunction;
use crate::expr::{self, BinaryOp, CompareOp, Expr, IntervalSign, IntervalUnit};
use crate::plan::bind_expr::ExprContext;
use crate::plan::binder::Binder;
use crate::plan::node::{
    Apply, BoundNode, FrameNode, Node, SortKey, WindowCallNode, WindowGroup, WindowNode,
};
use crate::plan::scope::Scope;
use crate::plan::sort_type::SortType;

/// First position of placeholders for window functions, beyond those of aggregates.
pub(crate) const WINDOW_BASE: usize = 1 << 41;

/// A call before it has its place.
#[derive(PartialEq)]
pub(crate) struct WindowCall {
    pub function: WindowFunction,
    pub partition: Vec<Expr>,
    pub order: Vec<(Expr, bool)>,
    frame: BoundFrame,
}

#[derive(PartialEq)]
struct BoundFrame {
    rows: bool,
    start: Edge,
    end: Edge,
}

/// One end of a frame.
#[derive(PartialEq)]
enum Edge {
    Unbounded,
    CurrentRow,
    /// ROWS: rows before (negative: after) the present one.
    Rows(Expr, Direction),
    /// RANGE: the order value at this end, and whether an order value (column 0) is at or after it (column 1).
    Value {
        bound: Expr,
        at_or_after: Expr,
        after: Expr,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Preceding,
    Following,
}

impl WindowCall {
    pub(crate) fn exprs_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        let edges = [&mut self.frame.start, &mut self.frame.end].into_iter().filter_map(|edge| match edge {
            Edge::Value { bound, .. } => Some(bound),
            _ => None,
        });
        let order = self.order.iter_mut().map(|(expr, _)| expr);
        self.function.exprs_mut().chain(self.partition.iter_mut()).chain(order).chain(edges)
    }

    pub(crate) fn exprs(&self) -> impl Iterator<Item = &Expr> {
        let edges = [&self.frame.start, &self.frame.end].into_iter().filter_map(|edge| match edge {
            Edge::Value { bound, .. } => Some(bound),
            _ => None,
        });
        let order = self.order.iter().map(|(expr, _)| expr);
        self.function.exprs().chain(&self.partition).chain(order).chain(edges)
    }
}

/// A window with everything that it inherits.
struct Resolved<'w> {
    partition: Vec<&'w crate::ast::AstExpr>,
    order: Vec<&'w OrderItem>,
    frame: Option<&'w Frame>,
    name: String,
}

fn resolve<'w>(
    spec: &'w WindowSpec,
    defs: &'w [(String, WindowSpec)],
    own_name: &str,
    depth: usize,
) -> SqlResult<Resolved<'w>> {
    let mut resolved = Resolved {
        partition: spec.partition.iter().collect(),
        order: spec.order.iter().collect(),
        frame: spec.frame.as_ref(),
        name: own_name.to_owned(),
    };
    let Some(parent) = &spec.name else { return Ok(resolved) };
    let found = defs.iter().find(|(name, _)| name.eq_ignore_ascii_case(parent));
    let Some((name, definition)) = found else {
        return Err(SqlError::new(3579, format!("Window name '{parent}' is not defined.")));
    };
    if depth > defs.len() {
        return Err(SqlError::new(3580, "There is a circularity in the window dependency graph."));
    }
    let base = resolve(definition, defs, name, depth + 1)?;
    if spec.bare {
        return Ok(base);
    }
    if !resolved.partition.is_empty() {
        return Err(SqlError::new(3581, "A window which depends on another cannot define partitioning."));
    }
    if base.frame.is_some() {
        let text =
            format!("Window '{name}' has a frame definition, so cannot be referenced by another window.");
        return Err(SqlError::new(3582, text));
    }
    if !base.order.is_empty() && !resolved.order.is_empty() {
        let text =
            format!("Window '{own_name}' cannot inherit '{name}' since both contain an ORDER BY clause.");
        return Err(SqlError::new(3583, text));
    }
    resolved.partition = base.partition;
    if resolved.order.is_empty() {
        resolved.order = base.order;
    }
    Ok(resolved)
}

/// Names are used once, and every window can be resolved.
pub(crate) fn check_windows(defs: &[(String, WindowSpec)]) -> SqlResult<()> {
    for (number, (name, spec)) in defs.iter().enumerate() {
        if defs[..number].iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            return Err(SqlError::new(3591, format!("Window '{name}' is defined twice.")));
        }
        resolve(spec, defs, name, 0)?;
    }
    Ok(())
}

impl Binder<'_> {
    /// `name(args) OVER window`.
    pub(crate) fn window_call(
        &mut self,
        call: &FunctionCall,
        spec: &WindowSpec,
        scope: &Scope<'_>,
        cx: &mut ExprContext<'_>,
    ) -> SqlResult<Expr> {
        let Some(windows) = cx.windows.take() else {
            let name = call.name.to_ascii_lowercase();
            let text = format!("You cannot use the window function '{name}' in this context.'");
            return Err(SqlError::new(3593, text));
        };
        let defs = cx.window_defs;
        let resolved = resolve(spec, defs, "<unnamed window>", 0)?;
        let mut inner = ExprContext {
            aggregates: cx.aggregates.as_deref_mut(),
            ..ExprContext::plain(cx.clause, &mut *cx.applies)
        };
        let args = self.exprs(&call.args, scope, &mut inner)?;
        let duplicates = if call.distinct { Duplicates::Distinct } else { Duplicates::All };
        let function = WindowFunction::new(&call.name, duplicates, args, self.env.bind)?;
        let mut partition = Vec::new();
        for ast in resolved.partition {
            partition.push(self.expr(ast, scope, &mut inner)?);
        }
        let mut order = Vec::new();
        for item in &resolved.order {
            if matches!(item.expr, crate::ast::AstExpr::Literal(crate::ast::Literal::UInt(_))) {
                let text = format!(
                    "Window '{}': ORDER BY or PARTITION BY uses legacy position indication which is not supported, \
                     use expression.",
                    resolved.name
                );
                return Err(SqlError::new(3592, text));
            }
            order.push((self.expr(&item.expr, scope, &mut inner)?, item.descending));
        }
        let frame = match resolved.frame {
            Some(frame) => self.frame(frame, &order, &resolved.name, scope, &mut inner)?,
            None => BoundFrame {
                rows: false,
                start: Edge::Unbounded,
                end: if order.is_empty() { Edge::Unbounded } else { Edge::CurrentRow },
            },
        };
        let ty = function.ty.clone();
        let bound = WindowCall { function, partition, order, frame };
        let known = windows.iter().position(|other| *other == bound);
        let number = known.unwrap_or(windows.len());
        if known.is_none() {
            windows.push(bound);
        }
        cx.windows = Some(windows);
        Ok(Expr::Column { index: WINDOW_BASE + number, ty })
    }

    fn frame(
        &mut self,
        frame: &Frame,
        order: &[(Expr, bool)],
        name: &str,
        scope: &Scope<'_>,
        cx: &mut ExprContext<'_>,
    ) -> SqlResult<BoundFrame> {
        use FrameBound::{CurrentRow, Following, Preceding, UnboundedFollowing, UnboundedPreceding};
        if frame.start == UnboundedFollowing {
            let text = format!("Window '{name}': frame start cannot be UNBOUNDED FOLLOWING.");
            return Err(SqlError::new(3584, text));
        }
        if frame.end == UnboundedPreceding {
            let text = format!("Window '{name}': frame end cannot be UNBOUNDED PRECEDING.");
            return Err(SqlError::new(3585, text));
        }
        let backwards = matches!(
            (&frame.start, &frame.end),
            (CurrentRow | Following(..), Preceding(..)) | (Following(..), CurrentRow)
        );
        if backwards {
            let text =
                format!("Window '{name}': frame start or end is negative, NULL or of non-integral type");
            return Err(SqlError::new(3586, text));
        }
        let rows = frame.unit == FrameUnit::Rows;
        let start = self.edge(&frame.start, rows, order, name, scope, cx)?;
        let end = self.edge(&frame.end, rows, order, name, scope, cx)?;
        Ok(BoundFrame { rows, start, end })
    }

    fn edge(
        &mut self,
        bound: &FrameBound,
        rows: bool,
        order: &[(Expr, bool)],
        name: &str,
        scope: &Scope<'_>,
        cx: &mut ExprContext<'_>,
    ) -> SqlResult<Edge> {
        let (ast, unit, direction) = match bound {
            FrameBound::UnboundedPreceding | FrameBound::UnboundedFollowing => return Ok(Edge::Unbounded),
            FrameBound::CurrentRow => return Ok(Edge::CurrentRow),
            FrameBound::Preceding(ast, unit) => (ast, unit, Direction::Preceding),
            FrameBound::Following(ast, unit) => (ast, unit, Direction::Following),
        };
        let distance = self.expr(ast, scope, cx)?;
        if rows {
            let integral = matches!(distance.data_type().kind, TypeKind::BigInt | TypeKind::VarChar);
            if unit.is_some() || !integral && matches!(distance, Expr::Literal { .. }) {
                let text =
                    format!("Window '{name}': frame start or end is negative, NULL or of non-integral type");
                return Err(SqlError::new(3586, text));
            }
            return Ok(Edge::Rows(distance, direction));
        }
        let [(key, descending)] = order else {
            return Err(wrong_order(name));
        };
        let temporal = matches!(
            key.data_type().kind,
            TypeKind::Date | TypeKind::Time | TypeKind::DateTime | TypeKind::Timestamp
        );
        let backwards = (direction == Direction::Preceding) != *descending;
        let bind = self.env.bind;
        let value = match unit {
            Some(unit) if temporal => {
                let unit = IntervalUnit::parse(unit).unwrap_or(IntervalUnit::Day);
                let sign = if backwards { IntervalSign::Subtract } else { IntervalSign::Add };
                expr::add_interval(key.clone(), distance, unit, sign, bind)?
            }
            Some(_) => {
                let text = format!(
                    "Window '{name}' with RANGE frame has ORDER BY expression of numeric type, INTERVAL bound value \
                     not allowed."
                );
                return Err(SqlError::new(3589, text));
            }
            None if temporal => {
                let text = format!(
                    "Window '{name}' with RANGE frame has ORDER BY expression of datetime type. Only INTERVAL bound \
                     value allowed."
                );
                return Err(SqlError::new(3588, text));
            }
            None if crate::plan::bind_expr::is_text(key.data_type()) => return Err(wrong_order(name)),
            None => {
                let op = if backwards { BinaryOp::Sub } else { BinaryOp::Add };
                // An unsigned key may have a bound below zero.
                let key = match key.data_type().unsigned {
                    true => expr::cast(key.clone(), expr::CastTarget::Decimal(30, 0), bind)?,
                    false => key.clone(),
                };
                expr::binary(op, key, distance, bind)?
            }
        };
        let column = |index, of: &Expr| Expr::Column { index, ty: of.expr_type().clone() };
        let compare = |op| expr::binary(BinaryOp::Compare(op), column(0, key), column(1, &value), bind);
        let (at_or_after, after) = if *descending {
            (compare(CompareOp::Le)?, compare(CompareOp::Lt)?)
        } else {
            (compare(CompareOp::Ge)?, compare(CompareOp::Gt)?)
        };
        Ok(Edge::Value { bound: value, at_or_after, after })
    }
}

fn wrong_order(name: &str) -> SqlError {
    let text = format!(
        "Window '{name}' with RANGE N PRECEDING/FOLLOWING frame requires exactly one ORDER BY expression, of numeric \
         or temporal type"
    );
    SqlError::new(3587, text)
}

/// Columns added to the rows of a block: what was asked for, each once.
struct Inputs {
    width: usize,
    exprs: Vec<Expr>,
}

impl Inputs {
    fn place(&mut self, expr: &Expr) -> usize {
        if let Expr::Column { index, .. } = expr
            && *index < self.width
        {
            return *index;
        }
        let known = self.exprs.iter().position(|other| other == expr);
        if known.is_none() {
            self.exprs.push(expr.clone());
        }
        self.width + known.unwrap_or(self.exprs.len() - 1)
    }

    fn column(&mut self, expr: &Expr) -> Expr {
        Expr::Column { index: self.place(expr), ty: expr.expr_type().clone() }
    }
}

/// Replaces results of subqueries, which are parameters, by columns of the row.
fn params_to_columns(exprs: &mut [&mut Expr], results: &[usize], first: usize) {
    for expr in exprs {
        let taken = std::mem::replace(*expr, expr::null_literal());
        **expr = taken.rewrite(&mut |node| match node {
            Expr::Param { index, ty } => match results.iter().position(|slot| *slot == index) {
                Some(number) => Expr::Column { index: first + number, ty },
                None => Expr::Param { index, ty },
            },
            other => other,
        });
    }
}

/// Computes subqueries below `node`'s consumers: their results are columns from `width` on. Gives the node and
/// its new width.
pub(crate) fn apply_early(
    node: Node,
    width: usize,
    applies: Vec<Apply>,
    users: &mut [&mut Expr],
) -> (Node, usize) {
    if applies.is_empty() {
        return (node, width);
    }
    let results: Vec<usize> = applies.iter().map(|apply| apply.result).collect();
    let exprs: Vec<Expr> = applies.iter().map(|apply| apply.result_expr()).collect();
    params_to_columns(users, &results, width);
    let width_after = width + exprs.len();
    (Node::Extend { input: Box::new(node), width, applies, exprs }, width_after)
}

/// Puts the computation of window functions over `node`, whose rows are `width` wide; placeholders in `users`
/// become columns. Gives the new width too.
pub(crate) fn window_node(
    node: Node,
    width: usize,
    calls: Vec<WindowCall>,
    users: &mut [&mut Expr],
) -> (Node, usize) {
    let mut inputs = Inputs { width, exprs: Vec::new() };
    let mut groups: Vec<WindowGroup> = Vec::new();
    for (number, call) in calls.into_iter().enumerate() {
        let partition: Vec<SortKey> = call
            .partition
            .iter()
            .map(|e| SortKey { column: inputs.place(e), ty: SortType::of(e.data_type()), descending: false })
            .collect();
        let order: Vec<SortKey> = call
            .order
            .iter()
            .map(|(e, descending)| SortKey {
                column: inputs.place(e),
                ty: SortType::of(e.data_type()),
                descending: *descending,
            })
            .collect();
        let mut function = call.function;
        for expr in function.exprs_mut() {
            if !expr.columns().is_empty() || !expr.is_constant() {
                *expr = inputs.column(expr);
            }
        }
        let frame = FrameNode {
            rows: call.frame.rows,
            start: bound_node(call.frame.start, &mut inputs),
            end: bound_node(call.frame.end, &mut inputs),
        };
        let call = WindowCallNode { function, frame, output: number };
        let same = |keys: &[SortKey], others: &[SortKey]| {
            keys.len() == others.len()
                && keys
                    .iter()
                    .zip(others)
                    .all(|(a, b)| a.column == b.column && a.descending == b.descending && a.ty == b.ty)
        };
        match groups.iter_mut().find(|g| same(&g.partition, &partition) && same(&g.order, &order)) {
            Some(group) => group.calls.push(call),
            None => groups.push(WindowGroup { partition, order, calls: vec![call] }),
        }
    }
    let first = width + inputs.exprs.len();
    for expr in users {
        expr.map_columns(&mut |index| {
            if index >= WINDOW_BASE { first + (index - WINDOW_BASE) } else { index }
        });
    }
    let results = groups.iter().map(|group| group.calls.len()).sum::<usize>();
    let input = Node::Extend { input: Box::new(node), width, applies: Vec::new(), exprs: inputs.exprs };
    (Node::Window(Box::new(WindowNode { input, results, groups })), first + results)
}

fn bound_node(edge: Edge, inputs: &mut Inputs) -> BoundNode {
    match edge {
        Edge::Unbounded => BoundNode::Unbounded,
        Edge::CurrentRow => BoundNode::CurrentRow,
        Edge::Rows(distance, direction) => {
            BoundNode::Rows { distance, preceding: direction == Direction::Preceding }
        }
        Edge::Value { bound, at_or_after, after } => {
            BoundNode::Value { column: inputs.place(&bound), at_or_after, after }
        }
    }
}
