//! From a greeting to a known client, and COM_CHANGE_USER.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;

use aquifer_catalog::Account;
use aquifer_sql::expr::SessionFacts;
use aquifer_types::{Collation, SqlError, SqlResult};
use aquifer_wire::{
    Capabilities, ChangeUser, CheckedPassword, Credential, Handshake, Login, OkPacket, PasswordCheck, Salt,
    Step, WireError,
};

use crate::access;
use crate::charset;
use crate::registry::CommandCounter;
use crate::session::{Phase, Progress, Session};
use crate::state::SessionState;
use crate::variables::{VariableValue, ids};

/// A login that is under way.
pub(crate) struct LoginPhase {
    handshake: Handshake,
    login: Option<Box<Login>>,
    account: Option<Arc<Account>>,
    /// The answer to COM_CHANGE_USER rather than the first login.
    change_user: bool,
}

impl LoginPhase {
    /// Writes the greeting.
    pub(crate) fn start(session: &mut Session, salt: Salt) -> Self {
        let settings = session.host.registry.handshake_settings();
        let id = u32::try_from(session.connection_id() & u64::from(u32::MAX)).unwrap_or_default();
        let transport = session.transport();
        let handshake = Handshake::start(settings, transport, id, salt, &mut session.channel);
        Self { handshake, login: None, account: None, change_user: false }
    }
}

impl Session {
    /// Goes on with a login as far as packets are there.
    pub(crate) async fn continue_login(&mut self) -> Result<Progress, WireError> {
        let Phase::Login(mut phase) = std::mem::replace(&mut self.phase, Phase::Closed) else {
            return Ok(Progress::Close);
        };
        let registry = Arc::clone(&self.host.registry);
        let step = phase.handshake.advance(&mut self.channel, registry.auth_cache())?;
        self.follow_login(phase, step).await
    }

    async fn follow_login(
        &mut self,
        mut phase: Box<LoginPhase>,
        mut step: Step,
    ) -> Result<Progress, WireError> {
        let registry = Arc::clone(&self.host.registry);
        let cache = registry.auth_cache();
        loop {
            step = match step {
                Step::NeedInput => {
                    self.phase = Phase::Login(phase);
                    return Ok(Progress::NeedInput);
                }
                Step::Login(login) => {
                    phase.login = Some(login);
                    self.look_up_account(&mut phase)?
                }
                Step::Check(check) => {
                    let checked = self.check_password(*check).await;
                    match checked {
                        Some(checked) => phase.handshake.checked(&mut self.channel, &checked, cache)?,
                        None => return Err(WireError::Misuse("the password check was lost")),
                    }
                }
                Step::Accepted => return self.enter(*phase),
                Step::Denied(denial) => {
                    let user = phase.login.as_ref().map(|login| text(&login.user)).unwrap_or_default();
                    self.host.count(CommandCounter::AbortedConnects);
                    self.channel.write_error(&denial.to_error(&user, &self.peer.host()));
                    return Ok(Progress::Close);
                }
            };
        }
    }

    /// Finds the account and goes on with what is stored for it.
    fn look_up_account(&mut self, phase: &mut LoginPhase) -> Result<Step, WireError> {
        let user = phase.login.as_ref().map(|login| text(&login.user)).unwrap_or_default();
        let catalog = self.host.node.catalog();
        let account = access::find_account(&catalog, &user, &self.peer);
        let credential = match &account {
            Some(account) if !account.locked => {
                Credential::parse(&account.plugin, &account.credential).unwrap_or(Credential::Nobody)
            }
            _ => Credential::Nobody,
        };
        let name = match &account {
            Some(account) => format!("'{}'@'{}'", account.user, account.host),
            None => String::new(),
        };
        phase.account = account;
        let cache = self.host.registry.auth_cache();
        phase.handshake.authenticate(&mut self.channel, &name, credential, cache)
    }

    /// Hashes a password, which takes milliseconds, where the node wants it.
    async fn check_password(&self, check: PasswordCheck) -> Option<CheckedPassword> {
        let (sender, receiver) = mpsc::channel();
        let work = move || {
            let _ = sender.send(check.run());
        };
        self.host.node.offload(Box::new(work)).await;
        receiver.try_recv().ok()
    }

