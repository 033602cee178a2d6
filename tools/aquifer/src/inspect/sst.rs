//! One table: its parts, how well its blocks compress, what its filter is worth, and its blocks.

use std::fmt::Write;

use aquifer_format::sst::{Compression, FOOTER_BYTES, TRAILER_BYTES};
use aquifer_lsm::{Anatomy, BlockAnatomy, anatomy, object_name};
use aquifer_objstore::block_on;
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_shard::event;
use aquifer_types::{ErrorKind, SstId};

use super::Context;
use super::keys::Keys;
use super::text::{Align, Columns, bytes, counted, per_cent};
use super::tree::Tree;

/// Bytes of the filter before its lines.
const FILTER_HEAD_BYTES: u64 = 8;

/// Prints the table that the words name.
///
/// # Errors
/// `Invalid` for a word that is no table's id, `Corrupt` naming what cannot be verified, and what the store
/// fails with.
pub fn sst(context: &Context<'_>) -> NodeResult<String> {
    let invalid = |text: &str| NodeError::new(ErrorKind::Invalid, text.to_owned());
    let [word] = context.words else {
        return Err(invalid("inspect which table? Its id, as `inspect levels` prints it"));
    };
    let id = find(context, word)?;
    let object = block_on(context.store.get(&object_name(id)))?;
    let anatomy = anatomy(id, &object)?;
    let (place, keys) = match Tree::open(context) {
        Ok(tree) => (place(&tree, id), tree.keys),
        // The table can be read without the chain.
        Err(error) => (format!("where it belongs is not known: {error}"), Keys::default()),
    };
    Ok(print(&anatomy, &place, &keys, context.last))
}

/// The table whose id is `word` or, when only one is, begins with it.
fn find(context: &Context<'_>, word: &str) -> NodeResult<SstId> {
    let invalid = |text: String| NodeError::new(ErrorKind::Invalid, text);
    let word = word.trim_start_matches("sst/").to_ascii_lowercase();
    let is_hex = !word.is_empty() && word.len() <= 32 && word.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_hex {
        return Err(invalid(format!("{word:?} is not a table's id (up to 32 hexadecimal digits)")));
    }
    let found = block_on(context.store.list(&format!("sst/{word}"), None))?;
    match found.as_slice() {
        [one] => u128::from_str_radix(one.key.trim_start_matches("sst/"), 16)
            .map(SstId)
            .map_err(|_| invalid(format!("{} is not a table", one.key))),
        [] => Err(invalid(format!("the store has no table {word}"))),
        many => Err(invalid(format!("{} tables have ids that begin with {word}", many.len()))),
    }
}

fn place(tree: &Tree, id: SstId) -> String {
    let shallow = tree.manifest.runs().iter().map(|run| (format!("level 0, run {}", run.number()), run));
    let deep = (1..).zip(tree.manifest.levels()).map(|(level, run)| (format!("level {level}"), run));
    let mut all = shallow.chain(deep);
    let at = all.find(|(_, run)| run.tables().iter().any(|table| table.id() == id));
    match at {
        Some((name, _)) => format!("{name} of branch {} as of link {}", tree.branch, tree.link),
        None => format!("not in the tree of branch {} as of link {}", tree.branch, tree.link),
    }
}

fn print(anatomy: &Anatomy, place: &str, keys: &Keys, last: usize) -> String {
    let info = &anatomy.info;
    let mut text = format!("table {:032x}: {}\n", info.id.0, place);
    let _ = writeln!(
        text,
        "made {}; {} ({}) of {}, LSN {} to {}",
        event::utc_text(info.created_micros),
        if info.entries == 1 { "1 entry".to_owned() } else { format!("{} entries", info.entries) },
        counted(info.tombstones, "deletion"),
        counted(anatomy.keys, "key"),
        info.min_lsn,
        info.max_lsn
    );
    let _ = writeln!(text, "keys {} … {}\n", keys.text(&info.smallest), keys.text(&info.largest));
    let _ = write!(text, "{}\n{}\n", parts(anatomy), qualities(anatomy));
    text + &blocks(&anatomy.blocks, keys, last)
}

