//! What the cache tiers say in SHOW GLOBAL STATUS.

use aquifer_cache::{DiskState, SourceCounters};

use crate::engine::Engine;

/// Names and values of all tiers: rows, blocks, disk, and what went to the store.
#[must_use]
pub fn cache_status(engine: &Engine) -> Vec<(String, String)> {
    let mut rows = row_cache(engine);
    rows.extend(block_cache(engine));
    rows.extend(disk_cache(engine));
    rows.extend(loads(&engine.source.counters()));
    let text = |(name, value): (&str, u64)| (format!("Aquifer_{name}"), value.to_string());
    let mut texts: Vec<(String, String)> = rows.into_iter().map(text).collect();
    texts.push(("Aquifer_disk_cache_state".to_owned(), disk_state(engine)));
    texts
}

type Counted = Vec<(&'static str, u64)>;

fn row_cache(engine: &Engine) -> Counted {
    let rows = engine.rows.counters();
    vec![
        ("row_cache_hits", rows.hits),
        ("row_cache_misses", rows.misses),
        ("row_cache_newer", rows.newer),
        ("row_cache_fills", rows.fills),
        ("row_cache_updates", rows.updates),
        ("row_cache_evictions", rows.evictions),
        ("row_cache_bytes", rows.bytes),
        ("row_cache_bytes_max", rows.bytes_max),
    ]
}

fn block_cache(engine: &Engine) -> Counted {
    let blocks = engine.source.blocks().counters();
    vec![
        ("block_cache_hits", blocks.hits),
        ("block_cache_misses", blocks.misses),
        ("block_cache_evictions", blocks.evictions),
        ("block_cache_blocks", blocks.blocks),
        ("block_cache_bytes", blocks.bytes),
        ("block_cache_bytes_max", blocks.bytes_max),
    ]
}

/// All zero without a disk cache, so that whoever watches finds the same names on every node.
fn disk_cache(engine: &Engine) -> Counted {
    let disk = engine.source.disk().map(|disk| disk.counters()).unwrap_or_default();
    vec![
        ("disk_cache_hits", disk.hits),
        ("disk_cache_misses", disk.misses),
        ("disk_cache_writes", disk.writes),
        ("disk_cache_write_bytes", disk.write_bytes),
        ("disk_cache_offers_dropped", disk.offers_dropped),
        ("disk_cache_evictions", disk.evictions),
        ("disk_cache_corrupt", disk.corrupt),
        ("disk_cache_io_errors", disk.io_errors),
        ("disk_cache_recovered", disk.recovered),
        ("disk_cache_blocks", disk.blocks),
        ("disk_cache_bytes", disk.bytes),
        ("disk_cache_bytes_max", disk.bytes_max),
    ]
}

fn loads(source: &SourceCounters) -> Counted {
    vec![
        ("disk_cache_loads", source.disk_loads),
        ("store_fetches", source.store_fetches),
        ("store_fetch_bytes", source.store_bytes),
        ("store_fetch_joins", source.joins),
        ("store_fetch_read_aheads", source.read_aheads),
        ("store_fetch_corrupt", source.store_corrupt),
        ("store_fetch_errors", source.errors),
        ("store_fetch_hedges", source.hedges.hedges),
        ("store_fetch_hedge_wins", source.hedges.wins),
    ]
}

fn disk_state(engine: &Engine) -> String {
    match engine.source.disk().map(|disk| disk.state()) {
        Some(DiskState::On) => "ON".to_owned(),
        Some(DiskState::Off(_)) => "FAILED".to_owned(),
        None => "NONE".to_owned(),
    }
}