    /// The password was right: sets the session up, or refuses it for another reason.
    fn enter(&mut self, phase: LoginPhase) -> Result<Progress, WireError> {
        let (Some(login), Some(account)) = (phase.login, phase.account) else {
            return Err(WireError::Misuse("accepted without an account"));
        };
        if let Err(error) = self.set_up(&login, &account, phase.change_user) {
            self.channel.write_error(&error);
            return Ok(Progress::Close);
        }
        let ok = OkPacket { state: self.state.server_state(), ..OkPacket::default() };
        self.channel.write_ok(&ok);
        if !phase.change_user {
            phase.handshake.finish(&mut self.channel)?;
        }
        self.phase = Phase::Ready;
        self.entry.end(self.host.registry.now_ms());
        Ok(Progress::More)
    }

    fn set_up(&mut self, login: &Login, account: &Arc<Account>, change_user: bool) -> SqlResult<()> {
        let registry = &self.host.registry;
        let globals = registry.globals();
        let connections = u64::try_from(registry.connection_count()).unwrap_or(u64::MAX);
        let admin = account.global.contains(access::privilege("SUPER"));
        if !change_user && connections > globals.get(ids::MAX_CONNECTIONS).as_u64() && !admin {
            self.host.count(CommandCounter::ConnectionErrorsMax);
            return Err(SqlError::new(1040, "Too many connections"));
        }
        if globals.get(ids::OFFLINE_MODE).is_on() && !admin {
            return Err(SqlError::new(3032, "The server is currently in offline mode"));
        }
        let secure = self.channel.is_encrypted() || self.peer.address.is_none();
        if globals.get(ids::REQUIRE_SECURE_TRANSPORT).is_on() && !secure {
            let text =
                "Connections using insecure transport are prohibited while --require_secure_transport=ON.";
            return Err(SqlError::new(3159, text));
        }
        let (user, host) = (text(&login.user), self.peer.host());
        self.state = SessionState::new(globals, self.entry.id());
        let facts = SessionFacts {
            user: format!("{user}@{host}"),
            current_user: format!("{}@{}", account.user, account.host),
            ..SessionFacts::clone(&self.state.facts)
        };
        self.state.facts = Rc::new(facts);
        let attributes = login.attributes.iter().map(|(name, value)| (text(name), text(value))).collect();
        self.entry.log_in(&user);
        registry.set_attributes(self.entry.id(), attributes);
        self.state.identity = Some(Box::new(self.identity_of(host, account)));
        self.note_roles();
        self.apply_login_settings(login);
        let database = login.database.as_ref().map(|name| text(name)).filter(|name| !name.is_empty());
        self.entry.set_database(None);
        match database {
            Some(database) => self.use_database(&database),
            None => Ok(()),
        }
    }

    /// Character set, packet limit and timeout that follow from the login.
    fn apply_login_settings(&mut self, login: &Login) {
        let variables = &mut self.state.variables;
        if let Some(info) = charset::collation_info(login.collation.0).filter(|info| info.charset != "binary")
        {
            let charset = VariableValue::text(info.charset);
            variables.set_all([
                (ids::CHARACTER_SET_CLIENT, charset.clone()),
                (ids::CHARACTER_SET_CONNECTION, charset.clone()),
                (ids::CHARACTER_SET_RESULTS, charset),
                (ids::COLLATION_CONNECTION, VariableValue::text(info.name)),
            ]);
        }
        if login.capabilities.contains(Capabilities::INTERACTIVE) {
            let limit = variables.get(ids::INTERACTIVE_TIMEOUT).clone();
            variables.set(ids::WAIT_TIMEOUT, limit);
        }
        variables.set(ids::PSEUDO_THREAD_ID, VariableValue::UInt(self.entry.id()));
        let limit = variables.effective().max_allowed_packet;
        self.channel.limit_packets(usize::try_from(limit).unwrap_or(usize::MAX));
        self.apply_idle_limit();
    }

    /// Takes `wait_timeout` over to where it is enforced.
    pub(crate) fn apply_idle_limit(&self) {
        let seconds = self.state.variables.get(ids::WAIT_TIMEOUT).as_u64();
        self.entry.set_idle_limit(seconds.saturating_mul(1000));
    }

