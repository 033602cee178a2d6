//! Defaults fit the machine, small or large, alone or two in a process.

use super::{MIB, Machine, Sizes, cgroup_limit, memory_total};

const GIB: u64 = 1 << 30;

fn machine(memory_bytes: u64, free_disk_bytes: u64) -> Machine {
    Machine { memory_bytes, free_disk_bytes }
}

/// What a node takes when everything is full.
fn most(sizes: Sizes) -> u64 {
    (sizes.row_cache_bytes + sizes.block_cache_bytes + 5 * sizes.memtable_bytes) as u64
}

#[test]
fn choose_leaves_a_third_of_the_memory_on_any_machine() {
    for memory in [GIB / 2, GIB, 2 * GIB, 4 * GIB, 24 * GIB, 512 * GIB] {
        for nodes in [1, 2] {
            let all = nodes * most(Sizes::choose(machine(memory, 100 * GIB), nodes));
            assert!(all <= memory / 3 * 2, "{nodes} nodes take {all} of {memory}");
            assert!(all >= memory / 2, "{nodes} nodes take only {all} of {memory}");
        }
    }
}

#[test]
fn choose_for_two_nodes_is_half_for_each() {
    let (one, two) =
        (Sizes::choose(machine(16 * GIB, 60 * GIB), 1), Sizes::choose(machine(16 * GIB, 60 * GIB), 2));
    assert_eq!(one.block_cache_bytes, 2 * two.block_cache_bytes);
    assert_eq!(one.disk_cache_bytes, 2 * two.disk_cache_bytes);
    assert_eq!(two.memtable_bytes as u64, 64 * MIB);
}

#[test]
fn choose_with_little_or_much_disk() {
    assert_eq!(Sizes::choose(machine(GIB, 0), 1).disk_cache_bytes, 0);
    assert_eq!(Sizes::choose(machine(GIB, 500 * MIB), 1).disk_cache_bytes, 0);
    assert_eq!(Sizes::choose(machine(GIB, 1 << 44), 1).disk_cache_bytes, 8 * GIB);
}

#[test]
fn machine_is_read_from_what_linux_says() {
    assert_eq!(memory_total("MemFree: 1 kB\nMemTotal:       24684304 kB\n"), Some(24_684_304 << 10));
    assert_eq!(memory_total("nonsense"), None);
    assert_eq!(cgroup_limit("max\n"), None);
    assert_eq!(cgroup_limit("536870912\n"), Some(512 * MIB));
    assert_eq!(cgroup_limit(""), None);
}
