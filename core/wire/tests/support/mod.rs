//! A server and a client to test the protocol with.
#![allow(dead_code, clippy::unwrap_used, clippy::cast_possible_truncation, clippy::missing_panics_doc)]

pub mod client;
pub mod server;

use std::sync::{Arc, OnceLock};

use aquifer_wire::{AuthPlugin, Capabilities, HandshakeSettings, ServerKeys};

/// Keys made once for all tests of a process.
pub fn keys() -> Arc<ServerKeys> {
    static KEYS: OnceLock<Arc<ServerKeys>> = OnceLock::new();
    KEYS.get_or_init(|| Arc::new(ServerKeys::generate().unwrap())).clone()
}

pub fn settings(default_plugin: AuthPlugin, keys: Option<Arc<ServerKeys>>) -> Arc<HandshakeSettings> {
    Arc::new(HandshakeSettings {
        version: "8.0.40-aquifer".to_owned(),
        capabilities: Capabilities::ALL_SUPPORTED,
        collation: aquifer_types::Collation::UTF8MB4_0900_AI_CI,
        default_plugin,
        keys,
    })
}
