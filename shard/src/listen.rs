//! Accepting clients on every executor.
//!
//! Each executor has its own listening socket on the same address (`SO_REUSEPORT`), so that the kernel
//! spreads the work of accepting; [`crate::spread`] then gives a client to the executor with the fewest, which keeps
//! it. Because the option would also let a second process share the port, the address is first tried without it.
//!
//! Accepting is never cancelled: a [`Stopper`] ends it by shutting the listening sockets down, upon
//! which the pending accept fails.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use monoio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

use crate::executor;
use crate::queue::Receiver;
pub use crate::socket::{Closer, Connection};
use crate::spread::{Arrival, Place, Seated, Spread};

/// Waiting after an accept that failed for want of something (file descriptors, memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a port in use is looked at again.
const PORT_PATIENCE: Duration = Duration::from_secs(3);
const PORT_PAUSE: Duration = Duration::from_millis(20);

/// Settings of the listeners.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// Where clients connect to. Port 0: any free one.
    pub addr: SocketAddr,
    /// Connections that the kernel holds for us, per executor.
    pub backlog: i32,
}

impl ListenOptions {
    /// An address with the usual backlog.
    #[must_use]
    pub fn new(addr: SocketAddr) -> Self {
        Self { addr, backlog: 1024 }
    }
}

/// The listening sockets of one address, one for each executor.
#[derive(Debug)]
pub struct Listeners {
    addr: SocketAddr,
    sockets: Vec<Socket>,
    stopper: Stopper,
}

/// The listening socket of one executor.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    stopper: Stopper,
    spread: Spread,
    arrivals: Receiver<Arrival>,
}

/// Decides whether one more connection is taken.
pub trait Admission {
    /// Called for each accepted socket.
    ///
    /// # Errors
    /// What to send before the socket is closed (may be empty): it is not taken.
    fn admit(&self, peer: SocketAddr) -> Result<(), Bytes>;

    /// Called once when an admitted connection has been closed.
    fn release(&self, peer: SocketAddr);
}

/// An [`Admission`] that counts connections of all executors against one limit.
#[derive(Debug)]
pub struct ConnectionLimit {
    max: usize,
    refusal: Bytes,
    open: AtomicUsize,
}

impl ConnectionLimit {
    /// At most `max` connections; `refusal` is sent to those beyond.
    #[must_use]
    pub fn new(max: usize, refusal: Bytes) -> Self {
        Self { max, refusal, open: AtomicUsize::new(0) }
    }

    /// Connections that are open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

impl Admission for ConnectionLimit {
    fn admit(&self, _peer: SocketAddr) -> Result<(), Bytes> {
        if self.open.fetch_add(1, Ordering::Relaxed) < self.max {
            return Ok(());
        }
        self.open.fetch_sub(1, Ordering::Relaxed);
        Err(self.refusal.clone())
    }

    fn release(&self, _peer: SocketAddr) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<A: Admission> Admission for Arc<A> {
    fn admit(&self, peer: SocketAddr) -> Result<(), Bytes> {
        (**self).admit(peer)
    }

    fn release(&self, peer: SocketAddr) {
        (**self).release(peer);
    }
}

impl Listeners {
    /// Binds `count` sockets to one address.
    ///
    /// # Errors
    /// `AddrInUse` with a remedy in its text when another process has the port; others of the
    /// operating system with the address in their text.
    pub fn bind(options: &ListenOptions, count: usize) -> io::Result<Self> {
        let mut addr = options.addr;
        if addr.port() != 0 {
            wait_until_free(addr).map_err(|error| explained(addr, error))?;
        }
        let mut sockets = Vec::with_capacity(count);
        for _ in 0..count.max(1) {
            let socket = bind_one(addr, options.backlog).map_err(|error| explained(addr, error))?;
            let bound = socket.local_addr()?.as_socket();
            // After the first, port 0 has become a number.
            addr = bound.ok_or_else(|| io::Error::other("a TCP socket has an IP address"))?;
            sockets.push(socket);
        }
        let duplicates: io::Result<Vec<_>> = sockets.iter().map(Socket::try_clone).collect();
        let stopper = Stopper(Arc::new(Mutex::new(duplicates?)));
        Ok(Self { addr, sockets, stopper })
    }

    /// Where clients connect to, with the port that was found.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// One socket for each executor, to be sent there.
    #[must_use]
    pub fn into_sockets(self) -> Vec<Listener> {
        let stopper = self.stopper;
        let shares = Spread::over(self.sockets.len());
        let each = self.sockets.into_iter().zip(shares);
        each.map(|(socket, (spread, arrivals))| Listener {
            socket,
            stopper: stopper.clone(),
            spread,
            arrivals,
        })
        .collect()
    }

