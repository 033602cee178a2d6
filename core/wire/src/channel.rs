//! The byte layers of one connection: TLS, compression, packets.
//!
//! Owns all buffers of a connection. Bytes from the socket go in with [`Channel::feed`], packets come
//! out with [`Channel::next_command`] (the first packet of a command, sequence number 0) and
//! [`Channel::next_packet`] (the rest of an exchange). Packets are written with [`Channel::packet`] and
//! the encoders of the other modules; [`Channel::take_output`] gives the bytes for the socket.
//!
//! Invariants: input is consumed strictly in order and opened lazily, so a pipelined command waits in
//! its received form; the length limit holds before anything is buffered for a packet; an idle
//! connection without TLS owns no heap memory beyond this struct. After a fatal
//! [`crate::WireError`] the caller may still write one error packet and must then close.

use std::sync::Arc;

use bytes::Bytes;
use rustls::ServerConfig;

use crate::compress::{Algorithm, Compression};
use crate::error::{WireError, WireResult};
use crate::flags::Capabilities;
use crate::frame::{Framer, SequenceCheck};
use crate::packet::PacketWriter;
use crate::tls::Tls;

/// Longest packet before the client is authenticated: a login with 64 KiB of attributes fits.
pub const LOGIN_PACKET_BYTES_MAX: usize = 256 * 1024;

/// The byte layers of one connection.
#[derive(Debug)]
pub struct Channel {
    framer: Framer,
    out: Vec<u8>,
    sealed: Vec<u8>,
    packet_bytes_max: usize,
    capabilities: Capabilities,
    sequence: u8,
    /// Counts how often output was taken, so that a mark taken before is recognised.
    taken: u32,
    layers: Option<Box<Layers>>,
}

/// What only few connections have.
#[derive(Debug, Default)]
struct Layers {
    tls: Option<Tls>,
    compression: Option<Compression>,
}

impl Default for Channel {
    fn default() -> Self {
        Self::new()
    }
}

impl Channel {
    /// A plain connection with the limit for login packets.
    #[must_use]
    pub fn new() -> Self {
        Self {
            framer: Framer::default(),
            out: Vec::new(),
            sealed: Vec::new(),
            packet_bytes_max: LOGIN_PACKET_BYTES_MAX,
            capabilities: Capabilities::empty(),
            sequence: 0,
            taken: 0,
            layers: None,
        }
    }

