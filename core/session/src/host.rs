//! What the sessions of one executor share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use aquifer_sql::Normalised;
use aquifer_sql::exec::SpillPlace;
use aquifer_sql::expr::{Environment, EvalContext};
use aquifer_sql::temporary_space::Offload;

use crate::node::{LocalFuture, Node};
use crate::registry::{CommandCounter, ExecutorCounters, SessionRegistry};
use crate::statement::StatementCache;

/// Statements whose plans an executor keeps.
const STATEMENTS_MAX: usize = 2048;

/// The node, the counters and the plan cache of one executor.
pub struct SessionHost {
    pub(crate) node: Rc<dyn Node>,
    pub(crate) registry: Arc<SessionRegistry>,
    pub(crate) counters: Arc<ExecutorCounters>,
    /// What the evaluator's state is cloned from for each statement.
    pub(crate) evaluator: EvalContext,
    pub(crate) statements: RefCell<StatementCache>,
    /// Where statements spill that stay on this executor.
    pub(crate) spill: Option<Rc<SpillPlace>>,
    /// Buffers of the normaliser, lent to one statement at a time.
    scratch: Cell<Option<Box<Normalised>>>,
}

/// Time and randomness of the node, for expressions.
struct NodeEnvironment(Rc<dyn Node>);

impl Environment for NodeEnvironment {
    fn now_micros(&self) -> i64 {
        self.0.now_micros()
    }

    fn random(&self) -> u64 {
        self.0.random()
    }
}

/// Blocking I/O, which an executor leaves to others.
struct NodeOffload(Rc<dyn Node>);

impl Offload for NodeOffload {
    fn offload(&self, work: Box<dyn FnOnce() + Send>) -> LocalFuture<'_, ()> {
        self.0.offload(work)
    }
}

impl SessionHost {
    /// The host of one executor; make one per executor thread.
    #[must_use]
    pub fn new(node: Rc<dyn Node>, registry: Arc<SessionRegistry>) -> Rc<Self> {
        let counters = registry.add_executor();
        for problem in registry.apply_persisted(&node.catalog()) {
            node.log_event(&format!("WARN a persisted variable was not applied: {problem}"));
        }
        let evaluator = EvalContext::new(Rc::new(NodeEnvironment(Rc::clone(&node))));
        let statements = RefCell::new(StatementCache::new(STATEMENTS_MAX));
        let spill = node.temporary_space().map(|space| {
            let offload: Rc<dyn Offload> = Rc::new(NodeOffload(Rc::clone(&node)));
            Rc::new(SpillPlace { space, offload: Some(offload) })
        });
        Rc::new(Self { node, registry, counters, evaluator, statements, spill, scratch: Cell::new(None) })
    }

    pub(crate) fn count(&self, counter: CommandCounter) {
        self.counters.add(counter, 1);
    }

    pub(crate) fn take_scratch(&self) -> Box<Normalised> {
        self.scratch.take().unwrap_or_default()
    }

    pub(crate) fn give_scratch(&self, mut scratch: Box<Normalised>) {
        /// Larger buffers are freed.
        const TEXT_BYTES_KEPT: usize = 64 * 1024;
        scratch.params.clear();
        scratch.text.clear();
        if scratch.text.capacity() <= TEXT_BYTES_KEPT && scratch.params.capacity() <= 4096 {
            self.scratch.set(Some(scratch));
        }
    }
}
