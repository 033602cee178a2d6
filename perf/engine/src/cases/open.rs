//! From a store to the first row: what waits for what, and whether the size of the store matters.
//!
//! The stores are simulated, and time is that of the store's own clock: only requests count. The small store has
//! 10 MB in one table. The large one has the manifest of 10 GB: as many tables, with the same numbers and keys
//! in their entries. Those in which the row is looked for (one a run) are as large as tables are; of the others,
//! which nobody reads, only the entries exist.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aquifer_format::sst::Compression;
use aquifer_format::{
    DeltaFlags, EpochRecord, GroupBuilder, GroupView, Link, LinkBuilder, ManifestEdit, SstMeta, SstRef,
    encode_delta, link_key, sst_key,
};
use aquifer_lsm::{TableBuilder, TableOptions};
use aquifer_objstore::sim::LogNormal;
use aquifer_objstore::{Operation, Retry, SimOptions, SimProfile, SimStore, SimTime, Store, block_on};
use aquifer_shard::chain::ChainState;
use aquifer_shard::event;
use aquifer_shard::reads::Fill;
use aquifer_types::{BranchName, Epoch, Lsn, SstId};
use aquifer_writer::publisher::write_checkpoint;
use bytes::Bytes;

use crate::args::Args;
use crate::cpu::float;
use crate::data::{ROW_BYTES, Random, fill_row, row_key};
use crate::report::{Case, Goal};
use crate::tree::{self, Outcome, Sizes, text};

const SIZES: Sizes = Sizes { rows: 1 << 20, blocks: 64 << 20, disk: 0, memtable: 64 << 20 };

/// Bytes of a full table and rows in it, which LZ4 makes two thirds of what they are.
const TABLE_BYTES: u64 = 32 << 20;
const TABLE_ROWS: u64 = TABLE_BYTES / (ROW_BYTES as u64) * 3 / 2;
/// Rows of a store of 10 MB.
const SMALL_ROWS: u64 = 45_000;
/// Tables in each level of a store of 10 GB: two runs of level 0, then 256 MiB, ten times that, and the rest.
const LARGE_LEVELS: [u64; 4] = [2, 8, 80, 260];
/// How long the clock waits for this thread to send what it wants to be under way together.
const PATIENCE: Duration = Duration::from_millis(2);
/// Openings of each store for each round of the command line: times are drawn from a wide distribution.
const OPENINGS: usize = 40;
/// What every request takes where rounds are counted.
const ROUND: Duration = Duration::from_millis(10);

/// Opens a small and a large store again and again, and reads a row.
pub fn open(args: &Args) -> Outcome<Case> {
    let mut case = Case::new(
        "open",
        "Head, checkpoint, chain to its end, then one row, from a store that was closed cleanly; a store of 10 MB, \
         and one with the manifest of 10 GB. Simulated S3 Standard; time is that of the store's clock.",
    );
    case.data = Some("rows of 400 bytes and 12 bytes of key, as many as the notes say");
    let mut times = Vec::new();
    for (name, levels) in [("10 MB", &[0, 1][..]), ("10 GB", &LARGE_LEVELS[..])] {
        let (rows, rounds) = (if levels.len() == 2 { SMALL_ROWS } else { TABLE_ROWS }, steady());
        let counted = Stored::new(&args.dir, rounds, levels, rows)?;
        let once = counted.first_row()?;
        case.add(
            format!("rounds to the first row, {name}"),
            "",
            Goal::AtMost(4.0),
            vec![once.elapsed.as_secs_f64() / ROUND.as_secs_f64()],
        );
        case.add(format!("GET requests, {name}"), "", Goal::None, vec![float(once.gets)]);
        let stored = Stored::new(&args.dir, SimProfile::S3_STANDARD, levels, rows)?;
        case.notes.push(format!(
            "{name}: {} tables, {} MiB by the manifest.",
            stored.tables,
            stored.bytes >> 20
        ));
        let opened: Outcome<Vec<f64>> = (0..args.rounds * OPENINGS)
            .map(|_| stored.first_row().map(|opened| opened.elapsed.as_secs_f64() * 1e3))
            .collect();
        case.add(format!("time to the first row, {name}"), "ms", Goal::None, opened?);
        times.push(case.figures[case.figures.len() - 1].median());
    }
    case.add("median with 10 GB against 10 MB", "", Goal::AtMost(1.2), vec![times[1] / times[0]]);
    Ok(case)
}

/// A store in which every request takes as long as every other, so that its clock counts rounds.
fn steady() -> SimProfile {
    let always = LogNormal { median_ms: ROUND.as_secs_f64() * 1e3, sigma: 0.0 };
    SimProfile {
        put: always,
        get: always,
        list: always,
        slow_factor: 1.0,
        bytes_per_second: f64::INFINITY,
        ..SimProfile::S3_STANDARD
    }
}

