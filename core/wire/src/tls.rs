//! The TLS layer: rustls without a socket.
//!
//! Plaintext goes in and out through byte slices. A failure still queues the alert for the peer.

use std::io::{BufRead, Write};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};

use crate::error::{WireError, WireResult};
use crate::frame::Framer;

/// Plaintext handed to rustls at a time, so that it never holds a large copy.
const CHUNK_BYTES: usize = 64 * 1024;

/// One encrypted connection.
#[derive(Debug)]
pub(crate) struct Tls {
    connection: ServerConnection,
}

impl Tls {
    pub(crate) fn new(config: Arc<ServerConfig>) -> WireResult<Self> {
        let mut connection = ServerConnection::new(config).map_err(tls_error)?;
        connection.set_buffer_limit(None);
        Ok(Self { connection })
    }

    /// Whether the TLS handshake is over.
    pub(crate) fn is_established(&self) -> bool {
        !self.connection.is_handshaking()
    }

    /// Protocol version and cipher suite, for `Ssl_version` and `Ssl_cipher`.
    pub(crate) fn description(&self) -> Option<(String, String)> {
        let version = format!("{:?}", self.connection.protocol_version()?);
        let suite = format!("{:?}", self.connection.negotiated_cipher_suite()?.suite());
        Some((version.replace("TLSv1_", "TLSv1."), suite))
    }

    /// Takes bytes from the peer; plaintext goes to `plain`, answers of TLS itself to `sealed`.
    pub(crate) fn receive(
        &mut self,
        mut bytes: &[u8],
        plain: &mut dyn PlainSink,
        sealed: &mut Vec<u8>,
    ) -> WireResult<()> {
        while !bytes.is_empty() {
            let taken = self.connection.read_tls(&mut bytes).map_err(io_error)?;
            let outcome = self.connection.process_new_packets();
            self.flush(sealed)?;
            outcome.map_err(tls_error)?;
            let drained = self.drain(plain)?;
            if taken == 0 && drained == 0 {
                return Err(WireError::Tls("data after its end".to_owned()));
            }
        }
        Ok(())
    }

    fn drain(&mut self, plain: &mut dyn PlainSink) -> WireResult<usize> {
        let mut total = 0;
        let mut reader = self.connection.reader();
        loop {
            let count = match reader.fill_buf() {
                Ok(bytes) => {
                    plain.accept(bytes);
                    bytes.len()
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => 0,
                Err(error) => return Err(io_error(error)),
            };
            if count == 0 {
                return Ok(total);
            }
            reader.consume(count);
            total += count;
        }
    }

    /// Encrypts `plain` to the end of `sealed`.
    pub(crate) fn seal(&mut self, plain: &[u8], sealed: &mut Vec<u8>) -> WireResult<()> {
        for chunk in plain.chunks(CHUNK_BYTES) {
            self.connection.writer().write_all(chunk).map_err(io_error)?;
            self.flush(sealed)?;
        }
        Ok(())
    }

    /// Tells the peer that nothing more will come.
    pub(crate) fn close(&mut self, sealed: &mut Vec<u8>) -> WireResult<()> {
        self.connection.send_close_notify();
        self.flush(sealed)
    }

    fn flush(&mut self, sealed: &mut Vec<u8>) -> WireResult<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(sealed).map_err(io_error)?;
        }
        Ok(())
    }
}

/// Where decrypted bytes go.
pub(crate) trait PlainSink {
    fn accept(&mut self, bytes: &[u8]);
}

impl PlainSink for Framer {
    fn accept(&mut self, bytes: &[u8]) {
        self.extend(bytes);
    }
}

impl PlainSink for crate::compress::Compression {
    fn accept(&mut self, bytes: &[u8]) {
        self.extend(bytes);
    }
}

fn tls_error(error: rustls::Error) -> WireError {
    WireError::Tls(error.to_string())
}

fn io_error(error: std::io::Error) -> WireError {
    WireError::Tls(error.to_string())
}
