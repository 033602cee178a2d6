//! Spreads clients over executors by how many each has (ADR 0058).
//!
//! The kernel gives a client to any executor. Before its first byte is read it moves, once, to the one with the fewest
//! if that has fewer than where it is.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::queue::{PushError, Receiver, Sender, mailboxes};

/// Clients that may be on their way to one executor; one more stays where it is.
const MOVING_MAX: usize = 256;

/// A client that moves.
pub(crate) type Arrival = (TcpStream, SocketAddr, Seated);

/// One executor's share.
#[derive(Debug)]
pub(crate) struct Spread {
    index: usize,
    open: Arc<[AtomicUsize]>,
    senders: Vec<Sender<Arrival>>,
}

/// Where a client goes.
#[derive(Debug)]
pub(crate) enum Place {
    Here,
    To(usize),
}

/// Counts a client as one of its executor's until dropped.
#[derive(Debug)]
pub(crate) struct Seated {
    open: Arc<[AtomicUsize]>,
    index: usize,
}

impl Drop for Seated {
    fn drop(&mut self) {
        self.open[self.index].fetch_sub(1, Ordering::Relaxed);
    }
}

impl Spread {
    /// The shares of `count` executors, and where each gets clients of others. These end when all shares are dropped.
    pub(crate) fn over(count: usize) -> Vec<(Self, Receiver<Arrival>)> {
        let open: Arc<[AtomicUsize]> = (0..count).map(|_| AtomicUsize::new(0)).collect();
        let (senders, receivers) = mailboxes(count, MOVING_MAX);
        let share =
            |(index, arrivals)| (Self { index, open: Arc::clone(&open), senders: senders.clone() }, arrivals);
        receivers.into_iter().enumerate().map(share).collect()
    }

    /// Chooses an executor for a client that has come to this one, and counts it there.
    pub(crate) fn seat(&self) -> (Place, Seated) {
        let open = |index: usize| self.open[index].load(Ordering::Relaxed);
        let fewest = (0..self.open.len()).min_by_key(|index| (open(*index), *index != self.index));
        let index = fewest.unwrap_or(self.index);
        self.open[index].fetch_add(1, Ordering::Relaxed);
        let place = if index == self.index { Place::Here } else { Place::To(index) };
        (place, Seated { open: Arc::clone(&self.open), index })
    }

    /// Sends a client on. Its seat comes back when too many are under way there or that executor has stopped.
    pub(crate) fn send(&self, to: usize, client: Arrival) -> Result<(), Seated> {
        self.senders[to].try_push(client).map_err(|error| match error {
            PushError::Full(client) | PushError::Closed(client) => client.2,
        })
    }
}
