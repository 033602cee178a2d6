//! A session without SQL: enough to answer real clients' first words and the tests' commands.
//!
//! Queries: `rows N` (N rows), `big N` (one value of N bytes), `two` (two results), `fail`, `infile`,
//! `attributes` (echoes query attributes), anything else: one row `1` for SELECT and SHOW, OK for the
//! rest. A prepared statement returns its parameters.

use std::collections::HashMap;
use std::sync::Arc;

use aquifer_types::{DataType, SqlError, TypeKind, Value};
use aquifer_wire::{
    AuthCache, Channel, ColumnDef, ColumnsBlock, Command, Credential, Handshake, HandshakeSettings, OkPacket,
    Param, ResultCharset, Salt, ServerState, StatementParams, StatusFlags, Step, Transport, WireError,
};
use bytes::Bytes;

/// Accounts by user name.
pub type Accounts = HashMap<String, Credential>;

pub struct Server {
    pub channel: Channel,
    settings: Arc<HandshakeSettings>,
    transport: Transport,
    accounts: Arc<Accounts>,
    cache: Arc<AuthCache>,
    handshake: Option<Handshake>,
    salt: Salt,
    user: String,
    pub closing: bool,
    pub authenticated: bool,
    pub packet_bytes_max: usize,
    statements: HashMap<u32, (StatementParams, Vec<Vec<Param>>)>,
    infile: Option<usize>,
    /// What was executed, for tests.
    pub log: Vec<String>,
}

impl Server {
    pub fn new(
        settings: Arc<HandshakeSettings>,
        transport: Transport,
        accounts: Arc<Accounts>,
        cache: Arc<AuthCache>,
        salt: Salt,
    ) -> Self {
        let mut channel = Channel::new();
        let handshake = Handshake::start(settings.clone(), transport, 42, salt, &mut channel);
        Self {
            channel,
            settings,
            transport,
            accounts,
            cache,
            handshake: Some(handshake),
            salt,
            user: String::new(),
            closing: false,
            authenticated: false,
            packet_bytes_max: 64 << 20,
            statements: HashMap::new(),
            infile: None,
            log: Vec::new(),
        }
    }

    /// Takes bytes of the client, works, returns bytes for the client.
    pub fn exchange(&mut self, bytes: &[u8]) -> Vec<u8> {
        if !self.closing {
            let outcome = self.channel.feed(bytes).and_then(|()| self.work());
            if let Err(error) = outcome {
                self.channel.write_error(&error.into());
                self.closing = true;
            }
        }
        self.channel.take_output().unwrap_or_default()
    }

    fn work(&mut self) -> Result<(), WireError> {
        loop {
            if self.handshake.is_some() {
                if !self.login()? {
                    return Ok(());
                }
                continue;
            }
            if let Some(received) = self.infile {
                let Some(packet) = self.channel.next_packet()? else { return Ok(()) };
                self.infile = Some(received + packet.len());
                if packet.is_empty() {
                    self.infile = None;
                    self.ok(received as u64);
                }
                continue;
            }
            let Some(packet) = self.channel.next_command()? else { return Ok(()) };
            match Command::parse(packet, self.channel.capabilities()) {
                Ok(Command::Quit) => {
                    self.closing = true;
                    return self.channel.close();
                }
                Ok(command) => self.execute(command)?,
                Err(error) if error.is_fatal() => return Err(error),
                Err(error) => self.channel.write_error(&error.into()),
            }
        }
    }

    /// `false`: more input is needed.
    fn login(&mut self) -> Result<bool, WireError> {
        let handshake = self.handshake.as_mut().unwrap();
        let mut step = handshake.advance(&mut self.channel, &self.cache)?;
        loop {
            step = match step {
                Step::NeedInput => return Ok(false),
                Step::Login(login) => {
                    self.user = String::from_utf8_lossy(&login.user).into_owned();
                    self.log.push(format!("login {}", self.user));
                    self.authenticate()?
                }
                Step::Check(check) => {
                    let checked = check.run();
                    let handshake = self.handshake.as_mut().unwrap();
                    handshake.checked(&mut self.channel, &checked, &self.cache)?
                }
                Step::Accepted => {
                    self.authenticated = true;
                    self.ok(0);
                    self.handshake.take().unwrap().finish(&mut self.channel)?;
                    self.channel.limit_packets(self.packet_bytes_max);
                    return Ok(true);
                }
                Step::Denied(denial) => {
                    self.channel.write_error(&denial.to_error(&self.user, "localhost"));
                    self.handshake = None;
                    self.closing = true;
                    return Err(WireError::BadHandshake("denied"));
                }
            };
            if matches!(step, Step::NeedInput) {
                return Ok(true);
            }
        }
    }

