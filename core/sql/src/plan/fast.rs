//! Queries whose stored rows go to the client as they are: one table, no condition left over, plain columns.

use std::sync::Arc;

use crate::expr::Expr;
use crate::plan::node::{LimitNode, Node, Scan};
use crate::result::StoredLayout;

/// What such a query needs besides its scan.
pub(crate) struct FastPlan {
    /// Layouts that give the result's columns.
    pub layouts: Arc<[StoredLayout]>,
    pub limit: Option<LimitNode>,
}

/// Recognises such a query.
pub(crate) fn plan(node: &Node) -> Option<FastPlan> {
    let (node, limit) = match node {
        Node::Limit { input, limit } => (&**input, Some(limit.clone())),
        other => (other, None),
    };
    let (scan, exprs) = parts(node)?;
    if !scan.filter.is_empty() || scan.lock.is_some() || scan.covering {
        return None;
    }
    let positions: Vec<usize> = exprs
        .iter()
        .map(|expr| match expr {
            Expr::Column { index, .. } => {
                let place = index.checked_sub(scan.offset)?;
                scan.needed.iter().find(|needed| needed.place == place).map(|needed| needed.column)
            }
            _ => None,
        })
        .collect::<Option<_>>()?;
    let layouts = scan
        .table
        .layouts
        .iter()
        .map(|stored| StoredLayout {
            version: stored.version,
            layout: Arc::clone(&stored.layout),
            columns: positions.iter().map(|position| stored.columns[*position].clone()).collect(),
        })
        .collect();
    Some(FastPlan { layouts, limit })
}

/// The scan and the projection of a plan that has nothing else.
pub(crate) fn parts(node: &Node) -> Option<(&Scan, &[Expr])> {
    let Node::Project { input, applies, exprs } = node else { return None };
    match &**input {
        Node::Scan(scan) if applies.is_empty() => Some((scan, exprs)),
        _ => None,
    }
}

/// The scan below a plan that [`plan`] recognised.
pub(crate) fn scan_of(node: &Node) -> Option<&Scan> {
    match node {
        Node::Limit { input, .. } => parts(input).map(|(scan, _)| scan),
        other => parts(other).map(|(scan, _)| scan),
    }
}
