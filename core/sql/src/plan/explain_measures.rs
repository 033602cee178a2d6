//! What EXPLAIN ANALYZE says of an operator besides what was expected of it.

use aquifer_types::ReadCounts;

use crate::exec::{Measure, Spilled};
use crate::plan::explain_tree::rounded;

/// Time until the first rows and until the end, rows, and reads; of each loop, but for reads.
pub(super) fn measures(measure: Option<Measure>) -> String {
    let Some(measure) = measure else { return " (never executed)".to_owned() };
    #[allow(clippy::cast_precision_loss)]
    let [first, last, rows, loops] =
        [measure.first_micros, measure.all_micros, measure.rows, measure.loops].map(|number| number as f64);
    format!(
        " (actual time={:.3}..{:.3} rows={} loops={loops}){}{}",
        first / loops / 1000.0,
        last / loops / 1000.0,
        rounded(rows / loops),
        found_where(measure.reads),
        files_of(measure.spilled)
    )
}

/// Which tiers have answered reads; nothing when none was asked, because all was in memtables.
fn found_where(reads: ReadCounts) -> String {
    let ReadCounts { rows, blocks, disk, store } = reads;
    let tiers =
        [(rows, "row cache"), (blocks, "block cache"), (disk, "disk cache"), (store, "store requests")];
    let asked = tiers.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = asked.map(|(count, tier)| format!("{tier} {count}")).collect();
    if parts.is_empty() { String::new() } else { format!(" (read: {})", parts.join(", ")) }
}

/// What an operator has put into temporary files.
fn files_of(spilled: Spilled) -> String {
    if spilled.parts == 0 {
        return String::new();
    }
    let parts = if spilled.sorted { "sorted runs" } else { "partitions" };
    format!(" (spilled {} bytes, {} {parts})", spilled.bytes, spilled.parts)
}
