//! What idle connections cost. Alone in its process, because it looks at the whole of it.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use aquifer_wire::auth::NativeVerifier;
use aquifer_wire::{AuthCache, AuthPlugin, Channel, Credential, Salt, Transport};
use support::client::{Client, Options};
use support::server::Server;

const CONNECTIONS: usize = 300;

/// Resident bytes of this process.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Resident bytes for each of many connections that have answered a query and are idle.
fn cost(tls: bool) -> usize {
    let settings = support::settings(AuthPlugin::Native, Some(support::keys()));
    let credential = Credential::Native(Some(NativeVerifier::from_password(b"secret")));
    let accounts = Arc::new([("native".to_owned(), credential)].into());
    let cache = Arc::new(AuthCache::new());
    let options = Options { tls, ..Options::new("native", "secret", "mysql_native_password") };
    let connect = || {
        let salt = Salt::from_entropy([9; 20]);
        let server =
            Server::new(settings.clone(), Transport::Network, Arc::clone(&accounts), cache.clone(), salt);
        let mut client = Client::connect(server, &options).unwrap();
        client.query("rows 100").unwrap();
        std::mem::replace(&mut client.server.channel, Channel::new())
    };
    let warm: Vec<Channel> = (0..50).map(|_| connect()).collect();
    let before = resident();
    let idle: Vec<Channel> = (0..CONNECTIONS).map(|_| connect()).collect();
    let each = resident().saturating_sub(before) / CONNECTIONS;
    drop((warm, idle));
    each
}

#[test]
fn idle_connections_cost_little() {
    let (plain, tls) = (cost(false), cost(true));
    println!("plain {plain} bytes, TLS {tls} bytes");
    assert!(size_of::<Channel>() <= 256, "{}", size_of::<Channel>());
    assert!(plain < 2 * 1024, "{plain} bytes for a plain connection");
    assert!(tls < 14 * 1024, "{tls} bytes for a TLS connection");
}
