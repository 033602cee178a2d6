//! Damaged bytes are errors: never a value, never a panic, never much memory.

mod sample;

use std::cell::Cell;

use aquifer_format::FormatError;
use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;

mod counting_allocator {
    //! Counts the bytes that a thread allocates.
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::Cell;

    thread_local! {
        pub static ALLOCATED: Cell<usize> = const { Cell::new(0) };
    }

    struct Counting;

    // SAFETY: every call goes to the system allocator unchanged; counting touches a `Cell` without a
    // destructor, which neither allocates nor unwinds.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let _ = ALLOCATED.try_with(|count| count.set(count.get() + layout.size()));
            // SAFETY: the caller keeps the contract of `alloc`.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: the block came from `System.alloc` with this layout.
            unsafe { System.dealloc(block, layout) }
        }
    }

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;
}

/// Bytes that `work` allocated on this thread, all in all.
fn allocated_by(work: impl FnOnce()) -> usize {
    let before = counting_allocator::ALLOCATED.with(Cell::get);
    work();
    counting_allocator::ALLOCATED.with(Cell::get) - before
}

/// What a decoder may allocate for an input: a protobuf field of two bytes can stand for a whole struct.
fn allocation_bytes_max(input_bytes: usize) -> usize {
    4096 + 512 * input_bytes
}

#[test]
fn decode_of_every_sample_succeeds() {
    for (name, bytes, accepts) in sample::all() {
        assert_eq!(accepts(bytes), Ok(()), "{name}");
    }
}

#[test]
fn decode_with_any_one_bit_flipped_fails() {
    for (name, bytes, accepts) in sample::all() {
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(accepts(Bytes::from(damaged)).is_err(), "{name}: bit {bit}");
        }
    }
}

#[test]
fn decode_of_any_shorter_or_longer_object_fails() {
    for (name, bytes, accepts) in sample::all() {
        for length in 0..bytes.len() {
            assert!(accepts(bytes.slice(..length)).is_err(), "{name}: cut to {length}");
        }
        for extra in [0u8, 1, 255] {
            let mut longer = bytes.to_vec();
            longer.push(extra);
            assert!(accepts(Bytes::from(longer)).is_err(), "{name}: a byte {extra} more");
        }
    }
}

#[test]
fn decode_of_one_kind_as_another_fails() {
    let samples = sample::all();
    for (name, bytes, _) in &samples {
        for (other, _, accepts) in &samples {
            if name.split('_').next() != other.split('_').next() {
                assert!(accepts(bytes.clone()).is_err(), "{name} as {other}");
            }
        }
    }
}

