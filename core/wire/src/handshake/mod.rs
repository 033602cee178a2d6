//! From an accepted connection to a known client: greeting, TLS, login, proof of the password.
//!
//! Steps: (1) [`Handshake::start`] writes the greeting; (2) [`Handshake::advance`] consumes packets: a
//! request for TLS, then the login, which it returns; (3) the session looks the account up and calls
//! [`Handshake::authenticate`]; (4) [`Handshake::advance`] carries the exchange on, perhaps with a
//! [`PasswordCheck`] to run and give back to [`Handshake::checked`]; (5) it says `Accepted` or `Denied`;
//! (6) the session writes OK or ERR, and after an OK calls [`Handshake::finish`].
//!
//! COM_CHANGE_USER begins at step 3 ([`Handshake::change_user`]). After an error of any method the
//! handshake has failed for good. It never touches a socket, and knows no accounts.

mod change_user;
mod greeting;
mod login;

pub use change_user::ChangeUser;
pub(crate) use change_user::parse_change_user;
pub use greeting::HandshakeSettings;
pub use login::Login;

use std::sync::Arc;

use aquifer_types::SqlError;
use bytes::Bytes;

use crate::auth::{
    AuthCache, AuthPlugin, CheckedPassword, Circumstances, Credential, Exchange, Occasion, PasswordCheck,
    Reply, Salt,
};
use crate::channel::Channel;
use crate::compress::Algorithm;
use crate::error::{WireError, WireResult};
use crate::flags::Capabilities;

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP: private only once it is encrypted.
    Network,
    /// A Unix socket: nobody can listen in.
    Local,
}

/// What the session is to do next.
#[derive(Debug)]
pub enum Step {
    /// Send the output, read more, call [`Handshake::advance`] again.
    NeedInput,
    /// Look the account up and call [`Handshake::authenticate`].
    Login(Box<Login>),
    /// Run this, here or on another thread, and call [`Handshake::checked`].
    Check(Box<PasswordCheck>),
    /// The password is right. Write OK (or an error of the session's own), then, after an OK, call
    /// [`Handshake::finish`].
    Accepted,
    /// Write [`Denial::to_error`] and close.
    Denied(Denial),
}

/// Why a client was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenyReason {
    /// Wrong password, or no such account (1045).
    WrongPassword,
    /// The client cannot be asked for the account's plugin (1251).
    PluginNotSupported,
}

/// A login that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Why.
    pub reason: DenyReason,
    /// Whether the client showed a password, right or wrong.
    pub used_password: bool,
}

impl Denial {
    /// The error for the client.
    #[must_use]
    pub fn to_error(self, user: &str, host: &str) -> SqlError {
        let used = if self.used_password { "YES" } else { "NO" };
        match self.reason {
            DenyReason::WrongPassword => SqlError::new(
                1045,
                format!("Access denied for user '{user}'@'{host}' (using password: {used})"),
            ),
            DenyReason::PluginNotSupported => SqlError::new(
                1251,
                "Client does not support authentication protocol requested by server; consider upgrading \
                 MySQL client",
            ),
        }
    }
}

#[derive(Debug)]
enum State {
    /// The greeting is written; a login or a request for TLS comes.
    Greeted,
    /// The login is with the session.
    LookingUp { plugin: Option<AuthPlugin>, proof: Bytes },
    /// Proofs are exchanged.
    Exchanging(Box<Exchange>),
    /// The client is in.
    Accepted,
    /// The client is out.
    Failed,
}

/// One login.
#[derive(Debug)]
pub struct Handshake {
    settings: Arc<HandshakeSettings>,
    transport: Transport,
    salt: Salt,
    occasion: Occasion,
    state: State,
    compression: Option<Algorithm>,
}

impl Handshake {
    /// Writes the greeting. `connection_id` is what CONNECTION_ID() will say, in 32 bits.
    #[must_use]
    pub fn start(
        settings: Arc<HandshakeSettings>,
        transport: Transport,
        connection_id: u32,
        salt: Salt,
        channel: &mut Channel,
    ) -> Self {
        settings.write_greeting(connection_id, &salt, channel);
        let (occasion, state) = (Occasion::Login, State::Greeted);
        Self { settings, transport, salt, occasion, state, compression: None }
    }

    /// Begins COM_CHANGE_USER: `salt` is that of the connection. Reset the session, look the account up
    /// and call [`Handshake::authenticate`]. There is no [`Handshake::finish`] afterwards.
    #[must_use]
    pub fn change_user(
        settings: Arc<HandshakeSettings>,
        transport: Transport,
        salt: Salt,
        request: &ChangeUser,
    ) -> Self {
        let plugin = request.login.plugin();
        let state = State::LookingUp { plugin, proof: request.proof.clone() };
        Self { settings, transport, salt, occasion: Occasion::ChangeUser, state, compression: None }
    }

    /// The connection's salt, for a later COM_CHANGE_USER.
    #[must_use]
    pub fn salt(&self) -> Salt {
        self.salt
    }

    /// Consumes packets as far as possible.
    ///
    /// # Errors
    /// Any fatal one: write it (its SQLSTATE and number say 1043, 1153, 1156 or 1835) and close.
    pub fn advance(&mut self, channel: &mut Channel, cache: &AuthCache) -> WireResult<Step> {
        let outcome = self.try_advance(channel, cache);
        if outcome.is_err() {
            self.state = State::Failed;
        }
        outcome
    }

