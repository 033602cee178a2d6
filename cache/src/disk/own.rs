//! Reads that the asking thread does itself, without the reading thread between.
//!
//! A thread that runs tasks on a ring of its own (an executor) says so with [`install`]. What is asked on it from then
//! on goes to that ring, and the answer comes from it: no other thread is woken. How the ring is driven is the
//! installer's business; this module hands it reads and takes what they brought.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use futures_channel::oneshot;

use super::index::Location;
use super::reads::{ReadFault, Reply, pages_of, verify};

/// One read that a thread is asked to do. Dropping it is a miss for whoever waits.
#[derive(Debug)]
pub struct OwnRead {
    file: Arc<File>,
    location: Location,
    reply: oneshot::Sender<Reply>,
}

/// A thread's way to read files without blocking.
pub trait OwnReads {
    /// Starts a read and returns at once; [`OwnRead::finish`] is called on the same thread when it has ended.
    ///
    /// # Errors
    /// Gives the read back when it cannot be started; the reading thread does it then.
    fn start(&self, read: OwnRead) -> Result<(), OwnRead>;
}

thread_local! {
    static OWN: RefCell<Option<Rc<dyn OwnReads>>> = const { RefCell::new(None) };
}

/// From now on the calling thread does its reads itself; `None`: no longer.
pub fn install(own: Option<Rc<dyn OwnReads>>) {
    // What was there may read when it is dropped, so it is dropped after the borrow.
    drop(OWN.replace(own));
}

/// Starts a read on the calling thread's own ring, if it has one.
pub(super) fn ask(file: &Arc<File>, location: Location) -> Option<oneshot::Receiver<Reply>> {
    let own = OWN.with_borrow(Clone::clone)?;
    let (reply, answer) = oneshot::channel();
    own.start(OwnRead { file: Arc::clone(file), location, reply }).ok().map(|()| answer)
}

impl OwnRead {
    /// The file.
    #[must_use]
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Where to begin, a multiple of [`super::PAGE_BYTES`].
    #[must_use]
    pub fn position(&self) -> u64 {
        pages_of(self.location).0
    }

    /// How many bytes to read, a multiple of [`super::PAGE_BYTES`], into memory with that alignment.
    #[must_use]
    pub fn bytes(&self) -> usize {
        pages_of(self.location).1
    }

    /// Takes what the device brought, verifies it, and answers whoever waits.
    pub fn finish(self, brought: io::Result<&[u8]>) {
        let answer = brought.map_err(ReadFault::Io).and_then(|pages| verify(self.location, pages));
        // Who asked may have gone.
        let _ = self.reply.send(answer);
    }
}
