//! One connection as the others see it: the processlist and KILL.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::{INTERRUPT_CONNECTION, INTERRUPT_QUERY, INTERRUPT_TIMEOUT, lock};
use crate::node::Interrupt;
use crate::output::Closer;

/// Longest statement text that the processlist keeps, in bytes.
const INFO_BYTES_MAX: usize = 16 * 1024;
/// A text buffer of an idle connection keeps at most this much.
const INFO_BYTES_KEPT: usize = 256;

/// What a connection is doing, as `PROCESSLIST.COMMAND` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
#[repr(u8)]
pub enum EntryCommand {
    Connect,
    Sleep,
    Query,
    Prepare,
    Execute,
    Fetch,
    InitDb,
    FieldList,
    Statistics,
    Ping,
    ChangeUser,
    ResetConnection,
    ResetStatement,
    CloseStatement,
    LongData,
    SetOption,
    Kill,
    Quit,
}

impl EntryCommand {
    const ALL: [Self; 18] = [
        Self::Connect,
        Self::Sleep,
        Self::Query,
        Self::Prepare,
        Self::Execute,
        Self::Fetch,
        Self::InitDb,
        Self::FieldList,
        Self::Statistics,
        Self::Ping,
        Self::ChangeUser,
        Self::ResetConnection,
        Self::ResetStatement,
        Self::CloseStatement,
        Self::LongData,
        Self::SetOption,
        Self::Kill,
        Self::Quit,
    ];

    /// The name in the processlist.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "Connect",
            Self::Sleep => "Sleep",
            Self::Query => "Query",
            Self::Prepare => "Prepare",
            Self::Execute => "Execute",
            Self::Fetch => "Fetch",
            Self::InitDb => "Init DB",
            Self::FieldList => "Field List",
            Self::Statistics => "Statistics",
            Self::Ping => "Ping",
            Self::ChangeUser => "Change user",
            Self::ResetConnection => "Reset Connection",
            Self::ResetStatement => "Reset stmt",
            Self::CloseStatement => "Close stmt",
            Self::LongData => "Long Data",
            Self::SetOption => "Set option",
            Self::Kill => "Kill",
            Self::Quit => "Quit",
        }
    }

    fn from_u8(byte: u8) -> Self {
        Self::ALL.get(usize::from(byte)).copied().unwrap_or(Self::Sleep)
    }
}

/// A row of the processlist.
#[derive(Clone, Debug)]
pub struct EntryView {
    /// Connection id.
    pub id: u64,
    /// Account name as the client gave it.
    pub user: String,
    /// Client host, with the port.
    pub host: String,
    /// Default database.
    pub db: Option<String>,
    /// What it does.
    pub command: EntryCommand,
    /// For how long it has done that, in milliseconds.
    pub time_ms: u64,
    /// `PROCESSLIST.STATE`.
    pub state: Cow<'static, str>,
    /// The statement.
    pub info: Option<String>,
}

#[derive(Default)]
struct Texts {
    user: String,
    db: Option<String>,
    /// As received.
    info: Vec<u8>,
}

/// One connection of the node.
pub struct ConnectionEntry {
    id: u64,
    host: String,
    closer: Closer,
    interrupt: Arc<Interrupt>,
    command: AtomicU8,
    logged_in: AtomicBool,
    since_ms: AtomicU64,
    /// When the running statement has used up `max_execution_time`; 0: never.
    deadline_ms: AtomicU64,
    /// How long it may be idle, or take to log in.
    idle_limit_ms: AtomicU64,
    texts: Mutex<Texts>,
}

impl fmt::Debug for ConnectionEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.id)
    }
}

impl ConnectionEntry {
    pub(super) fn new(id: u64, host: String, closer: Closer, now_ms: u64) -> Self {
        let texts = Texts { user: "unauthenticated user".to_owned(), ..Texts::default() };
        Self {
            id,
            host,
            closer,
            interrupt: Arc::new(Interrupt::default()),
            command: AtomicU8::new(EntryCommand::Connect as u8),
            logged_in: AtomicBool::new(false),
            since_ms: AtomicU64::new(now_ms),
            deadline_ms: AtomicU64::new(0),
            idle_limit_ms: AtomicU64::new(10_000),
            texts: Mutex::new(texts),
        }
    }

    /// The connection id.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What running statements look at.
    #[must_use]
    pub fn interrupt(&self) -> &Arc<Interrupt> {
        &self.interrupt
    }

    /// Whether the client has logged in.
    #[must_use]
    pub fn is_logged_in(&self) -> bool {
        self.logged_in.load(Ordering::Relaxed)
    }