    fn try_advance(&mut self, channel: &mut Channel, cache: &AuthCache) -> WireResult<Step> {
        loop {
            if !matches!(self.state, State::Greeted | State::Exchanging(_)) {
                return Err(WireError::Misuse("a handshake that awaits no packet was advanced"));
            }
            let Some(packet) = channel.next_packet()? else { return Ok(Step::NeedInput) };
            let step = match &mut self.state {
                State::Exchanging(exchange) => {
                    let reply = exchange.receive(&packet, cache);
                    Some(self.answer(reply, channel)?)
                }
                _ => self.receive_login(packet, channel)?,
            };
            match step {
                Some(Step::NeedInput) | None => {}
                Some(step) => return Ok(step),
            }
        }
    }

    /// `None` after a request for TLS.
    fn receive_login(&mut self, packet: Bytes, channel: &mut Channel) -> WireResult<Option<Step>> {
        let offered = self.settings.offered();
        if login::is_tls_request(&packet)? && !channel.has_tls() {
            let keys = self.settings.keys.as_ref().filter(|_| offered.contains(Capabilities::SSL));
            let keys = keys.ok_or(WireError::BadHandshake("TLS was requested but not offered"))?;
            channel.start_tls(keys.tls())?;
            return Ok(None);
        }
        let parsed = login::parse(packet)?;
        let agreed = parsed.capabilities & offered;
        channel.agree(agreed);
        self.compression = login::compression(agreed, parsed.zstd_level);
        let plugin = parsed.login.plugin();
        self.state = State::LookingUp { plugin, proof: parsed.proof };
        let mut login = parsed.login;
        login.capabilities = agreed;
        Ok(Some(Step::Login(Box::new(login))))
    }

    /// Continues with what is stored for the account. `account` names it in `cache`, such as
    /// `'user'@'host'` of the matching row, so that two rows never share an entry.
    ///
    /// # Errors
    /// `Misuse` when no login was awaiting it.
    pub fn authenticate(
        &mut self,
        channel: &mut Channel,
        account: &str,
        credential: Credential,
        cache: &AuthCache,
    ) -> WireResult<Step> {
        let State::LookingUp { plugin, proof } = std::mem::replace(&mut self.state, State::Failed) else {
            return Err(WireError::Misuse("no login awaits its account"));
        };
        let circumstances = Circumstances {
            salt: self.salt,
            private: self.transport == Transport::Local || channel.is_encrypted(),
            switches: channel.capabilities().contains(Capabilities::PLUGIN_AUTH),
            occasion: self.occasion,
            keys: self.settings.keys.clone(),
        };
        let mut exchange = Exchange::new(circumstances, account, credential, self.settings.default_plugin);
        let reply = exchange.begin(plugin, &proof, cache);
        self.state = State::Exchanging(Box::new(exchange));
        self.answer(reply, channel)
    }

    /// Continues with the result of [`Step::Check`].
    ///
    /// # Errors
    /// `Misuse` when no check was awaited.
    pub fn checked(
        &mut self,
        channel: &mut Channel,
        checked: &CheckedPassword,
        cache: &AuthCache,
    ) -> WireResult<Step> {
        let State::Exchanging(exchange) = &mut self.state else {
            return Err(WireError::Misuse("no password is being checked"));
        };
        let reply = exchange.checked(checked, cache);
        self.answer(reply, channel)
    }

    fn answer(&mut self, reply: Reply, channel: &mut Channel) -> WireResult<Step> {
        match reply {
            Reply::Switch(plugin) => {
                self.write_switch(plugin, channel);
                Ok(Step::NeedInput)
            }
            Reply::More(data) => {
                write_more_data(&data, channel);
                Ok(Step::NeedInput)
            }
            Reply::Check(check) => Ok(Step::Check(check)),
            Reply::Accepted(last_word) => {
                if let Some(word) = last_word {
                    write_more_data(&[word], channel);
                }
                self.state = State::Accepted;
                Ok(Step::Accepted)
            }
            Reply::Denied(reason) => {
                let used_password = match &self.state {
                    State::Exchanging(exchange) => exchange.used_password(),
                    _ => false,
                };
                self.state = State::Failed;
                Ok(Step::Denied(Denial { reason, used_password }))
            }
        }
    }

    fn write_switch(&self, plugin: AuthPlugin, channel: &mut Channel) {
        let mut packet = channel.packet();
        packet.u8(0xfe);
        packet.nul_bytes(plugin.name().as_bytes());
        packet.nul_bytes(self.salt.as_bytes());
        packet.finish();
    }

    /// Whether the password was proved.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        matches!(self.state, State::Accepted)
    }

    /// After the OK of a login was written: what follows is compressed, if that was agreed.
    ///
    /// # Errors
    /// `Misuse` when the client is not accepted; `Tls`.
    pub fn finish(self, channel: &mut Channel) -> WireResult<()> {
        if !self.is_accepted() {
            return Err(WireError::Misuse("a login that was not accepted cannot finish"));
        }
        match self.compression {
            Some(algorithm) => channel.start_compression(algorithm),
            None => Ok(()),
        }
    }
}

fn write_more_data(data: &[u8], channel: &mut Channel) {
    let mut packet = channel.packet();
    packet.u8(0x01);
    packet.bytes(data);
    packet.finish();
}
