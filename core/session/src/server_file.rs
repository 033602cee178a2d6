//! Files of the node itself, for LOAD DATA INFILE and SELECT … INTO OUTFILE.
//!
//! Only what lies below `secure_file_priv` is read or written, and nothing is ever written over. The work is done on
//! another thread.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aquifer_types::{SqlError, SqlResult};

use crate::session::Session;
use crate::variables::ids;

/// Longest file that the node reads itself, in bytes: more cannot be in one transaction.
const FILE_BYTES_MAX: u64 = 1 << 30;

impl Session {
    fn secure_file_priv(&self) -> String {
        self.host.registry.globals().get(ids::SECURE_FILE_PRIV).as_str().to_owned()
    }

    /// Reads a file.
    ///
    /// # Errors
    /// 1290 when it is not where it may be; 13, 1085.
    pub(crate) async fn read_server_file(&self, name: &str) -> SqlResult<Vec<u8>> {
        let allowed = self.secure_file_priv();
        let path = permitted(name, &allowed)?;
        let shown = name.to_owned();
        self.with_files(move || read_file(&path, &allowed, &shown)).await
    }

    /// Error 1290 unless a file may be written there.
    ///
    /// # Errors
    /// As said.
    pub(crate) fn check_server_file(&self, name: &str) -> SqlResult<()> {
        permitted(name, &self.secure_file_priv()).map(|_| ())
    }

    /// Writes a new file.
    ///
    /// # Errors
    /// 1290 when it is not where it may be; 1086 when it is there already; 1, 3.
    pub(crate) async fn write_server_file(&self, name: &str, bytes: Vec<u8>) -> SqlResult<()> {
        let allowed = self.secure_file_priv();
        let path = permitted(name, &allowed)?;
        let shown = name.to_owned();
        self.with_files(move || write_file(&path, &allowed, &shown, &bytes)).await
    }

    async fn with_files<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> SqlResult<T> + Send + 'static,
    ) -> SqlResult<T> {
        let answer: Arc<Mutex<Option<SqlResult<T>>>> = Arc::new(Mutex::new(None));
        let place = Arc::clone(&answer);
        let work = move || *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(work());
        self.host.node.offload(Box::new(work)).await;
        let done = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        done.unwrap_or_else(|| Err(SqlError::new(1053, "Server shutdown in progress")))
    }
}

fn refused() -> SqlError {
    SqlError::new(
        1290,
        "The MySQL server is running with the --secure-file-priv option so it cannot execute this statement",
    )
}

/// Error 1290 unless a name, as it is written, lies in the directory. No directory allows all, `NULL` nothing.
fn permitted(name: &str, allowed: &str) -> SqlResult<PathBuf> {
    let path = PathBuf::from(name);
    let plain = path.is_absolute() && !path.components().any(|part| matches!(part, Component::ParentDir));
    let inside = allowed.is_empty() || allowed != "NULL" && path.starts_with(allowed);
    if plain && inside { Ok(path) } else { Err(refused()) }
}

/// Reads a file that still lies in the directory when links are followed.
fn read_file(path: &Path, allowed: &str, shown: &str) -> SqlResult<Vec<u8>> {
    let failed = |error: std::io::Error| {
        SqlError::new(13, format!("Can't get stat of '{shown}' ({})", os_error(&error)))
    };
    let real = path.canonicalize().map_err(failed)?;
    if !allowed.is_empty() && !real.starts_with(Path::new(allowed).canonicalize().map_err(failed)?) {
        return Err(refused());
    }
    let metadata = real.metadata().map_err(failed)?;
    if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX {
        return Err(SqlError::new(
            1085,
            format!("The file '{shown}' must be in the database directory or be readable by all"),
        ));
    }
    std::fs::read(&real).map_err(failed)
}

/// Writes a file that is not there yet, in a directory that still lies below the allowed one when links are followed.
fn write_file(path: &Path, allowed: &str, shown: &str, bytes: &[u8]) -> SqlResult<()> {
    let cannot = |error: std::io::Error| {
        SqlError::new(1, format!("Can't create/write to file '{shown}' ({})", os_error(&error)))
    };
    let parent = path.parent().unwrap_or(path).canonicalize().map_err(cannot)?;
    if !allowed.is_empty() && !parent.starts_with(Path::new(allowed).canonicalize().map_err(cannot)?) {
        return Err(refused());
    }
    let opened = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = match opened {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(SqlError::new(1086, format!("File '{shown}' already exists")));
        }
        opened => opened.map_err(cannot)?,
    };
    file.write_all(bytes)
        .map_err(|error| SqlError::new(3, format!("Error writing file '{shown}' ({})", os_error(&error))))
}

/// `OS errno 2 - No such file or directory`.
fn os_error(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    format!("OS errno {} - {text}", error.raw_os_error().unwrap_or(0))
}
