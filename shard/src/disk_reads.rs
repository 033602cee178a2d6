//! Reads of the disk cache on an executor's own ring: asked, submitted and completed on one thread.
//!
//! Installed by executors on io_uring ([`crate::executor`]); on epoll the disk cache's own thread reads. Buffers are
//! kept and used again, as many as reads have been under way at once.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use aquifer_cache::disk::PAGE_BYTES;
use aquifer_cache::disk::own::{self, OwnRead, OwnReads};
use monoio::buf::IoBufMut;

use crate::executor;

/// Reads under way at once on one executor; more go to the disk cache's own thread.
const READS_MAX: usize = 128;
/// Buffers up to this length are kept.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// The calling executor reads for itself from now on, until [`tear_down`].
pub(crate) fn install() {
    own::install(Some(Rc::new(RingReads(Rc::default()))));
}

/// Ends what [`install`] began; to be called before the runtime goes.
pub(crate) fn tear_down() {
    own::install(None);
}

struct RingReads(Rc<Ring>);

#[derive(Default)]
struct Ring {
    /// Files as the runtime wants them, with those that they were made of.
    files: RefCell<Vec<(Weak<File>, Rc<monoio::fs::File>)>>,
    buffers: RefCell<Vec<Box<[u8]>>>,
    under_way: Cell<usize>,
}

impl OwnReads for RingReads {
    fn start(&self, read: OwnRead) -> Result<(), OwnRead> {
        if self.0.under_way.get() >= READS_MAX {
            return Err(read);
        }
        let Ok(file) = self.0.file_of(read.file()) else { return Err(read) };
        let ring = Rc::clone(&self.0);
        ring.under_way.set(ring.under_way.get() + 1);
        drop(executor::spawn(async move {
            ring.read(&file, read).await;
            ring.under_way.set(ring.under_way.get() - 1);
        }));
        Ok(())
    }
}

impl Ring {
    fn file_of(&self, file: &Arc<File>) -> io::Result<Rc<monoio::fs::File>> {
        let mut files = self.files.borrow_mut();
        let known = |(of, _): &&(Weak<File>, _)| std::ptr::eq(of.as_ptr(), Arc::as_ptr(file));
        if let Some((_, opened)) = files.iter().find(known) {
            return Ok(Rc::clone(opened));
        }
        files.retain(|(of, _)| of.strong_count() > 0);
        let opened = Rc::new(monoio::fs::File::from_std(file.try_clone()?)?);
        files.push((Arc::downgrade(file), Rc::clone(&opened)));
        Ok(opened)
    }

    async fn read(&self, file: &monoio::fs::File, read: OwnRead) {
        let (page, bytes) = (usize::try_from(PAGE_BYTES).unwrap_or(1), read.bytes());
        let buffer = self.buffers.borrow_mut().pop().filter(|kept| kept.len() >= bytes + page);
        let buffer = buffer.unwrap_or_else(|| vec![0; bytes.max(KEPT_BYTES_MAX / 2) + page].into());
        let start = buffer.as_ptr().align_offset(page);
        let (outcome, slice) = file.read_at(buffer.slice_mut(start..start + bytes), read.position()).await;
        let buffer = slice.into_inner();
        read.finish(outcome.map(|count| &buffer[start..start + count.min(bytes)]));
        if buffer.len() <= KEPT_BYTES_MAX + page {
            self.buffers.borrow_mut().push(buffer);
        }
    }
}