    /// What client and server agreed on; empty before the login packet.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    pub(crate) fn agree(&mut self, capabilities: Capabilities) {
        self.capabilities = capabilities;
    }

    /// Changes one capability after login (COM_SET_OPTION).
    pub fn set_multi_statements(&mut self, option: crate::command::MultiStatements) {
        self.capabilities = match option {
            crate::command::MultiStatements::On => self.capabilities | Capabilities::MULTI_STATEMENTS,
            crate::command::MultiStatements::Off => self.capabilities.without(Capabilities::MULTI_STATEMENTS),
        };
    }

    /// Sets `max_allowed_packet`, in bytes, for what is read from now on. Authentication does not do
    /// this: the session calls it once the client is in.
    pub fn limit_packets(&mut self, packet_bytes_max: usize) {
        self.packet_bytes_max = packet_bytes_max;
    }

    /// Takes bytes from the socket. Feed no more before [`Channel::next_packet`] or
    /// [`Channel::next_command`] returned `None`; then what is held is bounded by the packet limit.
    ///
    /// # Errors
    /// `Tls`: an alert may wait in the output; send it, then close.
    pub fn feed(&mut self, bytes: &[u8]) -> WireResult<()> {
        let Some(layers) = &mut self.layers else {
            self.framer.extend(bytes);
            return Ok(());
        };
        match (&mut layers.tls, &mut layers.compression) {
            (Some(tls), Some(compression)) => tls.receive(bytes, compression, &mut self.sealed),
            (Some(tls), None) => tls.receive(bytes, &mut self.framer, &mut self.sealed),
            (None, Some(compression)) => {
                compression.extend(bytes);
                Ok(())
            }
            (None, None) => {
                self.framer.extend(bytes);
                Ok(())
            }
        }
    }

    /// The next packet of the present exchange, if it is complete.
    ///
    /// # Errors
    /// `PacketTooLarge`, `OutOfOrder`, `Uncompress`: all fatal.
    pub fn next_packet(&mut self) -> WireResult<Option<Bytes>> {
        let limit = self.packet_bytes_max;
        let check = match self.compression() {
            Some(_) => SequenceCheck::Lenient,
            None => SequenceCheck::Strict,
        };
        loop {
            if let Some(packet) = self.framer.next(limit, &mut self.sequence, check)? {
                return Ok(Some(packet));
            }
            let Some(compression) = self.compression() else { return Ok(None) };
            match compression.next_frame(limit)? {
                Some(plain) => self.framer.extend_owned(plain),
                None => return Ok(None),
            }
        }
    }

    /// The next command, if it is complete: its first packet has sequence number 0.
    ///
    /// # Errors
    /// As [`Channel::next_packet`].
    pub fn next_command(&mut self) -> WireResult<Option<Bytes>> {
        if !self.framer.is_joining() {
            self.sequence = 0;
            if !self.framer.is_inside_packet() {
                self.expect_command_frame()?;
            }
        }
        self.next_packet()
    }

    /// Frames have numbers of their own, which begin anew with a command's first: answers to the command
    /// before get theirs now, if the next command has arrived already.
    fn expect_command_frame(&mut self) -> WireResult<()> {
        let Some(compression) = self.compression() else { return Ok(()) };
        compression.expect_command();
        if compression.is_inside_frame() { self.seal() } else { Ok(()) }
    }

    /// Whether the client has begun to send something that is not complete; while this holds a
    /// closing client is an aborted one.
    #[must_use]
    pub fn is_inside_packet(&self) -> bool {
        self.framer.is_inside_packet()
            || self
                .layers
                .as_ref()
                .and_then(|layers| layers.compression.as_ref())
                .is_some_and(Compression::is_inside_frame)
    }

    /// Begins a packet at the end of the output.
    pub fn packet(&mut self) -> PacketWriter<'_> {
        PacketWriter::new(&mut self.out, &mut self.sequence)
    }

    /// Bytes that wait to be taken, before compression and encryption.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.out.len() + self.sealed.len()
    }

    /// Where the output ends now, to go back to with [`Channel::undo_output`].
    #[must_use]
    pub fn mark_output(&self) -> OutputMark {
        OutputMark { length: self.out.len(), sequence: self.sequence, taken: self.taken }
    }

    /// Takes back packets written since `mark`. Returns `false`, and does nothing, when output was
    /// taken since: then they are on their way.
    pub fn undo_output(&mut self, mark: OutputMark) -> bool {
        if self.taken != mark.taken {
            return false;
        }
        self.out.truncate(mark.length);
        self.sequence = mark.sequence;
        true
    }

    /// All bytes for the socket, compressed and encrypted as agreed. Leaves no memory behind.
    ///
    /// # Errors
    /// `Tls`: the connection cannot be used any more.
    pub fn take_output(&mut self) -> WireResult<Vec<u8>> {
        self.taken = self.taken.wrapping_add(1);
        if self.layers.is_none() {
            return Ok(std::mem::take(&mut self.out));
        }
        self.seal()?;
        Ok(std::mem::take(&mut self.sealed))
    }

    /// Gives the memory of an earlier [`Channel::take_output`] back for the next output, when there is
    /// none yet. For callers that keep a pool; a connection needs none while it is idle.
    pub fn lend_buffer(&mut self, mut buffer: Vec<u8>) {
        if self.out.capacity() == 0 {
            buffer.clear();
            self.out = buffer;
        }
    }

    /// Takes the memory for output back, when nothing waits in it.
    pub fn reclaim_buffer(&mut self) -> Option<Vec<u8>> {
        (self.out.is_empty() && self.out.capacity() > 0).then(|| std::mem::take(&mut self.out))
    }

    fn seal(&mut self) -> WireResult<()> {
        let Some(layers) = &mut self.layers else { return Ok(()) };
        if self.out.is_empty() {
            return Ok(());
        }
        self.taken = self.taken.wrapping_add(1);
        let plain = std::mem::take(&mut self.out);
        match (&mut layers.tls, &mut layers.compression) {
            (Some(tls), Some(compression)) => {
                let mut frames = Vec::new();
                compression.seal(&plain, &mut frames);
                tls.seal(&frames, &mut self.sealed)
            }
            (Some(tls), None) => tls.seal(&plain, &mut self.sealed),
            (None, Some(compression)) => {
                compression.seal(&plain, &mut self.sealed);
                Ok(())
            }
            (None, None) => {
                self.sealed.extend_from_slice(&plain);
                Ok(())
            }
        }
    }

    /// Switches to TLS: all further input is TLS, beginning with what has arrived already.
    pub(crate) fn start_tls(&mut self, config: Arc<ServerConfig>) -> WireResult<()> {
        if self.has_tls() {
            return Err(WireError::Misuse("TLS was started twice"));
        }
        let arrived = self.framer.take_buffer();
        let tls = Tls::new(config)?;
        self.sealed = std::mem::take(&mut self.out);
        self.layers.get_or_insert_default().tls = Some(tls);
        self.feed(&arrived)
    }

    /// Switches to compression after what has been written so far.
    pub(crate) fn start_compression(&mut self, algorithm: Algorithm) -> WireResult<()> {
        if self.layers.is_none() {
            self.sealed = std::mem::take(&mut self.out);
        }
        self.seal()?;
        let leftover = self.framer.take_buffer();
        self.layers.get_or_insert_default().compression = Some(Compression::new(algorithm, leftover));
        Ok(())
    }

    fn compression(&mut self) -> Option<&mut Compression> {
        self.layers.as_mut()?.compression.as_mut()
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        let tls = self.layers.as_ref().and_then(|layers| layers.tls.as_ref());
        tls.is_some_and(Tls::is_established)
    }

    pub(crate) fn has_tls(&self) -> bool {
        self.layers.as_ref().is_some_and(|layers| layers.tls.is_some())
    }

    /// TLS version and cipher suite of an encrypted connection.
    #[must_use]
    pub fn tls_description(&self) -> Option<(String, String)> {
        self.layers.as_ref()?.tls.as_ref()?.description()
    }

    /// Ends TLS in an orderly way; take the output once more and close.
    ///
    /// # Errors
    /// `Tls`: close at once.
    pub fn close(&mut self) -> WireResult<()> {
        self.seal()?;
        match self.layers.as_mut().and_then(|layers| layers.tls.as_mut()) {
            Some(tls) => tls.close(&mut self.sealed),
            None => Ok(()),
        }
    }

    /// Heap bytes held by this channel's own buffers; rustls keeps some more of its own.
    #[must_use]
    pub fn allocated(&self) -> usize {
        let layers = self.layers.as_ref().map_or(0, |layers| {
            size_of::<Layers>() + layers.compression.as_ref().map_or(0, Compression::allocated)
        });
        self.framer.allocated() + self.out.capacity() + self.sealed.capacity() + layers
    }
}

/// A point in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputMark {
    length: usize,
    sequence: u8,
    taken: u32,
}