    fn authenticate(&mut self) -> Result<Step, WireError> {
        let credential = self.accounts.get(&self.user).cloned().unwrap_or(Credential::Nobody);
        let account = format!("'{}'@'%'", self.user);
        let handshake = self.handshake.as_mut().unwrap();
        handshake.authenticate(&mut self.channel, &account, credential, &self.cache)
    }

    fn state() -> ServerState {
        ServerState { status: StatusFlags::AUTOCOMMIT, warnings: 0 }
    }

    fn ok(&mut self, affected_rows: u64) {
        self.channel.write_ok(&OkPacket { affected_rows, state: Self::state(), ..OkPacket::default() });
    }

    fn end(&mut self, more: StatusFlags) {
        let mut state = Self::state();
        state.status |= more;
        self.channel.write_result_end(&OkPacket { state, ..OkPacket::default() });
    }

    fn text_result(&mut self, rows: &[&[u8]], more: StatusFlags) {
        let data_type = DataType::varchar(10);
        let column = ColumnDef::expression("value", &data_type, ResultCharset::UTF8MB4);
        let mut state = Self::state();
        state.status |= more;
        self.channel.write_columns(&[column], state);
        for value in rows {
            let mut row = self.channel.text_row();
            row.push_bytes(value);
            row.finish();
        }
        self.end(more);
    }

    fn execute(&mut self, command: Command) -> Result<(), WireError> {
        match command {
            Command::Query { text, attributes } => self.query(&text, &attributes),
            Command::StmtPrepare(text) => self.prepare(&text),
            Command::StmtExecute(execute) => {
                let Some((params, rows)) = self.statements.get_mut(&execute.statement_id) else {
                    self.channel.write_error(&SqlError::new(1243, "Unknown prepared statement handler"));
                    return Ok(());
                };
                let decoded = match params.decode(&execute, self.channel.capabilities()) {
                    Ok(decoded) => decoded,
                    Err(error) => {
                        self.channel.write_error(&error.into());
                        return Ok(());
                    }
                };
                let attributes = attribute_text(&decoded.attributes);
                if !attributes.is_empty() {
                    self.log.push(attributes);
                }
                if execute.wants_cursor() {
                    *rows = vec![decoded.params.clone(); 3];
                    self.binary_columns(&decoded.params, StatusFlags::CURSOR_EXISTS);
                } else {
                    self.binary_columns(&decoded.params, StatusFlags::empty());
                    self.binary_rows(&[decoded.params]);
                    self.end(StatusFlags::empty());
                }
            }
            Command::StmtFetch { statement_id, rows } => {
                let Some((_, held)) = self.statements.get_mut(&statement_id) else {
                    self.channel.write_error(&SqlError::new(1243, "Unknown prepared statement handler"));
                    return Ok(());
                };
                let count = held.len().min(rows as usize);
                let batch: Vec<_> = held.drain(..count).collect();
                let last = held.is_empty();
                self.binary_rows(&batch);
                self.end(if last { StatusFlags::LAST_ROW_SENT } else { StatusFlags::CURSOR_EXISTS });
            }
            Command::StmtSendLongData { statement_id, parameter, data } => {
                if let Some((params, _)) = self.statements.get_mut(&statement_id) {
                    params.append_long_data(parameter, &data, self.packet_bytes_max);
                }
            }
            Command::StmtClose(id) => {
                self.statements.remove(&id);
            }
            Command::StmtReset(id) => {
                if let Some((params, _)) = self.statements.get_mut(&id) {
                    params.reset();
                }
                self.ok(0);
            }
            Command::ChangeUser(request) => {
                self.user = String::from_utf8_lossy(&request.login.user).into_owned();
                self.authenticated = false;
                let settings = self.settings.clone();
                self.handshake = Some(Handshake::change_user(settings, self.transport, self.salt, &request));
                let mut step = self.authenticate()?;
                if let Step::Check(check) = step {
                    let handshake = self.handshake.as_mut().unwrap();
                    step = handshake.checked(&mut self.channel, &check.run(), &self.cache)?;
                }
                match step {
                    Step::Accepted => {
                        self.authenticated = true;
                        self.handshake = None;
                        self.ok(0);
                    }
                    Step::Denied(denial) => {
                        self.channel.write_error(&denial.to_error(&self.user, "localhost"));
                        self.closing = true;
                        self.handshake = None;
                    }
                    _ => {}
                }
            }
            Command::FieldList { table, .. } => {
                let table = String::from_utf8_lossy(&table).into_owned();
                let column = ColumnDef::expression(table, &DataType::varchar(3), ResultCharset::UTF8MB4);
                self.channel.write_field_list(&[(column, None)], Self::state());
            }
            Command::Statistics => self.channel.write_text("Uptime: 1"),
            Command::SetOption(option) => {
                self.channel.set_multi_statements(option);
                self.end(StatusFlags::empty());
            }
            Command::Unknown(_) => self.channel.write_error(&SqlError::new(1047, "Unknown command")),
            _ => self.ok(0),
        }
        Ok(())
    }