struct Stored<'a> {
    dir: &'a Path,
    sim: SimStore,
    store: Store,
    tables: usize,
    bytes: u64,
    /// The row that is read, which only the table of the deepest level has.
    row: u64,
}

struct Opened {
    elapsed: Duration,
    gets: u64,
}

impl<'a> Stored<'a> {
    /// A store whose levels have so many tables each; a run of level 0 is one table.
    fn new(dir: &'a Path, profile: SimProfile, levels: &[u64], rows: u64) -> Outcome<Self> {
        let time = SimTime::VirtualAfter(PATIENCE);
        let sim = SimStore::new(SimOptions { profile, time, ..SimOptions::new(1) });
        let store = Store::with_backend(Arc::new(sim.clone()), Retry::default()).map_err(text)?;
        let mut added = Vec::new();
        for (level, count) in (0..).zip(levels) {
            for number in 0..*count {
                let id = SstId(added.len() as u128 + 1);
                let is_read = level == 0 || number == 0;
                let meta = if is_read {
                    full_table(&store, id, level, rows)?
                } else {
                    neighbour(&added, id, level, number, rows)?
                };
                added.push(SstMeta { level, run: if level == 0 { number + 1 } else { 0 }, ..meta });
            }
        }
        let deepest = levels.len() as u64 - 1;
        let (tables, bytes) = (added.len(), added.iter().map(|table| table.object_bytes).sum());
        publish(&store, added)?;
        Ok(Self { dir, sim, store, tables, bytes, row: 4 * 4_999 + deepest })
    }

    /// From nothing to one row, which is in the deepest level.
    fn first_row(&self) -> Outcome<Opened> {
        let gets = || self.store.meter().snapshot().of(Operation::Get).requests;
        let (began, before) = (self.sim.now(), gets());
        let engine = tree::open_engine(self.dir, SIZES, self.store.clone())?;
        if tree::read(&engine, &row_key(self.row), Fill::Nothing)?.is_none() {
            return Err("the first row is missing".to_owned());
        }
        Ok(Opened { elapsed: self.sim.now() - began, gets: gets() - before })
    }
}

/// The first table of a level, with every fourth row: those of four levels cover the same keys and share none.
fn full_table(store: &Store, id: SstId, level: u32, rows: u64) -> Outcome<SstMeta> {
    let mut builder = TableBuilder::new(TableOptions::new(id, Compression::Lz4, event::wall_micros()));
    let (mut random, mut row) = (Random::new(u64::from(level) + 5), Vec::new());
    for number in 0..rows {
        fill_row(&mut random, &mut row);
        builder.add(&row_key(number * 4 + u64::from(level)), Lsn(1), Some(&row)).map_err(text)?;
    }
    let built = builder.finish().map_err(text)?;
    block_on(store.put(&sst_key("", id), built.object)).map_err(text)?;
    Ok(SstMeta::from(&built.info))
}

/// The entry of a table that follows the others of its level, and that nobody reads.
fn neighbour(added: &[SstMeta], id: SstId, level: u32, number: u64, rows: u64) -> Outcome<SstMeta> {
    let first = added.iter().find(|table| table.level == level).ok_or("a level begins with a full table")?;
    let key = |n: u64| Bytes::copy_from_slice(&row_key(n * 4 + u64::from(level)));
    let reference = SstRef::new(id, level);
    Ok(SstMeta {
        id_high: reference.id_high,
        id_low: reference.id_low,
        smallest_key: key(number * rows),
        largest_key: key(number * rows + rows - 1),
        ..first.clone()
    })
}

/// One link with all tables, and its checkpoint: a chain that was closed cleanly.
fn publish(store: &Store, added: Vec<SstMeta>) -> Outcome<()> {
    let mut state = ChainState::empty(&BranchName::main());
    state.next.epoch = Epoch(1);
    let mut builder = LinkBuilder::new(state.next.clone());
    builder.push_epoch(&EpochRecord { epoch: Epoch(1), writer: 1, address: String::new() });
    let mut group = GroupBuilder::new(Lsn(1), Epoch(1));
    let (key, value) = (row_key(0), [0_u8; 8]);
    group.push(encode_delta([(key.as_slice(), Some(value.as_slice()))], DeltaFlags::NONE, 1).map_err(text)?);
    builder.push_group(&GroupView::parse(group.finish().map_err(text)?).map_err(text)?).map_err(text)?;
    let next_run = added.iter().map(|table| table.run + 1).max();
    builder.push_edit(&ManifestEdit { added, checkpoint_lsn: Some(1), next_run, ..ManifestEdit::default() });
    let (bytes, _) = builder.finish(Lsn(1), event::wall_micros()).map_err(text)?;
    let object = link_key("", &state.next.branch, state.next.seq);
    block_on(store.put_if_absent(&object, bytes.clone())).map_err(text)?;
    state.advance(&Link::decode(bytes, &object).map_err(text)?).map_err(text)?;
    block_on(write_checkpoint(store, &mut state)).map_err(text)
}
