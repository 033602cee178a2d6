//! Between a session and the socket that its owner reads and writes.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use crate::node::LocalFuture;

/// Takes bytes away before a command has ended: the backpressure of a large result.
///
/// What a command leaves in its `out` buffer is written by the owner of the session afterwards, so that
/// short answers never come here.
pub trait Output {
    /// Writes all of `bytes` to the client and gives the buffer back, emptied, for the next part.
    ///
    /// # Errors
    /// The client is gone; the session then ends the command and says [`SessionFlow::Close`].
    fn flush(&mut self, bytes: Vec<u8>) -> LocalFuture<'_, io::Result<Vec<u8>>>;
}

/// What the owner of a session does after it has written the session's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionFlow {
    /// Read more and hand it over.
    Continue,
    /// Close the connection and drop the session.
    Close,
}

/// Shuts a socket down from any thread, so that a read that waits on it returns.
pub type Closer = Arc<dyn Fn() + Send + Sync>;

/// Who is at the other end of the socket.
#[derive(Clone)]
pub struct PeerInfo {
    /// The client's address; `None` for a unix socket.
    pub address: Option<IpAddr>,
    /// The client's port; 0 for a unix socket.
    pub port: u16,
    /// Called by KILL CONNECTION, by the idle timeout and at shutdown, from any thread and possibly
    /// more than once: `shutdown(2)` of both directions.
    pub closer: Closer,
}

impl PeerInfo {
    /// Whether the client is on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self.address {
            None => true,
            Some(IpAddr::V4(address)) => address.is_loopback(),
            Some(IpAddr::V6(address)) => {
                address.is_loopback() || address.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback())
            }
        }
    }

    /// The host as accounts and messages name it: `localhost` for a client on this machine, else its
    /// address. Names are not resolved.
    #[must_use]
    pub fn host(&self) -> String {
        match self.address {
            _ if self.is_local() => "localhost".to_owned(),
            Some(IpAddr::V6(address)) => {
                address.to_ipv4_mapped().map_or_else(|| address.to_string(), |v4| v4.to_string())
            }
            Some(IpAddr::V4(address)) => address.to_string(),
            None => "localhost".to_owned(),
        }
    }
}
