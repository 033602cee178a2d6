//! The thread that reads for all that have no ring of their own ([`super::own`]).
//!
//! Requests come through a bounded queue; the answer goes back through a one-shot channel, whose waker
//! works on any executor. The doorbell is rung only when the thread sleeps. Bytes are verified here,
//! before anybody sees them.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use bytes::Bytes;
use crossbeam_queue::ArrayQueue;
use futures_channel::oneshot;

use super::index::Location;
use super::layout::{PAGE, PAGE_BYTES};
use super::own;
use super::ring::{Finished, ReadRing};
use super::sys::{self, AlignedBuf};
use crate::config::IoEngine;

/// Requests that wait beside those in flight; more are answered as misses.
const QUEUE_MAX: usize = 1024;

/// Why a read brought nothing.
#[derive(Debug)]
pub(super) enum ReadFault {
    /// The bytes are not what the index says.
    Checksum,
    /// The device failed.
    Io(io::Error),
}

pub(super) type Reply = Result<Bytes, ReadFault>;

struct Request {
    location: Location,
    reply: oneshot::Sender<Reply>,
}

/// What the thread and those who ask it share.
pub(super) struct ReadQueue {
    requests: ArrayQueue<Request>,
    file: Arc<File>,
    engine: IoEngine,
    doorbell: Arc<File>,
    sleeping: AtomicBool,
    stop: AtomicBool,
}

impl ReadQueue {
    /// A queue for one file.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub(super) fn new(file: Arc<File>, engine: IoEngine) -> io::Result<Self> {
        Ok(Self {
            requests: ArrayQueue::new(QUEUE_MAX),
            file,
            engine,
            doorbell: Arc::new(sys::eventfd()?),
            sleeping: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        })
    }

    /// Asks for a block's bytes; `None` when too many already wait. A thread with a ring of its own does it itself.
    pub(super) fn ask(&self, location: Location) -> Option<oneshot::Receiver<Reply>> {
        if self.engine == IoEngine::Auto
            && let Some(answer) = own::ask(&self.file, location)
        {
            return Some(answer);
        }
        let (reply, answer) = oneshot::channel();
        self.requests.push(Request { location, reply }).ok()?;
        self.ring_doorbell();
        Some(answer)
    }

    /// Tells the thread to end; what still waits is dropped, and its askers see a miss.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.ring_doorbell();
    }

    fn ring_doorbell(&self) {
        fence(Ordering::SeqCst);
        if self.sleeping.swap(false, Ordering::SeqCst) {
            // An eventfd write fails only when its counter is full, and then the bell has rung.
            let _ = (&*self.doorbell).write(&1u64.to_ne_bytes());
        }
    }

    /// Announces that the thread is about to wait; `false` when it must look at the queue instead.
    fn may_sleep(&self) -> bool {
        self.sleeping.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.requests.is_empty() && !self.stop.load(Ordering::SeqCst)
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

/// The thread's body.
pub(super) fn run(queue: &ReadQueue, reads_max: usize) {
    if queue.engine == IoEngine::Auto
        && let Ok(ring) = ReadRing::new(queue.file.clone(), queue.doorbell.clone(), reads_max)
        && RingLoop::new(ring, queue).run().is_ok()
    {
        return;
    }
    run_pread(queue);
}

/// The pages that hold a record: position, and length in bytes.
pub(super) fn pages_of(location: Location) -> (u64, usize) {
    let skip = skip_of(location);
    let length = usize::try_from(location.length).unwrap_or(0);
    (location.position - location.position % PAGE_BYTES, (skip + length).next_multiple_of(PAGE))
}

fn skip_of(location: Location) -> usize {
    usize::try_from(location.position % PAGE_BYTES).unwrap_or(0)
}

/// Cuts the record out of its pages and verifies it. `pages` holds what the device brought.
pub(super) fn verify(location: Location, pages: &[u8]) -> Result<Bytes, ReadFault> {
    let skip = skip_of(location);
    let length = usize::try_from(location.length).unwrap_or(0);
    let Some(record) = pages.get(skip..skip + length) else {
        return Err(ReadFault::Io(io::ErrorKind::UnexpectedEof.into()));
    };
    if crc32c::crc32c(record) != location.crc {
        return Err(ReadFault::Checksum);
    }
    Ok(Bytes::copy_from_slice(record))
}

/// Reads and verifies one record with a plain positioned read.
pub(super) fn read_now(file: &File, location: Location) -> Result<Bytes, ReadFault> {
    let (position, bytes) = pages_of(location);
    let mut buffer = AlignedBuf::new(bytes).map_err(ReadFault::Io)?;
    let mut filled = 0;
    // A part of a page is the end of the file, where direct I/O refuses to go on.
    while filled < bytes && filled % PAGE == 0 {
        let at = position + u64::try_from(filled).unwrap_or(u64::MAX);
        match file.read_at(&mut buffer[filled..bytes], at) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ReadFault::Io(error)),
        }
    }
    verify(location, &buffer[..filled])
}

fn run_pread(queue: &ReadQueue) {
    let mut word = [0u8; 8];
    while !queue.stopping() {
        if let Some(request) = queue.requests.pop() {
            let answer = read_now(&queue.file, request.location);
            let _ = request.reply.send(answer);
        } else if queue.may_sleep() {
            let _ = (&*queue.doorbell).read(&mut word);
        }
    }
}

struct RingLoop<'a> {
    ring: ReadRing,
    queue: &'a ReadQueue,
    waiting: Vec<Option<Request>>,
    free: Vec<usize>,
}

impl<'a> RingLoop<'a> {
    fn new(ring: ReadRing, queue: &'a ReadQueue) -> Self {
        let slots = ring.slots();
        Self { ring, queue, waiting: (0..slots).map(|_| None).collect(), free: (0..slots).collect() }
    }

    /// Serves until told to stop.
    ///
    /// # Errors
    /// When the ring fails; requests that it held are answered as misses.
    fn run(mut self) -> io::Result<()> {
        let mut finished = Vec::new();
        loop {
            self.submit_waiting();
            let idle = self.free.len() == self.waiting.len();
            if self.queue.stopping() && idle {
                return Ok(());
            }
            let nothing_to_do = self.queue.may_sleep() || self.free.is_empty() || self.queue.stopping();
            if nothing_to_do {
                self.ring.wait(&mut finished)?;
            }
            self.queue.sleeping.store(false, Ordering::SeqCst);
            for done in finished.drain(..) {
                self.finish(done);
            }
        }
    }

    fn submit_waiting(&mut self) {
        while !self.queue.stopping()
            && let Some(slot) = self.free.last().copied()
            && let Some(request) = self.queue.requests.pop()
        {
            let (position, bytes) = pages_of(request.location);
            match self.ring.queue(slot, position, bytes) {
                Ok(()) => {
                    self.free.pop();
                    self.waiting[slot] = Some(request);
                }
                Err(error) => {
                    let _ = request.reply.send(Err(ReadFault::Io(error)));
                }
            }
        }
    }

    fn finish(&mut self, done: Finished) {
        self.free.push(done.slot);
        let Some(request) = self.waiting[done.slot].take() else { return };
        let answer = match usize::try_from(done.result) {
            Ok(count) => {
                let pages = self.ring.bytes(done.slot);
                verify(request.location, &pages[..count.min(pages.len())])
            }
            Err(_) => Err(ReadFault::Io(io::Error::from_raw_os_error(-done.result))),
        };
        let _ = request.reply.send(answer);
    }
}
