//! What survives crashes and damage, on a simulated disk.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use aquifer_commitlog::codec::BLOCK_BYTES;
use aquifer_commitlog::{Committed, Log, LogError, LogIndex, LogOptions, Recovered, Wait};
use aquifer_types::Epoch;
use bytes::Bytes;
use support::{Image, Random, SimDevice};

const SEGMENT_BYTES: u64 = 64 << 10;

fn options(in_flight_max: usize) -> LogOptions {
    LogOptions {
        segment_bytes: SEGMENT_BYTES,
        in_flight_max,
        memory_bytes_max: 8 << 10,
        ..LogOptions::default()
    }
}

fn open(files: Image, seed: u64, in_flight_max: usize) -> Result<(SimDevice, Log, Recovered), LogError> {
    let device = SimDevice::new(files, seed);
    let (log, recovered) = Log::open_on(Box::new(device.clone()), options(in_flight_max), Epoch(0))?;
    Ok((device, log, recovered))
}

fn group(number: u64, random: &mut Random) -> Bytes {
    let bytes = if random.below(8) == 0 { random.below(20_000) } else { random.below(900) };
    let mut data = number.to_le_bytes().to_vec();
    data.resize(8 + usize::try_from(bytes).unwrap(), u8::try_from(number % 251).unwrap());
    Bytes::from(data)
}

/// Everything recovered must be what was proposed, without holes, and reach at least the acknowledged.
struct Model {
    proposed: Vec<(LogIndex, Bytes)>,
    acknowledged: Option<LogIndex>,
    truncated: LogIndex,
    next: u64,
}

impl Model {
    fn new() -> Self {
        Self { proposed: Vec::new(), acknowledged: None, truncated: LogIndex(0), next: 0 }
    }

    fn no_lost_ack(&mut self, recovered: &[Committed], seed: u64) {
        let needed: Vec<_> = self.proposed.iter().filter(|(i, _)| *i > self.truncated).collect();
        let got: Vec<_> = recovered.iter().filter(|e| e.index > self.truncated).collect();
        assert!(got.len() <= needed.len(), "seed {seed}: more than was proposed");
        for (entry, (index, data)) in got.iter().zip(&needed) {
            assert_eq!((entry.index, &entry.data), (*index, data), "seed {seed}");
        }
        let reached = got.last().map(|e| e.index).max(Some(self.truncated));
        assert!(reached >= self.acknowledged, "seed {seed}: acknowledged {:?}", self.acknowledged);
        let kept = got.len();
        let truncated = self.truncated;
        let mut number = 0;
        self.proposed.retain(|(index, _)| {
            number += usize::from(*index > truncated);
            *index <= truncated || number <= kept
        });
    }
}

fn run_one(log: &mut Log, model: &mut Model, random: &mut Random, steps: u64) {
    for _ in 0..steps {
        while log.can_propose() && random.below(4) > 0 {
            let data = group(model.next, random);
            model.next += 1;
            let index = log.propose(data.clone()).unwrap();
            model.proposed.push((index, data));
        }
        for entry in log.poll(Wait::No).unwrap() {
            let at = model.proposed.iter().position(|(i, _)| *i == entry.index).unwrap();
            assert_eq!(model.proposed[at].1, entry.data);
            assert!(model.acknowledged < Some(entry.index), "in order");
            model.acknowledged = Some(entry.index);
        }
        if random.below(20) == 0 {
            let upto = LogIndex(model.acknowledged.map_or(0, |i| i.0.saturating_sub(random.below(9))));
            if upto > model.truncated {
                log.truncate_prefix(upto).unwrap();
                model.truncated = upto;
            }
        }
        if random.below(10) == 0 {
            read_again_agrees(log, model);
        }
    }
}

fn read_again_agrees(log: &mut Log, model: &Model) {
    let first = log.first_index();
    let read = log.read(first, usize::MAX).unwrap();
    let expected = model
        .proposed
        .iter()
        .filter(|(i, _)| *i >= first && Some(*i) <= model.acknowledged.max(Some(LogIndex(0))));
    let known: Vec<_> = expected.map(|(i, d)| (*i, d.clone())).collect();
    let got: Vec<_> = read.into_iter().map(|e| (e.index, e.data)).collect();
    assert!(got.starts_with(&known) || known.is_empty(), "{} of {}", got.len(), known.len());
}

