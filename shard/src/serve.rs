//! Serving clients: one task a connection, which moves bytes between its socket and its session.
//!
//! A connection that waits for its client holds no buffer: it waits for readiness, then reads into a buffer
//! that goes away when the command is answered.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use aquifer_session::node::LocalFuture;
use aquifer_session::{Output, PeerInfo, Session, SessionFlow, SessionHost};
use bytes::BytesMut;

use crate::listen::Connection;

/// Room for one read.
const READ_BYTES: usize = 16 << 10;

/// Serves one client until it goes away or is sent away.
pub async fn serve(host: Rc<SessionHost>, connection: Connection) {
    // A client that breaks the connection is no event for anybody.
    let _ = serve_client(&host, connection).await;
}

async fn serve_client(host: &Rc<SessionHost>, mut connection: Connection) -> io::Result<()> {
    let address = connection.peer();
    let closer = connection.closer();
    let peer = PeerInfo {
        address: Some(address.ip()),
        port: address.port(),
        closer: Arc::new(move || closer.close()),
    };
    let mut session = Box::new(Session::new(host, peer));
    let mut out = Vec::new();
    let mut flow = session.initial_bytes(&mut out);
    connection.write_all(&out).await?;
    let mut input = BytesMut::new();
    while flow == SessionFlow::Continue {
        connection.readable().await?;
        input.reserve(READ_BYTES);
        if connection.read(&mut input).await? == 0 {
            return Ok(());
        }
        let mut out = Vec::new();
        let mut output = SocketOutput { connection: &mut connection };
        flow = session.on_bytes(&mut input, &mut out, &mut output).await;
        if !out.is_empty() {
            connection.write_all(&out).await?;
        }
        if input.is_empty() {
            input = BytesMut::new();
        }
    }
    connection.shutdown().await
}

/// The way out for parts of a large result.
struct SocketOutput<'a> {
    connection: &'a mut Connection,
}

impl Output for SocketOutput<'_> {
    fn flush(&mut self, mut bytes: Vec<u8>) -> LocalFuture<'_, io::Result<Vec<u8>>> {
        Box::pin(async move {
            self.connection.write_all(&bytes).await?;
            bytes.clear();
            Ok(bytes)
        })
    }
}
