//! Keys in a directory.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use aquifer_wire::key_files::load_or_create;

#[test]
fn keys_are_made_once_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    let made = load_or_create(&path).unwrap();
    let found = load_or_create(&path).unwrap();
    assert_eq!(made.public_key_pem(), found.public_key_pem());
    assert_eq!(fs::read_to_string(path.join("public_key.pem")).unwrap(), made.public_key_pem());
    let names =
        ["ca-key.pem", "ca.pem", "private_key.pem", "public_key.pem", "server-cert.pem", "server-key.pem"];
    let mut there: Vec<_> =
        fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    there.sort();
    assert_eq!(there, names);
    for name in ["ca-key.pem", "private_key.pem", "server-key.pem"] {
        assert_eq!(fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777, 0o600);
    }

    // Parts of a set are not completed, and nothing is overwritten.
    fs::remove_file(path.join("server-cert.pem")).unwrap();
    let key = fs::read(path.join("server-key.pem")).unwrap();
    let error = load_or_create(&path).unwrap_err().to_string();
    assert!(error.contains("ca-key.pem") && error.contains("remove it"), "{error}");
    assert_eq!(fs::read(path.join("server-key.pem")).unwrap(), key);
    fs::write(path.join("server-cert.pem"), "rubbish").unwrap();
    assert!(load_or_create(&path).unwrap_err().to_string().contains("certificate"));
}

#[test]
fn start_that_was_interrupted_among_the_names_is_finished() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    load_or_create(&path).unwrap();
    let certificate = fs::read(path.join("server-cert.pem")).unwrap();
    for name in ["ca.pem", "server-key.pem", "server-cert.pem"] {
        fs::rename(path.join(name), path.join(format!("{name}.new"))).unwrap();
    }
    load_or_create(&path).unwrap();
    assert_eq!(fs::read(path.join("server-cert.pem")).unwrap(), certificate);
    assert!(!path.join("ca.pem.new").exists());
}
