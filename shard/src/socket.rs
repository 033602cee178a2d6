//! A client's socket on its executor.
//!
//! Reading and writing are tried by a plain system call first; only when the socket is not ready does
//! the task wait for readiness in the ring. So a connection that waits for its client holds no buffer,
//! and an answer leaves at once.
//!
//! A client that always has more to say must not keep the executor to itself: after
//! [`UNWAITED_READS_MAX`] reads that needed no wait the task goes through the ring once.
//!
//! Unsafe lives here: borrowing the descriptor that the runtime owns, and taking over bytes that the
//! kernel has put into spare room.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use monoio::io::AsyncWriteRent;
use monoio::net::TcpStream;
use socket2::SockRef;

/// Reads without a wait before others get their turn.
const UNWAITED_READS_MAX: u32 = 16;
/// Least spare room that a read is given.
const READ_BYTES_MIN: usize = 4096;
/// Parts that go out by one system call.
const PARTS_MAX: usize = 64;

/// A client's socket on its executor.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    unwaited_reads: u32,
    closer: Option<Closer>,
}

/// Breaks a connection from any thread: its reads then see the end. Outlives the connection harmlessly.
#[derive(Clone, Debug)]
pub struct Closer(Arc<Mutex<Option<RawFd>>>);

impl Closer {
    /// Ends the connection in both directions, if it still exists.
    pub fn close(&self) {
        let fd = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fd) = *fd {
            // SAFETY: the connection takes the number out, under this lock, before it closes it.
            let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
            // Fails only when the client is gone already.
            let _ = SockRef::from(&borrowed).shutdown(Shutdown::Both);
        }
    }

    fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(closer) = &self.closer {
            closer.forget();
        }
    }
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, peer: SocketAddr) -> Self {
        // Without it answers wait for acknowledgements; a socket that refuses is broken anyway.
        let _ = stream.set_nodelay(true);
        Self { stream, peer, unwaited_reads: 0, closer: None }
    }

    /// The client's address.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// A handle that breaks this connection from any thread.
    pub fn closer(&mut self) -> Closer {
        let fd = self.stream.as_raw_fd();
        self.closer.get_or_insert_with(|| Closer(Arc::new(Mutex::new(Some(fd))))).clone()
    }

    /// Waits until there is something to read, or the end, without holding a buffer.
    ///
    /// # Errors
    /// The socket's.
    pub async fn readable(&mut self) -> io::Result<()> {
        self.unwaited_reads = 0;
        self.stream.readable(false).await
    }

    /// Appends what has arrived, waiting for at least one byte; 0: the client has finished.
    ///
    /// # Errors
    /// The socket's.
    pub async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        loop {
            if self.unwaited_reads >= UNWAITED_READS_MAX {
                self.readable().await?;
            }
            self.unwaited_reads += 1;
            match self.try_read(buffer)? {
                Some(bytes) => return Ok(bytes),
                None => self.readable().await?,
            }
        }
    }

    /// Appends what has arrived without waiting; `None`: nothing yet; 0: the client has finished.
    ///
    /// # Errors
    /// The socket's.
    pub fn try_read(&mut self, buffer: &mut BytesMut) -> io::Result<Option<usize>> {
        if buffer.capacity() - buffer.len() < READ_BYTES_MIN {
            buffer.reserve(READ_BYTES_MIN);
        }
        let received = self
            .with_socket(|socket| socket.recv_with_flags(buffer.spare_capacity_mut(), libc::MSG_DONTWAIT));
        let Some(bytes) = not_yet(received)? else { return Ok(None) };
        let filled = buffer.len() + bytes;
        // SAFETY: the kernel has written `bytes` bytes from the old end on, within the capacity.
        unsafe { buffer.set_len(filled) };
        Ok(Some(bytes))
    }

    /// Sends all of `data`, waiting while the client does not take it.
    ///
    /// # Errors
    /// The socket's. How much has been sent is then unknown.
    pub async fn write_all(&mut self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            let sent = self.with_socket(|socket| socket.send_with_flags(data, flags));
            match not_yet(sent)? {
                Some(bytes) => data = data.get(bytes..).unwrap_or_default(),
                None => self.stream.writable(false).await?,
            }
        }
        Ok(())
    }

    /// As [`Connection::write_all`] of the parts joined, without joining them.
    ///
    /// # Errors
    /// As [`Connection::write_all`].
    pub async fn write_all_vectored(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        for group in parts.chunks(PARTS_MAX) {
            let mut slices: Vec<IoSlice<'_>> = group.iter().map(|part| IoSlice::new(part)).collect();
            let mut left = slices.as_mut_slice();
            IoSlice::advance_slices(&mut left, 0);
            while !left.is_empty() {
                let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
                let sent = self.with_socket(|socket| socket.send_vectored_with_flags(left, flags));
                match not_yet(sent)? {
                    Some(bytes) => IoSlice::advance_slices(&mut left, bytes),
                    None => self.stream.writable(false).await?,
                }
            }
        }
        Ok(())
    }

    /// Tells the client that nothing more comes.
    ///
    /// # Errors
    /// The socket's; `NotConnected` when the client is gone already.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    fn with_socket<T>(&self, act: impl FnOnce(SockRef<'_>) -> T) -> T {
        // SAFETY: the stream owns the descriptor and is borrowed for as long as this borrow lives.
        let borrowed = unsafe { BorrowedFd::borrow_raw(self.stream.as_raw_fd()) };
        act(SockRef::from(&borrowed))
    }
}

/// `None` for a socket that is not ready.
fn not_yet(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        },
    }
}