/// Corrects the checksum of an object in the common envelope, so that what is behind it is reached.
fn reseal(object: &mut [u8]) {
    let crc = crc32c::crc32c_append(crc32c::crc32c(&object[..16]), &object[20..]);
    object[16..20].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn decode_of_a_newer_version_names_both_versions() {
    for (name, bytes, accepts) in sample::all() {
        if name == "group" || name == "delta" {
            continue;
        }
        let mut newer = bytes.to_vec();
        newer[4..6].copy_from_slice(&9u16.to_le_bytes());
        reseal(&mut newer);
        let error = accepts(Bytes::from(newer)).expect_err("refused");
        assert_eq!(*error.cause(), FormatError::NewerVersion { found: 9, supported: 1 }, "{name}");
    }
}

#[test]
fn decode_of_a_newer_record_version_names_both_versions() {
    let newer = |bytes: &Bytes, version_at: usize, covered: std::ops::Range<usize>| {
        let mut newer = bytes.to_vec();
        newer[version_at] = 2;
        let crc = crc32c::crc32c(&newer[covered]);
        newer[..4].copy_from_slice(&crc.to_le_bytes());
        Bytes::from(newer)
    };
    let expected = Err(FormatError::NewerVersion { found: 2, supported: 1 });
    let delta = sample::user_delta();
    let delta = newer(&delta, 8, 4..delta.len());
    assert_eq!(aquifer_format::DeltaView::parse(delta).map(drop), expected);
    let group = newer(sample::group(100).bytes(), 4, 4..32);
    assert_eq!(aquifer_format::GroupView::parse(group).map(drop), expected);
}

#[test]
fn error_names_its_object_once() {
    let error = FormatError::Checksum.with_object("a").with_object("b");
    assert_eq!(error.to_string(), "a: is damaged: its checksum does not match");
}

#[derive(Clone, Debug)]
enum Mutation {
    Overwrite(Index, Vec<u8>),
    Remove(Index, usize),
    Insert(Index, Vec<u8>),
    Copy(Index, Index, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let bytes = || proptest::collection::vec(any::<u8>(), 1..24);
    prop_oneof![
        (any::<Index>(), bytes()).prop_map(|(at, with)| Mutation::Overwrite(at, with)),
        (any::<Index>(), 1usize..40).prop_map(|(at, count)| Mutation::Remove(at, count)),
        (any::<Index>(), bytes()).prop_map(|(at, what)| Mutation::Insert(at, what)),
        (any::<Index>(), any::<Index>(), 1usize..64)
            .prop_map(|(from, to, count)| Mutation::Copy(from, to, count)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    match mutation {
        _ if bytes.is_empty() => {}
        Mutation::Overwrite(at, with) => {
            let at = at.index(bytes.len());
            let end = (at + with.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&with[..end - at]);
        }
        Mutation::Remove(at, count) => {
            let at = at.index(bytes.len());
            bytes.drain(at..(at + count).min(bytes.len()));
        }
        Mutation::Insert(at, what) => {
            let at = at.index(bytes.len());
            bytes.splice(at..at, what.iter().copied());
        }
        Mutation::Copy(from, to, count) => {
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
            let count = (*count).min(bytes.len() - from.max(to));
            bytes.copy_within(from..from + count, to);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decode_of_mutated_bytes_fails_within_bounded_memory(
        which in any::<Index>(),
        mutations in proptest::collection::vec(mutation(), 1..4),
    ) {
        let samples = sample::all();
        let (name, bytes, accepts) = which.get(&samples);
        let mut damaged = bytes.to_vec();
        mutations.iter().for_each(|mutation| mutate(&mut damaged, mutation));
        prop_assume!(damaged != bytes[..]);
        let (damaged, mut accepted) = (Bytes::from(damaged), false);
        let limit = allocation_bytes_max(damaged.len());
        let allocated = allocated_by(|| accepted = accepts(damaged).is_ok());
        prop_assert!(!accepted, "{name}");
        prop_assert!(allocated <= limit, "{name}: {allocated} bytes");
    }

    #[test]
    fn decode_of_mutated_content_under_a_right_checksum_neither_panics_nor_grows(
        which in any::<Index>(),
        mutations in proptest::collection::vec(mutation(), 1..4),
    ) {
        let samples = sample::all();
        let (name, bytes, accepts) = which.get(&samples[..6]);
        let mut object = bytes.to_vec();
        let mut body = object.split_off(20);
        mutations.iter().for_each(|mutation| mutate(&mut body, mutation));
        object[8..16].copy_from_slice(&(body.len() as u64).to_le_bytes());
        object.extend_from_slice(&body);
        reseal(&mut object);
        let object = Bytes::from(object);
        let limit = allocation_bytes_max(object.len());
        let allocated = allocated_by(|| drop(accepts(object)));
        prop_assert!(allocated <= limit, "{name}: {allocated} bytes");
    }

    #[test]
    fn delta_of_mutated_content_under_a_right_checksum_iterates_in_its_bounds(
        mutations in proptest::collection::vec(mutation(), 1..4),
    ) {
        let mut bytes = sample::user_delta().to_vec();
        mutations.iter().for_each(|mutation| mutate(&mut bytes, mutation));
        prop_assume!(bytes.len() >= 8);
        let length = u32::try_from(bytes.len()).expect("small");
        bytes[4..8].copy_from_slice(&length.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[4..]);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
        if let Ok(delta) = aquifer_format::DeltaView::parse(Bytes::from(bytes)) {
            prop_assert_eq!(delta.iter().count(), usize::try_from(delta.len()).expect("small"));
            prop_assert_eq!(delta.slices().count(), delta.iter().count());
        }
    }

    #[test]
    fn decode_of_random_bytes_fails(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for (name, _, accepts) in sample::all() {
            prop_assert!(accepts(Bytes::from(bytes.clone())).is_err(), "{name}");
        }
    }
}
