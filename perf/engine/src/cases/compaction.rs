//! What a merge of tables costs, without any I/O.

use std::collections::HashMap;
use std::future::ready;
use std::sync::Arc;

use aquifer_format::sst::Compression;
use aquifer_format::{ManifestEdit, SstMeta};
use aquifer_lsm::{
    Block, BlockHandle, BlockSource, BuildError, CompactionPolicy, LoadFuture, Loaded, Manifest, Memtable,
    Need, NoBlocks, ReadError, Retention, Rewrite, RewriteOptions, RewriteStep, Step, Table, TableInfo, pick,
};
use aquifer_types::{Lsn, SstId};
use bytes::Bytes;

use crate::args::Args;
use crate::cpu::{self, Whose, float};
use crate::data::{Random, fill_row, row_key};
use crate::report::{Case, Goal};
use crate::tree::Outcome;

const RUNS: u64 = 4;

/// Tables in memory, as they would come from the disk cache: each block is verified and decompressed.
#[derive(Default)]
struct Objects(HashMap<SstId, Bytes>);

impl Objects {
    fn bring(&self, need: &Need) -> Result<Loaded, ReadError> {
        let cut = |table: &Table, range: std::ops::Range<u64>| {
            let object =
                self.0.get(&table.id()).ok_or_else(|| ReadError::corrupt(table.id(), "not there"))?;
            let at = |byte: u64| usize::try_from(byte).unwrap_or(usize::MAX);
            Ok(object.slice(at(range.start)..at(range.end)))
        };
        match need {
            Need::Meta(table) => table.install_meta(cut(table, table.meta_range())?).map(|()| Loaded::Meta),
            Need::Block(table, handle) => {
                table.decode_block(*handle, cut(table, handle.range())?).map(Loaded::Block)
            }
        }
    }
}

impl BlockSource for Objects {
    fn try_block(&self, _table: &Arc<Table>, _handle: BlockHandle) -> Option<Block> {
        None
    }

    fn load<'a>(&'a self, need: Need) -> LoadFuture<'a> {
        Box::pin(ready(self.bring(&need)))
    }
}

/// Merges four runs of level 0 that overlap entirely into level 1.
pub fn compaction(args: &Args) -> Outcome<Case> {
    let mut case = Case::new(
        "compaction",
        "Four runs of level 0 that overlap entirely are merged into level 1; blocks are verified and decompressed, \
         tables are built; no I/O. CPU of one thread.",
    );
    let rows = (args.rows / RUNS).min(200_000);
    let (objects, manifest, memtable_us) = four_runs(rows).map_err(|error| error.to_string())?;
    case.add("flush of a memtable", "µs CPU a row", Goal::None, memtable_us);
    for (name, compression, goal) in [
        ("merge into LZ4", Compression::Lz4, Goal::AtLeast(150.0)),
        ("merge into Zstandard", Compression::Zstd, Goal::None),
    ] {
        let (mut speeds, mut decodes) = (Vec::new(), Vec::new());
        let mut shrunk = 0.0;
        for _ in 0..args.rounds {
            let (speed, size, built) =
                merge(&objects, &manifest, compression).map_err(|error| error.to_string())?;
            speeds.push(speed);
            decodes.push(decode_us(built).map_err(|error| error.to_string())?);
            shrunk = size;
        }
        case.add(format!("{name}: reading a block of it, after the I/O"), "µs CPU", Goal::None, decodes);
        case.add(name, "MB of uncompressed input a CPU second", goal, speeds);
        case.notes.push(format!("{name}: objects have {shrunk:.2} of the bytes of their rows."));
    }
    Ok(case)
}

fn ids(first: u128) -> Box<dyn FnMut() -> SstId + Send> {
    let mut next = first;
    Box::new(move || {
        next += 1;
        SstId(next)
    })
}

