//! A server without SQL, to try real clients on: `cargo run --example demo_server -- 127.0.0.1:3399`.
//!
//! Users: `sha2` and `native` with password `secret`, `empty` without one.
#![allow(clippy::unwrap_used)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use aquifer_wire::{AuthCache, AuthPlugin, Credential, Salt, Transport};
use support::server::Server;

fn main() {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3399".to_owned());
    let settings = support::settings(AuthPlugin::CachingSha2, Some(support::keys()));
    let accounts: HashMap<_, _> = [
        ("sha2", Credential::from_password(AuthPlugin::CachingSha2, b"secret").unwrap()),
        ("native", Credential::from_password(AuthPlugin::Native, b"secret").unwrap()),
        ("empty", Credential::CachingSha2(None)),
    ]
    .map(|(user, credential)| (user.to_owned(), credential))
    .into();
    let (accounts, cache) = (Arc::new(accounts), Arc::new(AuthCache::new()));
    let listener = TcpListener::bind(&address).unwrap();
    println!("listening on {address}");
    for stream in listener.incoming() {
        let (settings, accounts, cache) = (settings.clone(), accounts.clone(), cache.clone());
        let server = Server::new(settings, Transport::Network, accounts, cache, Salt::random().unwrap());
        std::thread::spawn(move || serve(server, stream.unwrap()));
    }
}

fn serve(mut server: Server, mut stream: TcpStream) {
    let mut buffer = vec![0; 65_536];
    let mut count = 0;
    loop {
        let output = server.exchange(&buffer[..count]);
        for line in server.log.drain(..) {
            println!("{line}");
        }
        if stream.write_all(&output).is_err() || server.closing {
            return;
        }
        count = stream.read(&mut buffer).unwrap_or(0);
        if count == 0 {
            return;
        }
    }
}
