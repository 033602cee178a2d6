//! The server's keys in a directory, made on first start. The only I/O of this crate.
//!
//! The names are MySQL's: `ca.pem`, `ca-key.pem`, `server-cert.pem`, `server-key.pem` (PEM; bring your
//! own by putting them there before the start), `private_key.pem`, `public_key.pem`. What exists is
//! used and never overwritten. Private keys are readable by their owner only.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::{WireError, WireResult};
use crate::keys::{GeneratedCertificate, ServerKeys, generate_rsa_key};

const CA: &str = "ca.pem";
const CA_KEY: &str = "ca-key.pem";
const CERTIFICATE: &str = "server-cert.pem";
const KEY: &str = "server-key.pem";
const RSA_PRIVATE: &str = "private_key.pem";
const RSA_PUBLIC: &str = "public_key.pem";

/// Made together, and given their names in this order.
const CERTIFICATE_SET: [&str; 4] = [CA_KEY, CA, KEY, CERTIFICATE];

const PUBLIC_MODE: u32 = 0o644;
const PRIVATE_MODE: u32 = 0o600;

/// Reads the keys of `directory`, and makes those that are not there. Blocks for up to seconds on the
/// first start.
///
/// # Errors
/// `Keys` with the file's name: unreadable, not a key, or a certificate without its key.
pub fn load_or_create(directory: &Path) -> WireResult<ServerKeys> {
    fs::create_dir_all(directory).map_err(|error| failed(directory, &error))?;
    let (certificate, key) = load_certificate(directory)?;
    let rsa_key = load_rsa_key(directory)?;
    let keys = ServerKeys::from_pem(&certificate, &key, &rsa_key)?;
    if read(directory, RSA_PUBLIC)?.is_none() {
        write_new(directory, &[(RSA_PUBLIC, keys.public_key_pem(), PUBLIC_MODE)])?;
    }
    Ok(keys)
}

fn load_certificate(directory: &Path) -> WireResult<(String, String)> {
    finish_interrupted(directory, &CERTIFICATE_SET)?;
    if let (Some(certificate), Some(key)) = (read(directory, CERTIFICATE)?, read(directory, KEY)?) {
        return Ok((certificate, key));
    }
    refuse_partial_set(directory, &CERTIFICATE_SET)?;
    let made = GeneratedCertificate::new()?;
    write_new(
        directory,
        &[
            (CA_KEY, &made.ca_key, PRIVATE_MODE),
            (CA, &made.ca, PUBLIC_MODE),
            (KEY, &made.key, PRIVATE_MODE),
            (CERTIFICATE, &made.certificate, PUBLIC_MODE),
        ],
    )?;
    Ok((made.certificate, made.key))
}

fn load_rsa_key(directory: &Path) -> WireResult<String> {
    if let Some(found) = read(directory, RSA_PRIVATE)? {
        return Ok(found);
    }
    refuse_partial_set(directory, &[RSA_PUBLIC])?;
    let made = generate_rsa_key()?;
    write_new(directory, &[(RSA_PRIVATE, &made, PRIVATE_MODE)])?;
    Ok(made)
}

/// Files of an incomplete set may be somebody's own: making the rest would be wrong, so would be
/// replacing them.
fn refuse_partial_set(directory: &Path, names: &[&str]) -> WireResult<()> {
    for name in names {
        if read(directory, name)?.is_some() {
            let directory = directory.display();
            return Err(WireError::Keys(format!(
                "{directory} has {name} but not all files that belong to it: add them, or remove it \
                 and have all made anew"
            )));
        }
    }
    Ok(())
}

fn read(directory: &Path, name: &str) -> WireResult<Option<String>> {
    let path = directory.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(&path, &error)),
    }
}

/// Writes whole files under temporary names, then gives them their own, one after the other.
fn write_new(directory: &Path, files: &[(&str, &str, u32)]) -> WireResult<()> {
    for (name, text, mode) in files {
        let path = temporary(directory, name);
        write_file(&path, text, *mode).map_err(|error| failed(&path, &error))?;
    }
    name_all(directory, files.iter().map(|(name, ..)| *name))
}

fn name_all<'a>(directory: &Path, names: impl Iterator<Item = &'a str>) -> WireResult<()> {
    for name in names {
        let path = directory.join(name);
        fs::rename(temporary(directory, name), &path).map_err(|error| failed(&path, &error))?;
    }
    fs::File::open(directory).and_then(|opened| opened.sync_all()).map_err(|error| failed(directory, &error))
}

/// A start that ended between the first name and the last has left the rest whole under temporary names.
fn finish_interrupted(directory: &Path, names: &[&str]) -> WireResult<()> {
    let is_named = |name: &&&str| directory.join(name).exists();
    let (done, left) = names.split_at(names.iter().take_while(is_named).count());
    let is_interrupted = !done.is_empty() && !left.is_empty();
    if !is_interrupted || !left.iter().all(|name| temporary(directory, name).exists()) {
        return Ok(());
    }
    name_all(directory, left.iter().copied())
}

fn temporary(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.new"))
}

fn write_file(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    remove_if_there(path)?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn failed(path: &Path, error: &std::io::Error) -> WireError {
    WireError::Keys(format!("{}: {error}", path.display()))
}
