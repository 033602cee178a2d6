//! How much memory and disk a node takes when nobody says: a pure function of the machine, and what the
//! machine says of itself.
//!
//! Half of the memory is for the caches of all nodes of the process, in the proportion one for rows to three
//! for blocks; a memtable takes a 64th of a node's memory, at most 64 MiB, and up to five of them wait (one
//! that fills, four frozen). The rest is for sessions, indexes and filters of open tables (about 6 bytes for a
//! thousand of data), and the operating system. The disk cache takes a tenth of what is free, at most 8 GiB for
//! each node: a hit there saves a request to the store and its 25 ms.

use std::fs;
use std::path::Path;

/// What a machine has that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Memory that the process may use.
    pub memory_bytes: u64,
    /// What can still be written to the disk of the node's directory.
    pub free_disk_bytes: u64,
}

/// Defaults for one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Rows in memory.
    pub row_cache_bytes: usize,
    /// Blocks in memory.
    pub block_cache_bytes: usize,
    /// Blocks on the local disk; 0 for none.
    pub disk_cache_bytes: u64,
    /// Size at which a memtable is flushed.
    pub memtable_bytes: usize,
}

const MIB: u64 = 1 << 20;
/// Assumed of a machine that does not say.
const MEMORY_UNKNOWN: u64 = 4 << 30;
const MEMTABLE_BYTES_MIN: u64 = 4 * MIB;
const MEMTABLE_BYTES_MAX: u64 = 64 * MIB;
const DISK_CACHE_BYTES_MAX: u64 = 8 << 30;
/// A smaller disk cache is not worth its file.
const DISK_CACHE_BYTES_MIN: u64 = 64 * MIB;

impl Sizes {
    /// The defaults for each of `nodes` nodes of a process.
    #[must_use]
    pub fn choose(machine: Machine, nodes: u64) -> Self {
        let memory = machine.memory_bytes / nodes.max(1);
        let disk = (machine.free_disk_bytes / 10 / nodes.max(1)).min(DISK_CACHE_BYTES_MAX);
        Self {
            row_cache_bytes: size(memory / 8),
            block_cache_bytes: size(memory / 8 * 3),
            disk_cache_bytes: if disk < DISK_CACHE_BYTES_MIN { 0 } else { disk },
            memtable_bytes: size((memory / 64).clamp(MEMTABLE_BYTES_MIN, MEMTABLE_BYTES_MAX)),
        }
    }
}

impl Machine {
    /// This machine, or the container that limits the process, with the disk that has `path` or will have it.
    #[must_use]
    pub fn here(path: &Path) -> Self {
        let total = memory_total(&fs::read_to_string("/proc/meminfo").unwrap_or_default());
        let limit = cgroup_limit(&fs::read_to_string("/sys/fs/cgroup/memory.max").unwrap_or_default());
        let memory_bytes = total.unwrap_or(MEMORY_UNKNOWN).min(limit.unwrap_or(u64::MAX));
        Self { memory_bytes, free_disk_bytes: free_disk_bytes(path) }
    }
}

/// Bytes of memory as `/proc/meminfo` tells.
fn memory_total(text: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = rest.trim().trim_end_matches(" kB").parse().ok()?;
    kib.checked_mul(1024)
}

/// A container's limit; `None` for none.
fn cgroup_limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|bytes| *bytes > 0)
}

fn free_disk_bytes(path: &Path) -> u64 {
    let existing = path.ancestors().find(|part| part.exists()).unwrap_or(Path::new("."));
    disk_bytes(existing).map_or(0, |disk| disk.free)
}

/// A disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DiskBytes {
    /// What may still be written.
    pub free: u64,
    /// All that it holds.
    pub all: u64,
}

/// The disk of an existing path; `None` when the system does not tell.
pub(crate) fn disk_bytes(existing: &Path) -> Option<DiskBytes> {
    let name = std::ffi::CString::new(existing.as_os_str().as_encoded_bytes()).ok()?;
    // SAFETY: an all-zero statvfs is a valid value of that plain C struct.
    let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the name is a C string and the struct is writable, both for the time of the call.
    if unsafe { libc::statvfs(name.as_ptr(), &raw mut stat) } != 0 {
        return None;
    }
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Some(DiskBytes { free: bytes(stat.f_bavail), all: bytes(stat.f_blocks) })
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
#[path = "sizes_test.rs"]
mod sizes_test;
