//! The session's entry points: bytes in, bytes out.

use std::rc::Rc;
use std::sync::Arc;

use aquifer_types::SqlError;
use aquifer_wire::{Channel, Salt, Transport, WireError};
use bytes::BytesMut;

pub use crate::host::SessionHost;
use crate::login::LoginPhase;
use crate::output::{Output, PeerInfo, SessionFlow};
use crate::registry::{CommandCounter, ConnectionEntry};
use crate::state::SessionState;
use crate::variables::ids;

/// Answers of pipelined commands are written when there are so many bytes.
const PIPELINE_BYTES_MAX: usize = 256 * 1024;

/// Where a connection stands.
pub(crate) enum Phase {
    /// The greeting was not written yet.
    New,
    /// The client logs in.
    Login(Box<LoginPhase>),
    /// Commands are taken.
    Ready,
    /// Nothing is taken any more.
    Closed,
}

/// One client connection.
pub struct Session {
    pub(crate) host: Rc<SessionHost>,
    pub(crate) entry: Arc<ConnectionEntry>,
    pub(crate) channel: Channel,
    pub(crate) phase: Phase,
    pub(crate) state: SessionState,
    pub(crate) salt: Option<Salt>,
    pub(crate) peer: PeerInfo,
}

impl Session {
    /// A session for a client that has just connected. It is in the processlist until it is dropped.
    #[must_use]
    pub fn new(host: &Rc<SessionHost>, peer: PeerInfo) -> Self {
        host.count(CommandCounter::Connections);
        let shown = match peer.address {
            Some(_) => format!("{}:{}", peer.host(), peer.port),
            None => peer.host(),
        };
        let entry = host.registry.connect(shown, Arc::clone(&peer.closer));
        let state = SessionState::new(host.registry.globals(), entry.id());
        Self {
            host: Rc::clone(host),
            entry,
            channel: Channel::new(),
            phase: Phase::New,
            state,
            salt: None,
            peer,
        }
    }

    /// The connection id, as `CONNECTION_ID()` says it.
    #[must_use]
    pub fn connection_id(&self) -> u64 {
        self.entry.id()
    }

    /// The first bytes of the connection, to be written before anything is read: the greeting, or
    /// error 1040 with [`SessionFlow::Close`].
    pub fn initial_bytes(&mut self, out: &mut Vec<u8>) -> SessionFlow {
        let flow = self.greet();
        self.move_output(out, flow)
    }

    fn greet(&mut self) -> SessionFlow {
        let globals = self.host.registry.globals();
        let limit = globals.get(ids::MAX_CONNECTIONS).as_u64();
        self.entry.set_idle_limit(globals.get(ids::CONNECT_TIMEOUT).as_u64().saturating_mul(1000));
        // One connection beyond the limit is kept for an administrator; login decides.
        let connections = u64::try_from(self.host.registry.connection_count()).unwrap_or(u64::MAX);
        if connections > limit.saturating_add(1) {
            self.host.count(CommandCounter::ConnectionErrorsMax);
            self.channel.write_error(&SqlError::new(1040, "Too many connections"));
            self.phase = Phase::Closed;
            return SessionFlow::Close;
        }
        match Salt::random() {
            Ok(salt) => {
                self.salt = Some(salt);
                let phase = LoginPhase::start(self, salt);
                self.phase = Phase::Login(Box::new(phase));
                SessionFlow::Continue
            }
            Err(error) => self.fail(error),
        }
    }

    /// Where the client is, for the rules of authentication.
    pub(crate) fn transport(&self) -> Transport {
        if self.peer.address.is_none() { Transport::Local } else { Transport::Network }
    }

    /// Takes what the client sent and runs every command that is complete in it, in order.
    ///
    /// `input` is consumed entirely; a partial packet is kept inside the session. The answers are
    /// appended to `out`, which the owner writes after the call, also when the answer is
    /// [`SessionFlow::Close`]; a large result goes through `output` in between. An `out` that comes
    /// empty lends its memory.
    pub async fn on_bytes(
        &mut self,
        input: &mut BytesMut,
        out: &mut Vec<u8>,
        output: &mut dyn Output,
    ) -> SessionFlow {
        if out.is_empty() {
            self.channel.lend_buffer(std::mem::take(out));
        }
        let received = u64::try_from(input.len()).unwrap_or(u64::MAX);
        self.host.counters.add(CommandCounter::BytesReceived, received);
        let fed = self.channel.feed(input);
        input.clear();
        let flow = match fed {
            Ok(()) => self.take_packets(output).await,
            Err(error) => self.fail(error),
        };
        self.move_output(out, flow)
    }

