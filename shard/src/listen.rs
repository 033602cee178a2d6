//! Accepting clients on every executor.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};

/// Settings of the listeners.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// Where clients connect to. Port 0: any free one.
    pub addr: SocketAddr,
    /// Connections that the kernel holds for us, per executor.
    pub backlog: i32,
}

/// The listening sockets of one address, one for each executor.
#[derive(Debug)]
pub struct Listeners {}

/// The listening socket of one executor.
#[derive(Debug)]
pub struct Listener {}

/// Decides whether one more connection is taken.
pub trait Admission {
    /// Called for each accepted socket. `Err`: what to send before closing it (may be empty).
    ///
    /// # Errors
    /// As said.
    fn admit(&self, peer: SocketAddr) -> Result<(), Bytes>;
    /// Called once when an admitted connection has been closed.
    fn release(&self, peer: SocketAddr);
}

#[allow(unused_variables, missing_docs, clippy::missing_errors_doc)]
impl Listeners {
    /// `AddrInUse` with a remedy in its text when another process has the port.
    pub fn bind(options: &ListenOptions, count: usize) -> io::Result<Self> {
        todo!()
    }
    pub fn local_addr(&self) -> SocketAddr {
        todo!()
    }
    /// One socket for each executor, to be sent there.
    pub fn into_sockets(self) -> Vec<Listener> {
        todo!()
    }
    /// Ends the accept loops; may be called from any thread.
    pub fn stopper(&self) -> Stopper {
        todo!()
    }
}

/// Ends accept loops from any thread.
#[derive(Clone, Debug)]
pub struct Stopper {}

#[allow(missing_docs)]
impl Stopper {
    pub fn stop(&self) {
        todo!()
    }
}

#[allow(unused_variables, missing_docs, clippy::missing_errors_doc)]
impl Listener {
    /// Accepts until stopped; each connection becomes a task on this executor.
    pub async fn serve<H, Fut>(self, admission: Rc<dyn Admission>, handler: H) -> io::Result<()>
    where
        H: Fn(Connection) -> Fut + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        todo!()
    }
}

/// A client's socket on its executor.
#[derive(Debug)]
pub struct Connection {}

#[allow(unused_variables, missing_docs, clippy::missing_errors_doc)]
impl Connection {
    pub fn peer(&self) -> SocketAddr {
        todo!()
    }
    /// Waits until there is something to read (or the end), without holding a buffer.
    pub async fn readable(&mut self) -> io::Result<()> {
        todo!()
    }
    /// Appends what has arrived, waiting for at least one byte; 0: the end.
    pub async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        todo!()
    }
    /// Appends what has arrived without waiting; `None`: nothing yet.
    pub fn try_read(&mut self, buffer: &mut BytesMut) -> io::Result<Option<usize>> {
        todo!()
    }
    pub async fn write_all(&mut self, data: &[u8]) -> io::Result<()> {
        todo!()
    }
    pub async fn write_all_vectored(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        todo!()
    }
    pub async fn shutdown(&mut self) -> io::Result<()> {
        todo!()
    }
}
