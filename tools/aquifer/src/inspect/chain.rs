//! The links of a branch: number, time, epoch, transactions, size, and what else each brought.

use std::fmt::Write;

use aquifer_format::{Head, Link, ManifestEdit, ObjectKey, Record, head_key, link_key};
use aquifer_objstore::block_on;
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_shard::event;
use aquifer_types::{ErrorKind, LinkSeq};

use super::Context;
use super::text::{Align, Columns, bytes};

/// Prints links of the branch, oldest first: the newest, or those from a number on.
///
/// # Errors
/// `Corrupt` naming the link; what the store fails with.
pub fn chain(context: &Context<'_>) -> NodeResult<String> {
    let seqs = link_numbers(context)?;
    let (Some(first), Some(last)) = (seqs.first(), seqs.last()) else {
        return Ok(format!("branch {} has no links\n", context.branch));
    };
    let mut text = format!("branch {}: links {first} to {last}\n", context.branch);
    if let Some(head) = read_head(context)? {
        let (link, checkpoint) = (head.link_seq, head.checkpoint_seq);
        let _ = writeln!(text, "head: checkpoint of link {checkpoint}, link {link}, epoch {}", head.epoch);
    }
    let mut columns = Columns::new(&[
        ("link", Align::Right),
        ("made", Align::Left),
        ("epoch", Align::Right),
        ("LSN", Align::Left),
        ("transactions", Align::Right),
        ("size", Align::Right),
        ("what", Align::Left),
    ]);
    let skipped = match context.words.first() {
        None => seqs.len().saturating_sub(context.last),
        Some(word) => {
            let from = word.parse().map_err(|_| not_a_link(word))?;
            seqs.partition_point(|seq| seq.0 < from)
        }
    };
    for seq in seqs.iter().skip(skipped).take(context.last) {
        columns.row(row(context, *seq)?);
    }
    text.push('\n');
    text += &columns.print();
    Ok(text)
}

fn not_a_link(word: &str) -> NodeError {
    NodeError::new(ErrorKind::Invalid, format!("{word:?} is not the number of a link"))
}

fn link_numbers(context: &Context<'_>) -> NodeResult<Vec<LinkSeq>> {
    let prefix = aquifer_format::key::chain_prefix("", &context.branch);
    let objects = block_on(context.store.list(&prefix, None))?;
    let seqs = objects.iter().filter_map(|object| match ObjectKey::parse("", &object.key) {
        Some(ObjectKey::Link(_, seq)) => Some(seq),
        _ => None,
    });
    Ok(seqs.collect())
}

fn read_head(context: &Context<'_>) -> NodeResult<Option<Head>> {
    match block_on(context.store.get(&head_key("", &context.branch))) {
        Ok(bytes) => Ok(Head::decode(bytes)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn row(context: &Context<'_>, seq: LinkSeq) -> NodeResult<Vec<String>> {
    let key = link_key("", &context.branch, seq);
    let object = block_on(context.store.get(&key))?;
    let size = object.len() as u64;
    let link = Link::decode(object, &key)?;
    let header = &link.header;
    let transactions = (header.last_lsn.0 + 1).saturating_sub(header.first_lsn.0);
    let range = match transactions {
        0 => format!("({})", header.last_lsn),
        1 => header.last_lsn.to_string(),
        _ => format!("{}-{}", header.first_lsn, header.last_lsn),
    };
    Ok(vec![
        seq.to_string(),
        event::utc_text(header.wall_micros),
        header.epoch.to_string(),
        range,
        transactions.to_string(),
        bytes(size),
        link.records.iter().filter_map(describe).collect::<Vec<_>>().join("; "),
    ])
}

fn describe(record: &Record) -> Option<String> {
    match record {
        Record::Group(_) => None,
        Record::Edit(edit) => Some(describe_edit(edit)),
        Record::Epoch(epoch) => {
            let address =
                if epoch.address.is_empty() { String::new() } else { format!(" at {}", epoch.address) };
            Some(format!("writer {:08x}{address} takes over", epoch.writer >> 96))
        }
        Record::Fork(fork) => {
            Some(format!("branches from link {} of {} at LSN {}", fork.parent_seq, fork.parent, fork.lsn))
        }
    }
}

fn describe_edit(edit: &ManifestEdit) -> String {
    let mut parts = Vec::new();
    if !edit.added.is_empty() {
        let size = edit.added.iter().map(|table| table.object_bytes).sum();
        let levels = edit.added.iter().map(|table| table.level);
        let (low, high) = (levels.clone().min().unwrap_or(0), levels.max().unwrap_or(0));
        let level = if low == high { format!("level {low}") } else { format!("levels {low} to {high}") };
        parts.push(format!("+{} to {level} ({})", tables(edit.added.len()), bytes(size)));
    }
    if !edit.removed.is_empty() {
        parts.push(format!("-{}", tables(edit.removed.len())));
    }
    if let Some(lsn) = edit.checkpoint_lsn {
        parts.push(format!("checkpoint LSN {lsn}"));
    }
    parts.join(", ")
}

fn tables(count: usize) -> String {
    if count == 1 { "1 table".to_owned() } else { format!("{count} tables") }
}
