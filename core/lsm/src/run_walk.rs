//! A walk over one sorted run: tables that do not overlap, one after the other.
//!
//! The walk knows from the manifest where a table begins and ends, and from the index where a block does, so
//! it can name a bound without a load. It loads the table's index, or a block, only when it is advanced.

use std::sync::Arc;

use aquifer_format::sst::IndexBlock;
use aquifer_types::Lsn;
use bytes::Bytes;

use crate::block::BlockWalk;
use crate::read_state::HeldBlock;
use crate::source::{BlockHandle, BlockSource, Need, Step};
use crate::table::Table;
use crate::walk::{Direction, Head, KeyRange, Versions};

/// Most blocks that a scan asks to be read ahead.
const READ_AHEAD_BLOCKS_MAX: usize = 64;

/// See the module.
pub(crate) struct RunWalk {
    tables: Arc<Vec<Arc<Table>>>,
    range: KeyRange,
    direction: Direction,
    versions: Versions,
    /// Index in `tables`; past the end when the walk is at its end.
    table: usize,
    /// The block that `walk` is in.
    block: usize,
    walk: Option<BlockWalk>,
    at: At,
    state: State,
    /// The key of the item, or the bound.
    key: Vec<u8>,
    item: Item,
    /// Forward: `key` has been shown, so its older versions are not.
    is_shown: bool,
    /// Backward: `key` and `item` are of a key whose newer versions have not all been looked at.
    is_open: bool,
    /// Blocks that were entered so far; what is read ahead grows with it.
    entered: usize,
}

/// What the next advance begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Finding the block of the table where the range begins.
    Seek,
    /// Entering this block at its near end.
    Enter(usize),
    /// The entry at `walk`, which has not been looked at.
    Entry,
    /// The entry beyond the one at `walk`.
    Beyond,
    /// What is beyond the block of `walk`.
    Leave,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Item,
    Bound,
    End,
}

/// Whether a step of an advance has come to a place where the walk may rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Here,
    GoOn,
}

/// LSN and value of an entry.
#[derive(Debug, Default)]
struct Item {
    lsn: Lsn,
    value: Option<Bytes>,
}

impl RunWalk {
    /// A walk at the bound where its range begins. Backward only with [`Versions::AsOf`].
    pub(crate) fn new(
        tables: Arc<Vec<Arc<Table>>>,
        range: KeyRange,
        direction: Direction,
        versions: Versions,
    ) -> Self {
        let mut walk = Self {
            tables,
            range,
            direction,
            versions,
            table: 0,
            block: 0,
            walk: None,
            at: At::Seek,
            state: State::End,
            key: Vec::new(),
            item: Item::default(),
            is_shown: false,
            is_open: false,
            entered: 0,
        };
        walk.table = walk.first_table();
        if !walk.range.is_empty() {
            walk.rest_before_table();
        }
        walk
    }

