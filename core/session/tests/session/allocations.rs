//! How often the hottest statements allocate. Counts do not depend on the machine, so that a test can hold them.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::BytesMut;

use crate::client::{Client, Server, block_on, packet};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, which counts the calls of each thread.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: everything is handed on to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

const RUNS: u64 = 100;

/// Allocations of one command of `client`, when it has been run before; those of the node in memory are in it, those
/// of sending and receiving are not.
fn allocations(client: &mut Client, command: &[u8]) -> f64 {
    let mut out = Vec::with_capacity(1 << 16);
    let mut input = BytesMut::with_capacity(1 << 20);
    let mut run = || {
        input.extend_from_slice(&packet(0, command));
        let before = ALLOCATIONS.get();
        client.flow = block_on(client.session.on_bytes(&mut input, &mut out, &mut client.streamed));
        let after = ALLOCATIONS.get();
        assert!(out.len() > 5 && out[4] != 0xff, "{}", String::from_utf8_lossy(&out));
        out.clear();
        after - before
    };
    (0..3).for_each(|_| assert!(run() > 0));
    let total: u64 = (0..RUNS).map(|_| run()).sum();
    #[allow(clippy::cast_precision_loss)]
    let each = total as f64 / RUNS as f64;
    println!("{}: {each}", String::from_utf8_lossy(command));
    each
}

fn query(text: &str) -> Vec<u8> {
    [b"\x03", text.as_bytes()].concat()
}

#[test]
fn hot_statements_allocate_little() {
    let server = Server::new();
    let mut client = server.root();
    client.run("CREATE DATABASE d");
    client.run("USE d");
    client.run("CREATE TABLE t (id INT PRIMARY KEY, k INT NOT NULL, c CHAR(120) NOT NULL, KEY (k))");
    client.run("INSERT INTO t VALUES (1, 1, 'one'), (2, 2, 'two')");
    // Three of them are the node's in memory: its transaction, and two copies of its rows.
    let point = allocations(&mut client, &query("SELECT c FROM t WHERE id = 1"));
    let range = allocations(&mut client, &query("SELECT c FROM t WHERE id BETWEEN 1 AND 2"));
    let update = allocations(&mut client, &query("UPDATE t SET k = k + 1 WHERE id = 1"));
    let found = format!("point select {point}, range {range}, update {update}");
    assert!(point <= 11.0 && range <= 27.0 && update <= 28.0, "{found}");
}