    /// COM_CHANGE_USER: everything begins anew, as after a login.
    pub(crate) async fn change_user(&mut self, request: ChangeUser) -> Result<Progress, WireError> {
        let Some(salt) = self.salt else { return Ok(Progress::Close) };
        self.forget_everything();
        let settings = self.host.registry.handshake_settings();
        let handshake = Handshake::change_user(settings, self.transport(), salt, &request);
        let mut login = request.login;
        if login.collation == Collation(0) {
            login.collation = Collation::UTF8MB4_0900_AI_CI;
        }
        let mut phase = Box::new(LoginPhase {
            handshake,
            login: Some(Box::new(login)),
            account: None,
            change_user: true,
        });
        let step = self.look_up_account(&mut phase)?;
        self.follow_login(phase, step).await
    }

    /// Ends the transaction, prepared statements and locks of the session.
    pub(crate) fn forget_everything(&mut self) {
        if let Some(transaction) = self.state.transaction.take() {
            transaction.txn.rollback();
        }
        self.state.table_locks = None;
        self.state.global_read_lock = None;
        self.state.temporary = None;
        let open = u64::try_from(self.state.prepared.len()).unwrap_or(0);
        self.host.counters.add(CommandCounter::PreparedClosed, open);
        self.state.prepared = crate::prepared::PreparedStatements::default();
        self.host.registry.release_user_locks(self.entry.id());
    }

    /// COM_RESET_CONNECTION: as after a login with the same user and database.
    pub(crate) fn reset_connection(&mut self) {
        self.forget_everything();
        let identity = self.state.identity.take();
        let facts = SessionFacts::clone(&self.state.facts);
        self.state = SessionState::new(self.host.registry.globals(), self.entry.id());
        self.state.identity = identity;
        self.state.facts = Rc::new(SessionFacts {
            user: facts.user,
            current_user: facts.current_user,
            current_role: facts.current_role,
            database: facts.database,
            ..SessionFacts::clone(&self.state.facts)
        });
        let id = VariableValue::UInt(self.entry.id());
        self.state.variables.set(ids::PSEUDO_THREAD_ID, id);
        self.apply_idle_limit();
    }

    /// A database was dropped: it is no longer the session's.
    pub(crate) fn leave_database(&mut self, dropped: &str) {
        if self.state.database() != Some(dropped) {
            return;
        }
        Rc::make_mut(&mut self.state.facts).database = None;
        self.entry.set_database(None);
        let server = |id| self.state.variables.get(id).clone();
        let values = [
            (ids::CHARACTER_SET_DATABASE, server(ids::CHARACTER_SET_SERVER)),
            (ids::COLLATION_DATABASE, server(ids::COLLATION_SERVER)),
        ];
        self.state.variables.set_all(values);
        if self.state.variables.effective().track_schema {
            self.state.changes().schema = Some(String::new());
        }
    }

    /// USE and COM_INIT_DB.
    ///
    /// # Errors
    /// 1049, 1044.
    pub(crate) fn use_database(&mut self, name: &str) -> SqlResult<()> {
        let catalog = self.host.node.catalog();
        let shown = aquifer_sql::virtual_tables::schema_name(name);
        let exists = shown.is_some() || catalog.database(name).is_some();
        let shown = shown.unwrap_or(name);
        if let Some(identity) = &self.state.identity
            && !access::may_see_database(&identity.rights, shown)
        {
            return Err(access::no_database(identity, shown));
        }
        if !exists {
            return Err(SqlError::new(1049, format!("Unknown database '{name}'")));
        }
        let collation = catalog.database(name).map_or(Collation::UTF8MB4_0900_AI_CI, |found| found.collation);
        Rc::make_mut(&mut self.state.facts).database = Some(shown.to_owned());
        self.entry.set_database(Some(shown));
        self.state.variables.set_all([
            (ids::CHARACTER_SET_DATABASE, VariableValue::text(charset::charset_of(collation).name)),
            (ids::COLLATION_DATABASE, VariableValue::text(charset::collation_name(collation))),
        ]);
        if self.state.variables.effective().track_schema {
            self.state.changes().schema = Some(shown.to_owned());
        }
        Ok(())
    }
}

/// A name from the wire.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