    pub(crate) fn head(&self) -> Head<'_> {
        match self.state {
            State::Item => Head::Item(&self.key, self.item.lsn),
            State::Bound => Head::Bound(&self.key),
            State::End => Head::End,
        }
    }

    /// The value of the item; `None` for a tombstone. Taken once.
    pub(crate) fn take_value(&mut self) -> Option<Bytes> {
        self.item.value.take()
    }

    /// See [`crate::walk::Walk::advance`].
    pub(crate) fn advance<S: BlockSource + ?Sized>(
        &mut self,
        blocks: &S,
        held: &mut Option<HeldBlock>,
    ) -> Step<()> {
        if self.state == State::End {
            return Step::Done(());
        }
        // The item is left; until the next one is found, its key is a bound.
        self.state = State::Bound;
        loop {
            let step = match self.at {
                At::Seek => self.seek(blocks, held),
                At::Enter(block) => self.enter(block, blocks, held),
                At::Entry | At::Beyond => Step::Done(match self.direction {
                    Direction::Forward => self.scan_forward(),
                    Direction::Backward => self.scan_backward(),
                }),
                At::Leave => Step::Done(self.leave_block()),
            };
            match step {
                Step::Done(Rest::Here) => return Step::Done(()),
                Step::Done(Rest::GoOn) => {}
                Step::Need(need) => return Step::Need(need),
            }
        }
    }

    /// The blocks that a scan will probably want after the one that it enters next.
    pub(crate) fn read_ahead(&self) -> Vec<BlockHandle> {
        let index = self.tables.get(self.table).and_then(|table| table.index());
        let (Some(index), At::Enter(block)) = (index, self.at) else { return Vec::new() };
        let count = self.entered.min(READ_AHEAD_BLOCKS_MAX);
        match self.direction {
            Direction::Forward => {
                (block + 1..index.len()).take(count).map(|next| index.handle(next)).collect()
            }
            Direction::Backward => (0..block).rev().take(count).map(|next| index.handle(next)).collect(),
        }
    }

    /// What the next advance begins with when the walk is at a bound: a table's index, or a block, which may be in a
    /// cache.
    pub(crate) fn wants(&self) -> Option<Need> {
        let table = self.tables.get(self.table).filter(|_| self.state == State::Bound)?;
        let Some(index) = table.index() else { return Some(Need::Meta(Arc::clone(table))) };
        let block = match (self.at, self.direction) {
            (At::Enter(block), _) => block,
            (At::Seek, direction) => match self.seek_position(table) {
                Some((key, lsn)) => index.lower_bound(&key, lsn).min(index.len() - 1),
                None if direction == Direction::Forward => 0,
                None => index.len() - 1,
            },
            _ => return None,
        };
        Some(Need::Block(Arc::clone(table), index.handle(block)))
    }

    /// The first table, in the walk's direction, that the range touches; past the end if there is none.
    fn first_table(&self) -> usize {
        match self.direction {
            Direction::Forward => {
                self.tables.partition_point(|table| table.info().largest < self.range.start)
            }
            Direction::Backward => {
                let end = self.range.end.as_ref();
                let begins_inside = |table: &Arc<Table>| end.is_none_or(|end| table.info().smallest < *end);
                self.tables.partition_point(begins_inside).wrapping_sub(1)
            }
        }
    }

    fn next_table(&self) -> usize {
        match self.direction {
            Direction::Forward => self.table + 1,
            // Past the end when it was 0.
            Direction::Backward => self.table.wrapping_sub(1),
        }
    }

    /// Rests at the bound of the current table, or of the next one that has something to see.
    fn rest_before_table(&mut self) -> Rest {
        (self.is_shown, self.is_open) = (false, false);
        while let Some(table) = self.tables.get(self.table) {
            let info = table.info();
            if self.seek_lsn(table).is_some() {
                let bound = match self.direction {
                    Direction::Forward => (&info.smallest).max(&self.range.start),
                    Direction::Backward => match &self.range.end {
                        Some(end) => (&info.largest).min(end),
                        None => &info.largest,
                    },
                };
                let bound = bound.clone();
                return self.rest_at_bound(&bound, At::Seek);
            }
            self.table = self.next_table();
        }
        self.state = State::End;
        Rest::Here
    }

    fn rest_at_bound(&mut self, bound: &[u8], at: At) -> Rest {
        let is_outside = match self.direction {
            Direction::Forward => self.range.ends_before(bound),
            Direction::Backward => *bound < *self.range.start,
        };
        self.key.clear();
        self.key.extend_from_slice(bound);
        (self.state, self.at) = (if is_outside { State::End } else { State::Bound }, at);
        Rest::Here
    }

    /// The LSN to search a table's blocks with; `None` when all of it is too new.
    fn seek_lsn(&self, table: &Table) -> Option<Lsn> {
        match self.versions {
            Versions::All => Some(Lsn::MAX),
            Versions::AsOf(lsn) => table.stored_lsn(lsn),
        }
    }

    fn seek<S: BlockSource + ?Sized>(&mut self, blocks: &S, held: &mut Option<HeldBlock>) -> Step<Rest> {
        let Some(table) = self.tables.get(self.table).map(Arc::clone) else { return self.end() };
        let Some(index) = table.index() else { return Step::Need(Need::Meta(Arc::clone(&table))) };
        let Some((key, lsn)) = self.seek_position(&table) else {
            self.at = At::Enter(if self.direction == Direction::Forward { 0 } else { index.len() - 1 });
            return Step::Done(Rest::GoOn);
        };
        let block = index.lower_bound(&key, lsn).min(index.len() - 1);
        let mut walk = match self.load(&table, index, block, blocks, held) {
            Step::Done(walk) => walk,
            Step::Need(need) => return Step::Need(need),
        };
        let is_inside = match self.direction {
            Direction::Forward => walk.seek(&key, lsn),
            Direction::Backward => walk.seek_before(&key, lsn),
        };
        (self.walk, self.block) = (Some(walk), block);
        self.at = if is_inside { At::Entry } else { At::Leave };
        Step::Done(Rest::GoOn)
    }

    /// Where the range begins inside the table; `None` when at the table's near end.
    fn seek_position(&self, table: &Table) -> Option<(Bytes, Lsn)> {
        match self.direction {
            Direction::Forward => {
                let inside = self.range.start > table.info().smallest;
                inside.then(|| (self.range.start.clone(), self.seek_lsn(table).unwrap_or(Lsn::MAX)))
            }
            Direction::Backward => {
                let end = self.range.end.as_ref().filter(|end| **end <= table.info().largest)?;
                Some((end.clone(), Lsn::MAX))
            }
        }
    }

    fn enter<S: BlockSource + ?Sized>(
        &mut self,
        block: usize,
        blocks: &S,
        held: &mut Option<HeldBlock>,
    ) -> Step<Rest> {
        let Some(table) = self.tables.get(self.table).map(Arc::clone) else { return self.end() };
        let Some(index) = table.index() else { return Step::Need(Need::Meta(Arc::clone(&table))) };
        let mut walk = match self.load(&table, index, block, blocks, held) {
            Step::Done(walk) => walk,
            Step::Need(need) => return Step::Need(need),
        };
        match self.direction {
            Direction::Forward => walk.seek_first(),
            Direction::Backward => walk.seek_last(),
        }
        (self.walk, self.block, self.at) = (Some(walk), block, At::Entry);
        self.entered += 1;
        Step::Done(Rest::GoOn)
    }

    fn load<S: BlockSource + ?Sized>(
        &mut self,
        table: &Arc<Table>,
        index: &IndexBlock,
        block: usize,
        blocks: &S,
        held: &mut Option<HeldBlock>,
    ) -> Step<BlockWalk> {
        let handle = index.handle(block);
        let found = HeldBlock::take(held, table, handle).or_else(|| blocks.try_block(table, handle));
        let Some(block) = found else { return Step::Need(Need::Block(Arc::clone(table), handle)) };
        Step::Done(match self.walk.take() {
            None => BlockWalk::new(block),
            Some(mut walk) => {
                walk.reset(block);
                walk
            }
        })
    }

    /// Goes on from `walk` to an entry that is shown, or to the end of the block.
    fn scan_forward(&mut self) -> Rest {
        let (Some(walk), Some(table)) = (self.walk.as_mut(), self.tables.get(self.table)) else {
            self.state = State::End;
            return Rest::Here;
        };
        let mut is_inside = self.at == At::Entry || walk.next();
        while is_inside {
            let lsn = table.entry_lsn(walk.lsn());
            let is_visible = match self.versions {
                Versions::All => true,
                Versions::AsOf(view) => lsn <= view && !(self.is_shown && self.key == walk.key()),
            };
            if is_visible {
                self.key.clear();
                self.key.extend_from_slice(walk.key());
                self.item = Item { lsn, value: walk.value() };
                let is_outside = self.range.ends_before(&self.key);
                self.state = if is_outside { State::End } else { State::Item };
                (self.at, self.is_shown) = (At::Beyond, true);
                return Rest::Here;
            }
            is_inside = walk.next();
        }
        self.at = At::Leave;
        Rest::GoOn
    }

    /// As [`Self::scan_forward`]. Versions come oldest first here, so what is found of a key is shown only
    /// once the walk has come to the next key.
    fn scan_backward(&mut self) -> Rest {
        let (Some(walk), Some(table), Versions::AsOf(view)) =
            (self.walk.as_mut(), self.tables.get(self.table), self.versions)
        else {
            self.state = State::End;
            return Rest::Here;
        };
        loop {
            if self.is_open && self.key != walk.key() {
                (self.state, self.at, self.is_open) = (State::Item, At::Entry, false);
                return Rest::Here;
            }
            if *walk.key() < *self.range.start {
                self.state = State::End;
                return Rest::Here;
            }
            let lsn = table.entry_lsn(walk.lsn());
            if lsn <= view {
                self.key.clear();
                self.key.extend_from_slice(walk.key());
                self.item = Item { lsn, value: walk.value() };
                self.is_open = true;
            }
            if !walk.previous() {
                self.at = At::Leave;
                return Rest::GoOn;
            }
        }
    }

    /// From the far end of the block to the bound beyond it, or beyond the table.
    fn leave_block(&mut self) -> Rest {
        let Some(table) = self.tables.get(self.table).map(Arc::clone) else {
            self.state = State::End;
            return Rest::Here;
        };
        let Some(index) = table.index() else {
            // Reached only through the index, which stays once it is loaded.
            self.state = State::End;
            return Rest::Here;
        };
        match self.direction {
            Direction::Forward => self.leave_block_forward(index),
            Direction::Backward => self.leave_block_backward(index),
        }
    }

    fn leave_block_forward(&mut self, index: &IndexBlock) -> Rest {
        if self.block + 1 == index.len() {
            self.table = self.next_table();
            return self.rest_before_table();
        }
        let (separator, _) = index.separator(self.block);
        // Where versions of the shown key go on in the next block, the separator is that key.
        self.is_shown &= self.key == separator;
        self.rest_at_bound(separator, At::Enter(self.block + 1))
    }

    fn leave_block_backward(&mut self, index: &IndexBlock) -> Rest {
        let before = self.block.checked_sub(1);
        let separator = before.map(|block| index.separator(block).0);
        if self.is_open {
            if let Some(block) = before.filter(|_| separator == Some(&self.key)) {
                // Newer versions of the open key are in the block before.
                self.at = At::Enter(block);
                return Rest::GoOn;
            }
            (self.state, self.at, self.is_open) = (State::Item, At::Leave, false);
            return Rest::Here;
        }
        match before.zip(separator) {
            Some((block, separator)) => self.rest_at_bound(separator, At::Enter(block)),
            None => {
                self.table = self.next_table();
                self.rest_before_table()
            }
        }
    }

    fn end(&mut self) -> Step<Rest> {
        self.state = State::End;
        Step::Done(Rest::Here)
    }
}

impl std::fmt::Debug for RunWalk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RunWalk({:?}, {:?}, table {}, {:?})", self.range, self.direction, self.table, self.at)
    }
}