    /// Ends the accept loops; may be called from any thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }
}

/// Binds for a moment without SO_REUSEPORT. The kernel closes the sockets of a killed process that used
/// io_uring a little after the process is gone, so a port in use is looked at again for a while.
fn wait_until_free(addr: SocketAddr) -> io::Result<()> {
    let deadline = Instant::now() + PORT_PATIENCE;
    loop {
        match TcpListener::bind(addr) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                std::thread::sleep(PORT_PAUSE);
            }
            other => return other.map(drop),
        }
    }
}

fn bind_one(addr: SocketAddr, backlog: i32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&addr.into())?;
    socket.listen(backlog)?;
    Ok(socket)
}

fn explained(addr: SocketAddr, error: io::Error) -> io::Error {
    let text = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{addr} is in use by another process (`ss -ltnp` shows which): stop it or listen on another \
             port"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!("{addr} is not an address of this machine: use 0.0.0.0 for all of them")
        }
        io::ErrorKind::PermissionDenied => {
            format!("this user may not listen on {addr}: choose a port above 1023")
        }
        _ => format!("cannot listen on {addr}: {error}"),
    };
    io::Error::new(error.kind(), text)
}

/// Ends accept loops from any thread; cheap to clone.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<Mutex<Vec<Socket>>>);

impl Stopper {
    /// Stops accepting. Connections that are open stay so.
    pub fn stop(&self) {
        for socket in self.sockets().drain(..) {
            // Fails only on a socket that does not listen any more.
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    }

    fn is_stopped(&self) -> bool {
        self.sockets().is_empty()
    }

    fn sockets(&self) -> std::sync::MutexGuard<'_, Vec<Socket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives an admission back when the connection's task ends, however it ends.
struct Admitted(Rc<dyn Admission>, SocketAddr);

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.release(self.1);
    }
}

impl Listener {
    /// Accepts until stopped; each connection becomes a task on this executor.
    ///
    /// # Errors
    /// When the socket cannot be used at all. A failed accept is none: it is tried again.
    pub async fn serve<H, Fut>(self, admission: Rc<dyn Admission>, handler: H) -> io::Result<()>
    where
        H: Fn(Connection) -> Fut + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let Self { socket, stopper, spread, arrivals } = self;
        let listener = monoio::net::TcpListener::from_std(socket.into())?;
        let attend: Rc<dyn Fn(TcpStream, SocketAddr, Seated)> = Rc::new({
            let handler = Rc::new(handler);
            move |stream, peer, seated| {
                let (admission, handler) = (Rc::clone(&admission), Rc::clone(&handler));
                executor::spawn(async move {
                    attend(Connection::new(stream, peer), admission, seated, &*handler).await;
                });
            }
        });
        let arrived = Rc::clone(&attend);
        executor::spawn(arrivals.run(move |(stream, peer, seated)| {
            // A socket that cannot be registered is closed; its client sees that.
            if let Ok(stream) = TcpStream::from_std(stream) {
                arrived(stream, peer, seated);
            }
        }));
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    if let Err(seated) = place(&stream, peer, &spread) {
                        attend(stream, peer, seated);
                    }
                }
                Err(_) if stopper.is_stopped() => return Ok(()),
                Err(error) if is_passing(&error) => {}
                Err(_) => executor::sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

/// Gives a client to the executor with the fewest. Its seat when that is this one, or when it cannot move.
fn place(stream: &TcpStream, peer: SocketAddr, spread: &Spread) -> Result<(), Seated> {
    match spread.seat() {
        (Place::Here, seated) => Err(seated),
        (Place::To(other), seated) => match detached(stream) {
            Ok(client) => spread.send(other, (client, peer, seated)),
            Err(_) => Err(seated),
        },
    }
}

/// The same socket for another executor's runtime.
fn detached(stream: &TcpStream) -> io::Result<std::net::TcpStream> {
    // SAFETY: the descriptor is open as long as `stream` is.
    let borrowed = unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) };
    borrowed.try_clone_to_owned().map(Into::into)
}

async fn attend<H, Fut>(mut connection: Connection, admission: Rc<dyn Admission>, seated: Seated, handler: &H)
where
    H: Fn(Connection) -> Fut,
    Fut: Future<Output = ()>,
{
    let peer = connection.peer();
    match admission.admit(peer) {
        Ok(()) => {
            let _admitted = Admitted(admission, peer);
            let _seated = seated;
            handler(connection).await;
        }
        // The client may be gone already; nobody misses the refusal then.
        Err(refusal) => {
            let _ = connection.write_all(&refusal).await;
            let _ = connection.shutdown().await;
        }
    }
}

/// The client went away before it was accepted, or a signal came.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}
