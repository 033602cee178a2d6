//! Commands: what a client asks for once it is in.

use bytes::Bytes;

use crate::codec::Reader;
use crate::error::{WireError, WireResult};
use crate::flags::Capabilities;
use crate::handshake::{ChangeUser, parse_change_user};
use crate::params::{Param, StmtExecute, read_query_attributes};

/// COM_SET_OPTION.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MultiStatements {
    /// MYSQL_OPTION_MULTI_STATEMENTS_ON.
    On,
    /// MYSQL_OPTION_MULTI_STATEMENTS_OFF.
    Off,
}

/// A decoded command. Texts are in the client's character set and share the packet's memory.
#[derive(Clone, Debug)]
pub enum Command {
    /// COM_QUIT: close; there is no answer.
    Quit,
    /// COM_INIT_DB.
    InitDb(Bytes),
    /// COM_QUERY.
    Query {
        /// One or more statements.
        text: Bytes,
        /// Query attributes.
        attributes: Vec<Param>,
    },
    /// COM_FIELD_LIST.
    FieldList {
        /// The table.
        table: Bytes,
        /// A LIKE pattern for the columns; empty for all.
        wildcard: Bytes,
    },
    /// COM_STATISTICS: answered by [`crate::Channel::write_text`].
    Statistics,
    /// COM_PROCESS_INFO: SHOW PROCESSLIST.
    ProcessInfo,
    /// COM_PROCESS_KILL: KILL CONNECTION.
    ProcessKill(u32),
    /// COM_DEBUG.
    Debug,
    /// COM_PING.
    Ping,
    /// COM_CHANGE_USER: continue with [`crate::Handshake::change_user`].
    ChangeUser(Box<ChangeUser>),
    /// COM_RESET_CONNECTION.
    ResetConnection,
    /// COM_SET_OPTION.
    SetOption(MultiStatements),
    /// COM_STMT_PREPARE.
    StmtPrepare(Bytes),
    /// COM_STMT_EXECUTE.
    StmtExecute(StmtExecute),
    /// COM_STMT_SEND_LONG_DATA: there is no answer.
    StmtSendLongData {
        /// The statement.
        statement_id: u32,
        /// Number of the parameter, from 0.
        parameter: u16,
        /// The next piece of its value.
        data: Bytes,
    },
    /// COM_STMT_CLOSE: there is no answer.
    StmtClose(u32),
    /// COM_STMT_RESET.
    StmtReset(u32),
    /// COM_STMT_FETCH.
    StmtFetch {
        /// The statement.
        statement_id: u32,
        /// At most so many rows.
        rows: u32,
    },
    /// Anything else: error 1047.
    Unknown(u8),
}

impl Command {
    /// Decodes the packet of a command.
    ///
    /// # Errors
    /// `Malformed`: framing is intact, the next command may be read after error 1835.
    pub fn parse(packet: Bytes, capabilities: Capabilities) -> WireResult<Self> {
        let mut reader = Reader::new(packet);
        let code = reader.u8().map_err(|_| WireError::Malformed("an empty command"))?;
        Ok(match code {
            0x01 => Self::Quit,
            0x02 => Self::InitDb(reader.rest()),
            0x03 => Self::parse_query(reader, capabilities)?,
            0x04 => Self::FieldList { table: reader.nul_bytes_or_rest(), wildcard: reader.rest() },
            0x09 => Self::Statistics,
            0x0a => Self::ProcessInfo,
            0x0c => Self::ProcessKill(reader.u32()?),
            0x0d => Self::Debug,
            0x0e => Self::Ping,
            0x11 => Self::ChangeUser(Box::new(parse_change_user(reader, capabilities)?)),
            0x16 => Self::StmtPrepare(reader.rest()),
            0x17 => Self::parse_execute(reader)?,
            0x18 => Self::StmtSendLongData {
                statement_id: reader.u32()?,
                parameter: reader.u16()?,
                data: reader.rest(),
            },
            0x19 => Self::StmtClose(reader.u32()?),
            0x1a => Self::StmtReset(reader.u32()?),
            0x1b => Self::SetOption(match reader.u16()? {
                0 => MultiStatements::On,
                1 => MultiStatements::Off,
                _ => return Ok(Self::Unknown(code)),
            }),
            0x1c => Self::StmtFetch { statement_id: reader.u32()?, rows: reader.u32()? },
            0x1f => Self::ResetConnection,
            other => Self::Unknown(other),
        })
    }

    fn parse_query(mut reader: Reader, capabilities: Capabilities) -> WireResult<Self> {
        let attributes = if capabilities.contains(Capabilities::QUERY_ATTRIBUTES) {
            read_query_attributes(&mut reader)?
        } else {
            Vec::new()
        };
        Ok(Self::Query { text: reader.rest(), attributes })
    }

    fn parse_execute(mut reader: Reader) -> WireResult<Self> {
        let statement_id = reader.u32()?;
        let flags = reader.u8()?;
        // The number of iterations: always 1, and MySQL does not look at it.
        reader.u32()?;
        Ok(Self::StmtExecute(StmtExecute { statement_id, flags, body: reader.rest() }))
    }
}
