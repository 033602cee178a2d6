//! WITH RECURSIVE at work: the rows of each iteration are given as soon as they are there, so that a LIMIT above
//! ends the recursion.

use std::collections::HashMap;
use std::rc::Rc;

use aquifer_types::{SqlError, SqlResult};

use crate::exec::ExecContext;
use crate::exec::operator::{Operator, Rows};
use crate::exec::row_set::RowSet;
use crate::exec::spill::Stream;
use crate::plan::node::RecursiveNode;

/// Rows that are kept: of the iteration before, by the number of the work table; of common tables.
#[derive(Default)]
pub(crate) struct WorkTables {
    memory: HashMap<usize, Rc<Rows>>,
    files: Vec<(usize, Stream)>,
}

impl WorkTables {
    pub(crate) fn get(&self, id: usize) -> Option<Rc<Rows>> {
        self.memory.get(&id).cloned()
    }

    /// Rows of a common table that are in a file.
    pub(crate) fn file(&self, id: usize) -> Option<Stream> {
        self.files.iter().find(|(found, _)| *found == id).map(|(_, rows)| rows.clone())
    }

    /// Keeps rows that are in a file until the statement ends.
    pub(crate) fn keep_file(&mut self, id: usize, rows: Stream) {
        self.files.push((id, rows));
    }

    /// Keeps rows until the statement ends or others take their place.
    pub(crate) fn keep(&mut self, id: usize, rows: Rows) -> Rc<Rows> {
        let rows = Rc::new(rows);
        self.memory.insert(id, Rc::clone(&rows));
        rows
    }
}

/// The operator.
pub(crate) struct RecursiveOp<'a> {
    node: &'a RecursiveNode,
    seen: Option<RowSet<'a>>,
    /// Rows of the last iteration; `None` before the seed.
    last: Option<Rc<Rows>>,
    iterations: u64,
}

impl<'a> RecursiveOp<'a> {
    pub(crate) fn new(node: &'a RecursiveNode) -> Self {
        let seen = node.keys.as_ref().map(|keys| RowSet::new(keys));
        Self { node, seen, last: None, iterations: 0 }
    }

    pub(crate) async fn next(&mut self, ctx: &mut ExecContext<'a>) -> SqlResult<Option<Rows>> {
        let node = self.node;
        let mut fresh = Rows::new(node.width);
        match self.last.take() {
            None => self.read(Operator::open(&node.seed, node.row_width, None), &mut fresh, ctx).await?,
            Some(last) => {
                if last.count == 0 {
                    self.last = Some(last);
                    return Ok(None);
                }
                self.iterations += 1;
                if self.iterations > node.depth_max {
                    let text = format!(
                        "Recursive query aborted after {} iterations. Try increasing @@cte_max_recursion_depth to a \
                         larger value.",
                        self.iterations
                    );
                    return Err(SqlError::new(3636, text));
                }
                ctx.work.memory.insert(node.id, last);
                for part in &node.parts {
                    self.read(Operator::open(part, node.row_width, None), &mut fresh, ctx).await?;
                }
            }
        }
        let fresh = Rc::new(fresh);
        self.last = Some(Rc::clone(&fresh));
        Ok((fresh.count > 0).then(|| (*fresh).clone()))
    }

    /// Adds all rows of an operator that are new.
    async fn read(
        &mut self,
        mut operator: Operator<'a>,
        fresh: &mut Rows,
        ctx: &mut ExecContext<'a>,
    ) -> SqlResult<()> {
        let before = ctx.memory.used();
        let mut own = 0;
        while let Some(rows) = operator.next(ctx).await? {
            ctx.txn.check_interrupted()?;
            for number in 0..rows.count {
                let row = &rows.row(number)[..self.node.width];
                if self.seen.as_mut().is_none_or(|seen| seen.insert(row).1) {
                    let used = ctx.memory.used();
                    ctx.memory.charge_values(row)?;
                    own += ctx.memory.used() - used;
                    fresh.push(row);
                }
            }
        }
        // What the part kept while it ran goes with it.
        ctx.memory.release(ctx.memory.used().saturating_sub(before + own));
        Ok(())
    }
}