fn four_runs(rows: u64) -> Result<(Objects, Manifest, Vec<f64>), BuildError> {
    let (mut objects, mut manifest) = (Objects::default(), Manifest::new());
    let (mut random, mut value) = (Random::new(5), Vec::new());
    let mut costs = Vec::new();
    for run in 0..RUNS {
        let memtable = Arc::new(Memtable::new());
        for n in 0..rows {
            fill_row(&mut random, &mut value);
            memtable.insert(&row_key(n * RUNS + run), Lsn(run * rows + n + 1), Some(&value))?;
        }
        let options = RewriteOptions::flush(ids(u128::from(run + 1) << 64), run + 1, 0);
        let mut rewrite = Rewrite::flush(&[memtable], Retention::everything(), options);
        let before = cpu::micros(Whose::Thread);
        let built = finish(&mut rewrite, None)?;
        costs.push(cpu::ratio(cpu::micros(Whose::Thread) - before, rows));
        let added = built.iter().map(|(info, _)| SstMeta::from(info)).collect();
        objects.0.extend(built.into_iter().map(|(info, object)| (info.id, object)));
        let checkpoint_lsn = Some((run + 1) * rows);
        let edit = ManifestEdit { added, checkpoint_lsn, ..ManifestEdit::default() };
        manifest = manifest.apply(&edit).map_err(|_| BuildError::Empty)?;
    }
    Ok((objects, manifest, costs))
}

/// CPU of verifying, decompressing and checking a data block.
fn decode_us(built: Built) -> Result<f64, ReadError> {
    let (mut spent, mut blocks) = (0.0, 0);
    for (info, object) in built {
        let (id, table) = (info.id, Arc::new(Table::new(info)));
        let objects = Objects(HashMap::from([(id, object)]));
        objects.bring(&Need::Meta(Arc::clone(&table)))?;
        let before = cpu::micros(Whose::Thread);
        for handle in table.block_handles() {
            objects.bring(&Need::Block(Arc::clone(&table), handle))?;
            blocks += 1;
        }
        spent += cpu::micros(Whose::Thread) - before;
    }
    Ok(cpu::ratio(spent, blocks))
}

/// Megabytes of rows and keys a second of CPU, what the output's size is against them, and the output.
fn merge(
    objects: &Objects,
    manifest: &Manifest,
    compression: Compression,
) -> Result<(f64, f64, Built), BuildError> {
    let Some(job) = pick(manifest, &CompactionPolicy::default(), &[]) else { return Err(BuildError::Empty) };
    let options = RewriteOptions { compression, ..RewriteOptions::compaction(ids(1 << 100), &job, 0) };
    let mut rewrite = Rewrite::compaction(&job, Retention::new(Vec::new(), Lsn(u64::MAX)), options);
    let before = cpu::micros(Whose::Thread);
    let built = finish(&mut rewrite, Some(objects))?;
    let spent = cpu::micros(Whose::Thread) - before;
    let raw = float(job.tables().map(|table| table.info().raw_bytes).sum());
    let written = float(built.iter().map(|(info, _)| info.object_bytes).sum());
    Ok((raw / spent, written / raw, built))
}

type Built = Vec<(TableInfo, Bytes)>;

fn finish(rewrite: &mut Rewrite, objects: Option<&Objects>) -> Result<Built, BuildError> {
    let mut built = Vec::new();
    loop {
        let step = match objects {
            Some(objects) => rewrite.step(objects, 4_096)?,
            None => rewrite.step(&NoBlocks, 4_096)?,
        };
        match step {
            Step::Need(need) => {
                let loaded =
                    objects.and_then(|objects| objects.bring(&need).ok()).ok_or(BuildError::Empty)?;
                rewrite.supply(need, loaded);
            }
            Step::Done(RewriteStep::Built(table)) => built.push((table.info, table.object)),
            Step::Done(RewriteStep::Finished) => return Ok(built),
            Step::Done(RewriteStep::Paused) => {}
        }
    }
}
