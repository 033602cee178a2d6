//! Objects in memory as a block source, and a runtime for futures that never wait.
#![allow(dead_code, clippy::unwrap_used)]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use aquifer_lsm::{
    Block, BlockHandle, BlockSource, LoadFuture, Loaded, Need, ReadError, Rewrite, RewriteStep, Step, Table,
    TableInfo,
};
use aquifer_types::SstId;
use bytes::Bytes;

/// Whether loaded blocks are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// Everything stays.
    Everything,
    /// Nothing does: each block is needed again every time.
    Nothing,
}

pub struct Objects {
    objects: RefCell<HashMap<SstId, Bytes>>,
    blocks: RefCell<HashMap<(SstId, BlockHandle), Block>>,
    pub caching: Cell<Caching>,
    pub loads: Cell<usize>,
    pub read_ahead: Cell<usize>,
}

impl Objects {
    pub fn new(caching: Caching) -> Self {
        Self {
            objects: RefCell::default(),
            blocks: RefCell::default(),
            caching: Cell::new(caching),
            loads: Cell::new(0),
            read_ahead: Cell::new(0),
        }
    }

    pub fn put(&self, id: SstId, object: Bytes) {
        assert!(self.objects.borrow_mut().insert(id, object).is_none(), "an object is written once");
    }

    pub fn object(&self, id: SstId) -> Bytes {
        self.objects.borrow()[&id].clone()
    }

    fn answer(&self, need: Need) -> Result<Loaded, ReadError> {
        self.loads.set(self.loads.get() + 1);
        let read = |table: &Table, range: std::ops::Range<u64>| {
            let object = self.object(table.id());
            object.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap())
        };
        match need {
            Need::Meta(table) => {
                table.install_meta(read(&table, table.meta_range()))?;
                Ok(Loaded::Meta)
            }
            Need::Block(table, handle) => {
                let block = table.decode_block(handle, read(&table, handle.range()))?;
                if self.caching.get() == Caching::Everything {
                    self.blocks.borrow_mut().insert((table.id(), handle), block.clone());
                }
                Ok(Loaded::Block(block))
            }
        }
    }
}

impl BlockSource for Objects {
    fn try_block(&self, table: &Arc<Table>, handle: BlockHandle) -> Option<Block> {
        self.blocks.borrow().get(&(table.id(), handle)).cloned()
    }

    fn load<'a>(&'a self, need: Need) -> LoadFuture<'a> {
        Box::pin(async move { self.answer(need) })
    }

    fn read_ahead(&self, table: &Arc<Table>, blocks: &[BlockHandle]) {
        assert!(blocks.iter().all(|block| block.range().end <= table.info().object_bytes));
        self.read_ahead.set(self.read_ahead.get() + blocks.len());
    }
}

/// Runs a rewrite to its end; objects go to `objects`.
pub fn run_rewrite(mut rewrite: Rewrite, objects: &Objects) -> Vec<TableInfo> {
    let mut infos = Vec::new();
    loop {
        match rewrite.step(objects, 50).unwrap() {
            Step::Need(need) => {
                rewrite.announce_read_ahead(&need, objects);
                let loaded = objects.answer(need.clone()).unwrap();
                rewrite.supply(need, loaded);
            }
            Step::Done(RewriteStep::Paused) => {}
            Step::Done(RewriteStep::Built(built)) => {
                objects.put(built.info.id, built.object);
                infos.push(built.info);
            }
            Step::Done(RewriteStep::Finished) => return infos,
        }
    }
}

/// Polls a future that is always ready.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits"),
    }
}
