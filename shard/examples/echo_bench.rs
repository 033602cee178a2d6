//! Requests a CPU second over loopback: `echo_bench [connections] [seconds] [auto|epoll] [idle]`.
//!
//! One executor answers 64-byte requests with 64 bytes; clients run on blocking threads of the same
//! process, each with `connections / 4` sockets that it serves in turn. Printed: requests a second,
//! and the executor thread's CPU time for each. `idle` more connections are open and say nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use aquifer_shard::executor::{DriverKind, ExecutorId, ExecutorOptions, Executors, Pinning};
use aquifer_shard::listen::{Connection, ConnectionLimit, ListenOptions, Listeners};
use bytes::{Bytes, BytesMut};

const CLIENTS: usize = 4;

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: usize| args.get(at).and_then(|a| a.parse().ok()).unwrap_or(default);
    let (connections, seconds, idle) = (number(0, 16), number(1, 3), number(3, 0));
    let driver = if args.get(2).is_some_and(|a| a == "epoll") { DriverKind::Epoll } else { DriverKind::Auto };

    let listeners = Listeners::bind(&ListenOptions::new(SocketAddr::from(([127, 0, 0, 1], 0))), 1)?;
    let addr = listeners.local_addr();
    let listener = Mutex::new(listeners.into_sockets().pop());
    let options =
        ExecutorOptions { count: Some(1), pinning: Pinning::None, driver, ..ExecutorOptions::default() };
    let executors = Executors::start(options, move |_| {
        let listener = listener.lock().ok().and_then(|mut l| l.take());
        async move {
            let Some(listener) = listener else { return };
            let limit = Rc::new(ConnectionLimit::new(100_000, Bytes::new()));
            if let Err(error) = listener.serve(limit, echo).await {
                eprintln!("{error}");
            }
        }
    })?;
    let quiet: Vec<TcpStream> = (0..idle).map(|_| TcpStream::connect(addr)).collect::<Result<_, _>>()?;
    let (stop, requests) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let threads: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (stop, requests) = (Arc::clone(&stop), Arc::clone(&requests));
            thread::spawn(move || client(addr, connections.div_ceil(CLIENTS), &stop, &requests))
        })
        .collect();
    thread::sleep(Duration::from_millis(500));
    let (before, cpu_before, begun) = (requests.load(Ordering::Relaxed), cpu(&executors), Instant::now());
    thread::sleep(Duration::from_secs(seconds as u64));
    let (after, cpu_after, took) = (requests.load(Ordering::Relaxed), cpu(&executors), begun.elapsed());
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        let _ = thread.join();
    }
    drop(quiet);
    #[allow(clippy::cast_precision_loss, reason = "a report")]
    let count = (after - before) as f64;
    println!(
        "{:?}: {connections} connections, {idle} idle: {:.0} requests/s, {:.2} us of executor CPU each, {:.0} requests a CPU second",
        executors.handle().driver(),
        count / took.as_secs_f64(),
        (cpu_after - cpu_before).as_secs_f64() * 1e6 / count,
        count / (cpu_after - cpu_before).as_secs_f64(),
    );
    Ok(())
}

async fn echo(mut connection: Connection) {
    let mut buffer = BytesMut::new();
    loop {
        if connection.readable().await.is_err() || !matches!(connection.read(&mut buffer).await, Ok(1..)) {
            return;
        }
        if connection.write_all(&buffer).await.is_err() {
            return;
        }
        buffer.clear();
    }
}

fn client(addr: SocketAddr, sockets: usize, stop: &AtomicBool, requests: &AtomicU64) -> std::io::Result<()> {
    let mut streams = Vec::new();
    for _ in 0..sockets {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let mut message = [7; 64];
    while !stop.load(Ordering::Relaxed) {
        for stream in &mut streams {
            stream.write_all(&message)?;
        }
        for stream in &mut streams {
            stream.read_exact(&mut message)?;
        }
        requests.fetch_add(streams.len() as u64, Ordering::Relaxed);
    }
    Ok(())
}

/// CPU time that the executor's thread has used.
fn cpu(executors: &Executors) -> Duration {
    let (answer, result) = mpsc::channel();
    let asked = executors.handle().spawn_on_blocking(ExecutorId(0), move || async move {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let nanos = text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        let _ = answer.send(Duration::from_nanos(nanos));
    });
    match asked {
        Ok(()) => result.recv().unwrap_or_default(),
        Err(_) => Duration::ZERO,
    }
}