    /// Whether a statement is running.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.command.load(Ordering::Relaxed) != EntryCommand::Sleep as u8
    }

    /// Whether the connection must end.
    #[must_use]
    pub fn is_killed(&self) -> bool {
        self.interrupt.state.load(Ordering::Relaxed) == INTERRUPT_CONNECTION
    }

    /// Who the client is, once that is known.
    pub fn log_in(&self, user: &str) {
        lock(&self.texts).user = user.to_owned();
        self.logged_in.store(true, Ordering::Relaxed);
    }

    /// The default database.
    pub fn set_database(&self, database: Option<&str>) {
        lock(&self.texts).db = database.map(str::to_owned);
    }

    /// How long the connection may be idle.
    pub fn set_idle_limit(&self, limit_ms: u64) {
        self.idle_limit_ms.store(limit_ms, Ordering::Relaxed);
    }

    /// A command begins. An interrupt of the last statement that came too late is forgotten.
    pub fn begin(&self, command: EntryCommand, info: &[u8], now_ms: u64) {
        if !info.is_empty() {
            let mut texts = lock(&self.texts);
            texts.info.clear();
            texts.info.extend_from_slice(&info[..info.len().min(INFO_BYTES_MAX)]);
        }
        for late in [INTERRUPT_QUERY, INTERRUPT_TIMEOUT] {
            let state = &self.interrupt.state;
            if state.load(Ordering::Relaxed) == late {
                let _ = state.compare_exchange(late, 0, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
        self.since_ms.store(now_ms, Ordering::Relaxed);
        self.command.store(command as u8, Ordering::Release);
    }

    /// The command has ended. Returns for how many milliseconds it has run.
    pub fn end(&self, now_ms: u64) -> u64 {
        let took_ms = now_ms.saturating_sub(self.since_ms.load(Ordering::Relaxed));
        self.command.store(EntryCommand::Sleep as u8, Ordering::Release);
        self.deadline_ms.store(0, Ordering::Relaxed);
        self.since_ms.store(now_ms, Ordering::Relaxed);
        let mut texts = lock(&self.texts);
        texts.info.clear();
        if texts.info.capacity() > INFO_BYTES_KEPT {
            texts.info.shrink_to(INFO_BYTES_KEPT);
        }
        took_ms
    }

    /// The running SELECT ends with error 3024 at this time (of the registry's clock); 0: never.
    pub fn set_deadline(&self, deadline_ms: u64) {
        self.deadline_ms.store(deadline_ms, Ordering::Relaxed);
    }

    /// Ends the running statement.
    pub fn kill_query(&self) {
        let state = &self.interrupt.state;
        let _ = state.compare_exchange(0, INTERRUPT_QUERY, Ordering::Release, Ordering::Relaxed);
        self.interrupt.wake();
    }

    /// Ends the connection.
    pub fn kill_connection(&self) {
        self.interrupt.state.store(INTERRUPT_CONNECTION, Ordering::Release);
        self.interrupt.wake();
        if !self.is_running() || !self.is_logged_in() {
            (self.closer)();
        }
    }

    pub(super) fn enforce_limits(&self, now_ms: u64) {
        let since = self.since_ms.load(Ordering::Relaxed);
        let waiting = !self.is_running() || !self.is_logged_in();
        let limit = self.idle_limit_ms.load(Ordering::Relaxed);
        if waiting && (self.is_killed() || now_ms.saturating_sub(since) > limit) {
            self.interrupt.state.store(INTERRUPT_CONNECTION, Ordering::Relaxed);
            (self.closer)();
            return;
        }
        let deadline = self.deadline_ms.load(Ordering::Relaxed);
        if deadline != 0 && now_ms >= deadline && self.is_running() {
            let state = &self.interrupt.state;
            let _ = state.compare_exchange(0, INTERRUPT_TIMEOUT, Ordering::Release, Ordering::Relaxed);
            self.interrupt.wake();
        }
    }

    /// The row of the processlist.
    #[must_use]
    pub fn view(&self, now_ms: u64) -> EntryView {
        let command = EntryCommand::from_u8(self.command.load(Ordering::Acquire));
        let texts = lock(&self.texts);
        let running = command != EntryCommand::Sleep;
        EntryView {
            id: self.id,
            user: texts.user.clone(),
            host: self.host.clone(),
            db: texts.db.clone(),
            command,
            time_ms: now_ms.saturating_sub(self.since_ms.load(Ordering::Relaxed)),
            state: match self.interrupt.progress.text() {
                _ if !running => Cow::Borrowed(""),
                Some(progress) => Cow::Owned(progress),
                None => Cow::Borrowed("executing"),
            },
            info: (running && !texts.info.is_empty())
                .then(|| String::from_utf8_lossy(&texts.info).into_owned()),
        }
    }
}