    fn query(&mut self, text: &Bytes, attributes: &[Param]) {
        let text = String::from_utf8_lossy(text).into_owned();
        self.log.push(text.chars().take(80).collect());
        let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
        match word {
            "rows" => {
                let values: Vec<String> =
                    (0..rest.parse().unwrap_or(0)).map(|i: u32| i.to_string()).collect();
                let rows: Vec<&[u8]> = values.iter().map(String::as_bytes).collect();
                self.text_result(&rows, StatusFlags::empty());
            }
            "big" => {
                let value = vec![b'x'; rest.parse().unwrap_or(0)];
                self.text_result(&[&value], StatusFlags::empty());
            }
            "length" => {
                let length = text.len().to_string();
                self.text_result(&[length.as_bytes()], StatusFlags::empty());
            }
            "two" => {
                self.text_result(&[b"a"], StatusFlags::MORE_RESULTS_EXISTS);
                self.text_result(&[b"b"], StatusFlags::empty());
            }
            "fail" => self.channel.write_error(&SqlError::new(1064, "You have an error in your SQL syntax")),
            "infile" => {
                self.channel.write_local_infile(rest);
                self.infile = Some(0);
            }
            "attributes" => {
                let text = attribute_text(attributes);
                self.text_result(&[text.as_bytes()], StatusFlags::empty());
            }
            "SELECT" | "select" | "SHOW" | "show" => self.text_result(&[b"1"], StatusFlags::empty()),
            _ => self.ok(0),
        }
    }

    fn prepare(&mut self, text: &Bytes) {
        let count = text.iter().filter(|&&byte| byte == b'?').count();
        let id = self.statements.len() as u32 + 1;
        self.statements.insert(id, (StatementParams::new(count), Vec::new()));
        let parameters = ColumnsBlock::new(&vec![ColumnDef::parameter(); count]);
        let columns = ColumnsBlock::new(&vec![ColumnDef::parameter(); count.max(1)]);
        self.channel.write_prepared(id, &parameters, &columns, Self::state());
    }

    fn binary_columns(&mut self, params: &[Param], status: StatusFlags) {
        let mut columns: Vec<_> = params.iter().map(|param| column_of(&param.value)).collect();
        if columns.is_empty() {
            columns.push(column_of(&Value::Int(1)));
        }
        let block = ColumnsBlock::new(&columns);
        if status.contains(StatusFlags::CURSOR_EXISTS) {
            self.channel.write_cursor_columns(&block, Self::state());
        } else {
            self.channel.write_columns_block(&block, Self::state());
        }
    }

    fn binary_rows(&mut self, rows: &[Vec<Param>]) {
        for params in rows {
            let mut row = self.channel.binary_row(params.len().max(1));
            for param in params {
                row.push_value(&param.value, &type_of(&param.value));
            }
            if params.is_empty() {
                row.push_i64(1);
            }
            row.finish();
        }
    }
}

fn type_of(value: &Value) -> DataType {
    match value {
        Value::Null => DataType::of(TypeKind::Null),
        Value::Int(_) => DataType::of(TypeKind::BigInt),
        Value::UInt(_) => DataType::bigint_unsigned(),
        Value::Float(_) => DataType::of(TypeKind::Float),
        Value::Double(_) => DataType::of(TypeKind::Double),
        Value::Decimal(_) => DataType { length: 65, decimals: 4, ..DataType::of(TypeKind::Decimal) },
        Value::Bytes(_) => DataType::varchar(1000),
        Value::Date(_) => DataType::of(TypeKind::Date),
        Value::Time(_) => DataType { decimals: 6, ..DataType::of(TypeKind::Time) },
        Value::DateTime(_) => DataType { decimals: 6, ..DataType::of(TypeKind::DateTime) },
    }
}

fn column_of(value: &Value) -> ColumnDef {
    ColumnDef::expression("p", &type_of(value), ResultCharset::UTF8MB4)
}

fn attribute_text(attributes: &[Param]) -> String {
    let texts = attributes.iter().map(|param| {
        let name = String::from_utf8_lossy(&param.name);
        match &param.value {
            Value::Bytes(bytes) => format!("{name}={}", String::from_utf8_lossy(bytes)),
            other => format!("{name}={other:?}"),
        }
    });
    texts.collect::<Vec<_>>().join(",")
}