    async fn take_packets(&mut self, output: &mut dyn Output) -> SessionFlow {
        loop {
            let progress = match &self.phase {
                Phase::New | Phase::Closed => return SessionFlow::Close,
                Phase::Login(_) => Box::pin(self.continue_login()).await,
                Phase::Ready if self.state.loading.is_some() => match self.channel.next_packet() {
                    Ok(Some(packet)) => {
                        Box::pin(self.continue_load(packet)).await;
                        Ok(Progress::More)
                    }
                    Ok(None) => Ok(Progress::NeedInput),
                    Err(error) => Err(error),
                },
                Phase::Ready => match self.channel.next_command() {
                    Ok(Some(packet)) => Box::pin(self.run_command(packet, output)).await,
                    Ok(None) => Ok(Progress::NeedInput),
                    Err(error) => Err(error),
                },
            };
            match progress {
                Ok(Progress::More) if self.channel.output_len() > PIPELINE_BYTES_MAX => {
                    if self.flush(output).await.is_err() {
                        return self.close();
                    }
                }
                Ok(Progress::More) => {}
                Ok(Progress::NeedInput) => return SessionFlow::Continue,
                Ok(Progress::Close) => return self.close(),
                Err(error) => return self.fail(error),
            }
        }
    }

    /// Gives what is in the channel to the socket.
    pub(crate) async fn flush(&mut self, output: &mut dyn Output) -> Result<(), WireError> {
        flush(&mut self.channel, &self.host, output).await
    }

    fn move_output(&mut self, out: &mut Vec<u8>, flow: SessionFlow) -> SessionFlow {
        if flow == SessionFlow::Close {
            let _ = self.channel.close();
        }
        match self.channel.take_output() {
            Ok(bytes) => {
                self.host.counters.add(CommandCounter::BytesSent, u64::try_from(bytes.len()).unwrap_or(0));
                if out.is_empty() {
                    *out = bytes;
                } else {
                    out.extend_from_slice(&bytes);
                }
                flow
            }
            Err(_) => SessionFlow::Close,
        }
    }

    fn close(&mut self) -> SessionFlow {
        self.phase = Phase::Closed;
        SessionFlow::Close
    }

    /// Tells the client about an error of the protocol and closes.
    pub(crate) fn fail(&mut self, error: WireError) -> SessionFlow {
        let counter = match self.phase {
            Phase::Ready => CommandCounter::AbortedClients,
            _ => CommandCounter::AbortedConnects,
        };
        self.host.count(counter);
        self.channel.write_error(&error.into());
        self.close()
    }
}

/// What follows a packet.
pub(crate) enum Progress {
    /// Look for the next packet.
    More,
    /// Nothing complete is left.
    NeedInput,
    /// The connection ends.
    Close,
}

/// Gives what is in a channel to the socket and takes the memory back.
pub(crate) async fn flush(
    channel: &mut Channel,
    host: &SessionHost,
    output: &mut dyn Output,
) -> Result<(), WireError> {
    let bytes = channel.take_output()?;
    host.counters.add(CommandCounter::BytesSent, u64::try_from(bytes.len()).unwrap_or(0));
    let written = output.flush(bytes).await;
    let buffer = written.map_err(|_| WireError::Malformed("the client is gone"))?;
    channel.lend_buffer(buffer);
    Ok(())
}

impl Drop for Session {
    fn drop(&mut self) {
        // A client that left without a word, or was sent away by a timeout.
        match self.phase {
            Phase::Ready => self.host.count(CommandCounter::AbortedClients),
            Phase::Login(_) => self.host.count(CommandCounter::AbortedConnects),
            Phase::New | Phase::Closed => {}
        }
        if let Some(transaction) = self.state.transaction.take() {
            transaction.txn.rollback();
        }
        self.state.table_locks = None;
        self.state.global_read_lock = None;
        self.host.registry.release_user_locks(self.entry.id());
        let open = u64::try_from(self.state.prepared.len()).unwrap_or(0);
        self.host.counters.add(CommandCounter::PreparedClosed, open);
        self.host.registry.disconnect(self.entry.id());
    }
}
