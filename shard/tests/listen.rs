//! Accepting, reading and writing on real sockets.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use aquifer_shard::executor::{DriverKind, ExecutorOptions, Executors, Pinning};
use aquifer_shard::listen::{Closer, Connection, ConnectionLimit, ListenOptions, Listeners, Stopper};
use bytes::{Bytes, BytesMut};

struct Server {
    addr: SocketAddr,
    executors: Executors,
    stopper: Stopper,
    limit: Arc<ConnectionLimit>,
    closers: mpsc::Receiver<(ThreadId, Closer)>,
}

fn any_port() -> ListenOptions {
    ListenOptions::new("127.0.0.1:0".parse().unwrap())
}

/// Echoes everything back, in two parts.
async fn echo(mut connection: Connection) {
    let mut buffer = BytesMut::new();
    loop {
        if connection.readable().await.is_err() {
            return;
        }
        match connection.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let data = buffer.split();
        let (head, tail) = data.split_at(data.len() / 2);
        if connection.write_all_vectored(&[head, b"", tail]).await.is_err() {
            return;
        }
    }
}

fn serve(driver: DriverKind, connections_max: usize) -> Server {
    let listeners = Listeners::bind(&any_port(), 2).unwrap();
    let (addr, stopper) = (listeners.local_addr(), listeners.stopper());
    let sockets = Mutex::new(listeners.into_sockets().into_iter().map(Some).collect::<Vec<_>>());
    let limit = Arc::new(ConnectionLimit::new(connections_max, Bytes::from_static(b"full")));
    let admission = Arc::clone(&limit);
    let (to_closers, closers) = mpsc::channel();
    let options = ExecutorOptions {
        count: Some(2),
        pinning: Pinning::None,
        driver,
        grace: Duration::from_secs(5),
        ..ExecutorOptions::default()
    };
    let executors = Executors::start(options, move |id| {
        let listener = sockets.lock().unwrap()[usize::from(id.0)].take().unwrap();
        let admission = Rc::new(Arc::clone(&admission));
        let to_closers = to_closers.clone();
        async move {
            let handler = move |mut connection: Connection| {
                let _ = to_closers.send((thread::current().id(), connection.closer()));
                echo(connection)
            };
            listener.serve(admission, handler).await.unwrap();
        }
    })
    .unwrap();
    Server { addr, executors, stopper, limit, closers }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

const DRIVERS: [DriverKind; 2] = [DriverKind::Auto, DriverKind::Epoll];

#[test]
fn echo_of_small_and_large_messages_on_many_connections() {
    for driver in DRIVERS {
        let server = serve(driver, 100);
        let clients: Vec<_> = (0..20_u8)
            .map(|number| {
                let addr = server.addr;
                thread::spawn(move || {
                    let mut stream = TcpStream::connect(addr).unwrap();
                    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                    for bytes in [1, 10, 5000, 300_000, 3] {
                        let message = vec![number; bytes];
                        let mut writing = stream.try_clone().unwrap();
                        let sent = message.clone();
                        let writer = thread::spawn(move || writing.write_all(&sent).unwrap());
                        let mut back = vec![0; bytes];
                        stream.read_exact(&mut back).unwrap();
                        assert_eq!(back, message);
                        writer.join().unwrap();
                    }
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        eventually("all connections are given back", || server.limit.open() == 0);
        server.stopper.stop();
        server.executors.shutdown().unwrap();
    }
}

#[test]
fn connection_beyond_the_limit_gets_the_refusal() {
    let server = serve(DriverKind::Auto, 1);
    let first = TcpStream::connect(server.addr).unwrap();
    eventually("the first is open", || server.limit.open() == 1);
    let mut text = String::new();
    TcpStream::connect(server.addr).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "full");
    drop(first);
    eventually("the first is given back", || server.limit.open() == 0);
    server.stopper.stop();
    server.executors.shutdown().unwrap();
}

#[test]
fn clients_are_spread_evenly_over_executors() {
    for driver in DRIVERS {
        let server = serve(driver, 100);
        let mut clients = HashMap::<ThreadId, Vec<TcpStream>>::new();
        let connect = |clients: &mut HashMap<ThreadId, Vec<TcpStream>>| {
            let client = TcpStream::connect(server.addr).unwrap();
            let (executor, _) = server.closers.recv_timeout(Duration::from_secs(10)).unwrap();
            clients.entry(executor).or_default().push(client);
        };
        (0..20).for_each(|_| connect(&mut clients));
        assert!(clients.values().all(|of_one| of_one.len() == 10), "{clients:?}");
        // Seats that are given back are taken by the next.
        let emptied = *clients.keys().next().unwrap();
        clients.insert(emptied, Vec::new());
        eventually("ten connections are given back", || server.limit.open() == 10);
        (0..10).for_each(|_| connect(&mut clients));
        assert_eq!(clients[&emptied].len(), 10);
        drop(clients);
        server.stopper.stop();
        server.executors.shutdown().unwrap();
    }
}

#[test]
fn closer_breaks_a_connection_from_another_thread_and_outlives_it() {
    for driver in DRIVERS {
        let server = serve(driver, 10);
        let mut client = TcpStream::connect(server.addr).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let (_, closer) = server.closers.recv_timeout(Duration::from_secs(10)).unwrap();
        closer.close();
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
        eventually("the connection is given back", || server.limit.open() == 0);
        closer.close();
        server.stopper.stop();
        server.executors.shutdown().unwrap();
    }
}

#[test]
fn stop_frees_the_port_and_keeps_open_connections() {
    for driver in DRIVERS {
        let server = serve(driver, 10);
        let mut client = TcpStream::connect(server.addr).unwrap();
        client.write_all(b"a").unwrap();
        client.read_exact(&mut [0]).unwrap();
        server.stopper.stop();
        eventually("new clients are refused", || TcpStream::connect(server.addr).is_err());
        client.write_all(b"b").unwrap();
        client.read_exact(&mut [0]).unwrap();
        drop(client);
        server.executors.shutdown().unwrap();
        Listeners::bind(&ListenOptions::new(server.addr), 2).unwrap();
    }
}

#[test]
fn bind_to_a_port_in_use_is_an_error_that_says_what_to_do() {
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = ListenOptions::new(plain.local_addr().unwrap());
    let error = Listeners::bind(&options, 1).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains("another port"), "{error}");

    let ours = Listeners::bind(&any_port(), 2).unwrap();
    let error = Listeners::bind(&ListenOptions::new(ours.local_addr()), 2).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse, "not even a second one of ours");
}
