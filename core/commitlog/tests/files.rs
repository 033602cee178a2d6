//! The log on real files, with every device.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::thread;
use std::time::{Duration, Instant};

use aquifer_commitlog::{DeviceKind, DirectIo, Log, LogError, LogIndex, LogOptions, Wait};
use aquifer_types::Epoch;
use bytes::Bytes;

fn devices() -> Vec<LogOptions> {
    let mut all = Vec::new();
    for device in [DeviceKind::Auto, DeviceKind::Plain] {
        for direct in [DirectIo::Auto, DirectIo::Off] {
            all.push(LogOptions {
                segment_bytes: 1 << 20,
                device,
                direct,
                memory_bytes_max: 100_000,
                ..LogOptions::default()
            });
        }
    }
    all
}

/// Proposes `count` groups and waits for all of them; returns the last index.
fn write(log: &mut Log, count: u64, bytes: usize) -> LogIndex {
    let (mut proposed, mut seen, mut last) = (0, 0, LogIndex(0));
    while seen < count {
        while proposed < count && log.can_propose() {
            let number = proposed.to_le_bytes();
            log.propose_parts(&[&number, &vec![3; bytes]]).unwrap();
            proposed += 1;
        }
        for entry in log.poll(Wait::Forever).unwrap() {
            assert_eq!(entry.data[..8], seen.to_le_bytes());
            assert!(entry.index > last);
            last = entry.index;
            seen += 1;
        }
    }
    last
}

#[test]
fn entries_survive_reopening_on_every_device() {
    for options in devices() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, recovered) = Log::open(dir.path(), options.clone(), Epoch(7)).unwrap();
        assert!(recovered.was_empty && recovered.entries.is_empty());
        assert!(log.term() > Epoch(7));
        let term = log.term();
        write(&mut log, 300, 10_000);
        assert!(log.bytes() >= 3 << 20, "{} bytes", log.bytes());
        log.close().unwrap();

        let (mut log, again) = Log::open(dir.path(), options.clone(), Epoch(0)).unwrap();
        assert_eq!((again.was_empty, again.log_id), (false, recovered.log_id));
        assert_eq!((again.entries.len(), again.term, again.dropped_groups), (300, term, 0));
        assert!(log.term() > term);
        let middle = again.entries[150].index;
        let read = log.read(middle, 50_000).unwrap();
        assert_eq!(read[..], again.entries[150..150 + read.len()]);
        assert!((4..=6).contains(&read.len()), "{}", read.len());
        log.truncate_prefix(middle).unwrap();
        assert!(matches!(log.read(middle, 1), Err(LogError::OutOfRange { .. })));
        write(&mut log, 1, 10);
        log.close().unwrap();

        let (log, third) = Log::open(dir.path(), options, Epoch(0)).unwrap();
        assert_eq!(third.entries.len(), 300 - 151 + 1);
        assert_eq!(third.entries[0].index, again.entries[151].index);
        drop(log);
    }
}

#[test]
fn truncation_reuses_segments_and_bounds_the_directory() {
    for options in devices() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, _) = Log::open(dir.path(), options, Epoch(0)).unwrap();
        for _ in 0..20 {
            let last = write(&mut log, 50, 10_000);
            log.truncate_prefix(last).unwrap();
            assert!(log.bytes() <= 2 << 20);
        }
        let files = std::fs::read_dir(dir.path().join("log")).unwrap().count();
        assert!(files <= 6, "{files} files");
    }
}

#[test]
fn second_opening_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_bytes: 1 << 20, ..LogOptions::default() };
    let (log, _) = Log::open(dir.path(), options.clone(), Epoch(0)).unwrap();
    assert!(matches!(Log::open(dir.path(), options.clone(), Epoch(0)), Err(LogError::Locked(_))));
    drop(log);
    Log::open(dir.path(), options, Epoch(0)).unwrap();
}

#[test]
fn waker_ends_the_sleep_on_every_device() {
    for options in devices() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, _) = Log::open(dir.path(), options, Epoch(0)).unwrap();
        let waker = log.waker();
        waker.wake();
        assert!(log.poll(Wait::Forever).unwrap().is_empty(), "woken before the sleep");
        for _ in 0..20 {
            let waker = waker.clone();
            let other = thread::spawn(move || {
                thread::sleep(Duration::from_millis(3));
                waker.wake();
            });
            assert!(log.poll(Wait::Forever).unwrap().is_empty());
            other.join().unwrap();
        }
        let until = Instant::now() + Duration::from_millis(20);
        assert!(log.poll(Wait::Until(until)).unwrap().is_empty());
        assert!(Instant::now() >= until);
    }
}

#[test]
fn oversized_and_empty_entries_are_refused_and_the_log_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_bytes: 64 << 10, ..LogOptions::default() };
    let (mut log, _) = Log::open(dir.path(), options, Epoch(0)).unwrap();
    let largest = usize::try_from(log.entry_bytes_max()).unwrap();
    let refused = log.propose(Bytes::from(vec![1; largest + 1]));
    assert!(matches!(refused, Err(LogError::TooLarge { .. })));
    assert!(matches!(log.propose(Bytes::new()), Err(LogError::Empty)));
    for _ in 0..5 {
        log.propose(Bytes::from(vec![1; largest])).unwrap();
        assert_eq!(log.poll(Wait::Forever).unwrap().len(), 1);
    }
    while log.can_propose() {
        log.propose(Bytes::from_static(b"x")).unwrap();
    }
    assert!(matches!(log.propose(Bytes::from_static(b"x")), Err(LogError::Busy)));
    assert!(!log.poll(Wait::Forever).unwrap().is_empty());
}

#[test]
fn one_group_costs_one_entry_into_the_device() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { segment_bytes: 8 << 20, ..LogOptions::default() };
    let (mut log, _) = Log::open(dir.path(), options, Epoch(0)).unwrap();
    for _ in 0..200 {
        log.propose(Bytes::from_static(b"a group")).unwrap();
        assert_eq!(log.poll(Wait::Forever).unwrap().len(), 1);
    }
    assert!(log.stats().device_waits <= 210, "{}", log.stats().device_waits);
    assert_eq!((log.stats().groups, log.stats().writes), (200, 200));
}
