#![allow(clippy::unwrap_used)]

use super::*;

fn status_of(files: &TemporaryFiles, name: &str) -> String {
    files.status().into_iter().find(|(found, _)| found == name).unwrap().1
}

#[test]
fn files_have_no_name_and_free_their_space_when_dropped() {
    let local = tempfile::tempdir().unwrap();
    let files = TemporaryFiles::open(local.path()).unwrap();
    let file = files.create().unwrap();
    file.write_at(&[7; 10_000], 0).unwrap();
    file.write_at(&[8; 5_000], 10_000).unwrap();
    let mut found = [0; 2];
    file.read_at(&mut found, 9_999).unwrap();
    assert_eq!(found, [7, 8]);
    assert_eq!(fs::read_dir(local.path().join("temporary")).unwrap().count(), 0);
    assert_eq!(status_of(&files, "Aquifer_spill_disk_bytes"), "15000");
    assert_eq!(status_of(&files, "Created_tmp_files"), "1");
    drop(file);
    assert_eq!(status_of(&files, "Aquifer_spill_disk_bytes"), "0");
}

#[test]
fn open_removes_what_is_left_and_does_without_a_directory_that_cannot_be() {
    let local = tempfile::tempdir().unwrap();
    let directory = local.path().join("temporary");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("1-1"), "left").unwrap();
    assert!(TemporaryFiles::open(local.path()).is_some());
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
    fs::remove_dir(&directory).unwrap();
    fs::write(&directory, "no directory").unwrap();
    assert!(TemporaryFiles::open(local.path()).is_none());
}

#[test]
fn read_beyond_the_end_is_1024() {
    let local = tempfile::tempdir().unwrap();
    let files = TemporaryFiles::open(local.path()).unwrap();
    let file = files.create().unwrap();
    assert_eq!(file.read_at(&mut [0; 1], 0).unwrap_err().code(), 1024);
}