#[test]
fn crash_at_any_moment_loses_nothing_acknowledged() {
    let seeds = std::env::var("SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(150);
    for seed in 0..seeds {
        let mut random = Random::new(seed);
        let mut files = Image::new();
        let mut model = Model::new();
        let mut term = Epoch(0);
        for life in 0..6 {
            let in_flight = 1 + usize::try_from(random.below(6)).unwrap();
            let opened = open(files, seed * 100 + life, in_flight);
            let (device, mut log, recovered) =
                opened.unwrap_or_else(|error| panic!("seed {seed} life {life}: {error}"));
            model.no_lost_ack(&recovered.entries, seed);
            // What was recovered counts as committed from now on.
            model.acknowledged = model.acknowledged.max(recovered.entries.last().map(|e| e.index));
            assert!(log.term() > term, "seed {seed}: terms rise");
            term = log.term();
            let steps = random.below(60);
            run_one(&mut log, &mut model, &mut random, steps);
            if random.below(4) == 0 {
                log.close().unwrap();
                files = device.crash();
                model.acknowledged = model.proposed.last().map(|(i, _)| *i);
            } else {
                files = device.crash();
            }
        }
    }
}

/// A small log with one group in flight at a time, closed or not.
fn small_log(closed: bool) -> (Image, Vec<Committed>) {
    let (device, mut log, _) = open(Image::new(), 1, 1).unwrap();
    let mut entries = Vec::new();
    for number in 0..5_u8 {
        log.propose(Bytes::from(vec![number + 1; 100 + usize::from(number) * 1500])).unwrap();
        while entries.len() <= usize::from(number) {
            entries.extend(log.poll(Wait::No).unwrap());
        }
    }
    if closed {
        log.close().unwrap();
    }
    let files = device.crash();
    (files, entries)
}

fn only_segment(files: &Image) -> String {
    files.keys().find(|name| name.ends_with(".seg")).unwrap().clone()
}

#[test]
fn truncated_file_is_an_error_that_names_it() {
    let (files, _) = small_log(true);
    let name = only_segment(&files);
    for bytes in (0..files[&name].len()).step_by(97) {
        let mut damaged = files.clone();
        damaged.get_mut(&name).unwrap().truncate(bytes);
        match open(damaged, 2, 1) {
            Err(LogError::Corrupt { file, .. }) => assert_eq!(file, name),
            other => panic!("{bytes}: {:?}", other.map(|(_, log, _)| log)),
        }
    }
}

/// Where frames begin and end, by their headers.
fn used_bytes(segment: &[u8]) -> usize {
    let mut at = usize::try_from(BLOCK_BYTES).unwrap();
    while let Ok(frame) = aquifer_commitlog::codec::verify_frame(&segment[at..]) {
        at += frame.bytes;
    }
    at
}

#[test]
fn flipped_bit_in_a_closed_log_is_an_error_or_changes_nothing() {
    let (files, entries) = small_log(true);
    let name = only_segment(&files);
    let end = used_bytes(&files[&name]);
    for byte in 0..end {
        let mut damaged = files.clone();
        damaged.get_mut(&name).unwrap()[byte] ^= 1 << (byte % 8);
        match open(damaged, 3, 1) {
            Err(LogError::Corrupt { file, .. }) => assert_eq!(file, name),
            Err(other) => panic!("byte {byte}: {other}"),
            // Padding, or the end mark itself.
            Ok((_, _, recovered)) => assert_eq!(recovered.entries, entries, "byte {byte}"),
        }
    }
}

#[test]
fn flipped_bit_in_an_open_log_costs_at_most_the_last_group() {
    let (files, entries) = small_log(false);
    let name = only_segment(&files);
    let end = used_bytes(&files[&name]);
    let (mut errors, mut shorter) = (0, 0);
    for byte in 0..end {
        let mut damaged = files.clone();
        damaged.get_mut(&name).unwrap()[byte] ^= 1 << (byte % 8);
        match open(damaged, 4, 1) {
            Err(LogError::Corrupt { file, .. }) => {
                assert_eq!(file, name);
                errors += 1;
            }
            Err(other) => panic!("byte {byte}: {other}"),
            Ok((_, _, recovered)) => {
                assert!(entries.starts_with(&recovered.entries), "byte {byte}");
                assert!(recovered.entries.len() + 1 >= entries.len(), "byte {byte}");
                shorter += usize::from(recovered.entries.len() < entries.len());
            }
        }
    }
    assert!(errors > 0 && shorter > 0, "{errors} errors, {shorter} shorter");
}

#[test]
fn torn_last_write_is_dropped_at_every_length() {
    let (files, entries) = small_log(false);
    let name = only_segment(&files);
    let block = usize::try_from(BLOCK_BYTES).unwrap();
    let end = used_bytes(&files[&name]);
    // The last group takes two blocks; zeros from any byte of it on are a torn write.
    for from in end - 2 * block..end {
        let mut torn = files.clone();
        torn.get_mut(&name).unwrap()[from..end].fill(0);
        let (_, mut log, recovered) = open(torn, 5, 1).unwrap();
        assert!(entries.starts_with(&recovered.entries), "byte {from}");
        assert!(recovered.entries.len() + 1 >= entries.len(), "byte {from}");
        log.propose(Bytes::from_static(b"goes on")).unwrap();
        assert_eq!(log.poll(Wait::Until(std::time::Instant::now())).map(|e| e.len() <= 1).ok(), Some(true));
    }
}

#[test]
fn leftovers_of_dropped_writes_never_come_back() {
    // Two groups in flight; only the second reaches the disk, then new ones are written over the first.
    for seed in 0..60 {
        let (device, mut log, _) = open(Image::new(), seed, 4).unwrap();
        for number in 0..4 {
            log.propose(Bytes::from(vec![number; 50])).unwrap();
        }
        let files = device.crash();
        drop(log);
        let (device, mut log, first) = open(files, seed + 1000, 4).unwrap();
        log.propose(Bytes::from_static(b"new")).unwrap();
        let files = device.crash();
        drop(log);
        let (_, _, second) = open(files, seed + 2000, 4).unwrap();
        assert!(second.entries.starts_with(&first.entries), "seed {seed}");
        for entry in &second.entries[first.entries.len()..] {
            assert_eq!(entry.data, Bytes::from_static(b"new"), "seed {seed}");
        }
    }
}