/// The parts of the object in their order.
fn parts(anatomy: &Anatomy) -> String {
    let info = &anatomy.info;
    let mut columns = Columns::new(&[
        ("part", Align::Left),
        ("at", Align::Right),
        ("stored", Align::Right),
        ("share", Align::Right),
        ("what", Align::Left),
    ]);
    let footer = FOOTER_BYTES as u64;
    let statistics = info.filter.end();
    let rows = [
        ("data", 0, info.index.offset, counted(anatomy.blocks.len() as u64, "block")),
        ("index", info.index.offset, u64::from(info.index.len), {
            format!("{} a block", bytes(u64::from(info.index.len) / (anatomy.blocks.len() as u64).max(1)))
        }),
        ("filter", info.filter.offset, u64::from(info.filter.len), {
            format!("{} bits a key", tenths(filter_bits(anatomy) * 10 / anatomy.keys.max(1)))
        }),
        ("statistics", statistics, info.object_bytes - footer - statistics, String::new()),
        ("footer", info.object_bytes - footer, footer, String::new()),
        ("all", 0, info.object_bytes, String::new()),
    ];
    for (part, at, stored, what) in rows {
        let share = per_cent(stored, info.object_bytes);
        columns.row(vec![part.to_owned(), at.to_string(), bytes(stored), share, what]);
    }
    columns.print()
}

fn filter_bits(anatomy: &Anatomy) -> u64 {
    u64::from(anatomy.info.filter.len).saturating_sub(FILTER_HEAD_BYTES + TRAILER_BYTES as u64) * 8
}

/// Compression and filter in a sentence each.
fn qualities(anatomy: &Anatomy) -> String {
    let stored: u64 = anatomy.blocks.iter().map(|block| u64::from(block.handle.len)).sum();
    let raw: u64 = anatomy.blocks.iter().map(|block| u64::from(block.raw_bytes)).sum();
    let by = |compression| anatomy.blocks.iter().filter(|block| block.compression == compression).count();
    let mut text =
        format!("compression: {} become {} ({})", bytes(raw), bytes(stored), per_cent(stored, raw));
    for (name, compression) in
        [("LZ4", Compression::Lz4), ("Zstandard", Compression::Zstd), ("plain", Compression::None)]
    {
        let count = by(compression);
        if count > 0 {
            let _ = write!(text, "; {} {name}", counted(count as u64, "block"));
        }
    }
    let (wrong, probes) = (anatomy.false_positives, anatomy.probes);
    let _ = writeln!(
        text,
        "\nfilter: {wrong} of {probes} keys that are not in the table were not excluded ({})",
        per_cent(wrong, probes)
    );
    text
}

fn blocks(blocks: &[BlockAnatomy], keys: &Keys, last: usize) -> String {
    let mut columns = Columns::new(&[
        ("block", Align::Right),
        ("at", Align::Right),
        ("stored", Align::Right),
        ("raw", Align::Right),
        ("of raw", Align::Right),
        ("entries", Align::Right),
        ("deleted", Align::Right),
        ("keys", Align::Left),
    ]);
    for (number, block) in blocks.iter().enumerate().take(last) {
        columns.row(vec![
            number.to_string(),
            block.handle.offset.to_string(),
            bytes(u64::from(block.handle.len)),
            bytes(u64::from(block.raw_bytes)),
            per_cent(u64::from(block.handle.len), u64::from(block.raw_bytes)),
            block.entries.to_string(),
            block.tombstones.to_string(),
            format!("{} … {}", keys.text(&block.first), keys.text(&block.last)),
        ]);
    }
    let mut text = columns.print();
    if blocks.len() > last {
        let _ = writeln!(
            text,
            "and {} more (--last {})",
            counted((blocks.len() - last) as u64, "block"),
            blocks.len()
        );
    }
    text
}

fn tenths(count: u64) -> String {
    format!("{}.{}", count / 10, count % 10)
}

#[cfg(test)]
#[path = "sst_test.rs"]
mod sst_test;
