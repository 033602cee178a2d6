//! The directory store.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aquifer_objstore::dir::DirAccess;
use aquifer_objstore::{
    DirStore, Store, StoreErrorKind, StoreOptions, StoreUrl, block_on, probe_conditional_put,
};
use support::{assert_conforms, assert_one_winner, bytes, dir_store};

#[test]
fn directory_conforms() {
    let dir = tempfile::tempdir().expect("a directory");
    assert_conforms(&dir_store(dir.path()));
}

#[test]
fn put_if_absent_by_32_threads_on_two_handles_has_one_winner() {
    let dir = tempfile::tempdir().expect("a directory");
    let stores = [dir_store(dir.path()), dir_store(dir.path())];
    assert_one_winner(&stores, 32, 20);
    let leftovers = fs::read_dir(dir.path().join(".aquifer-tmp")).expect("it is there").count();
    assert_eq!(leftovers, 0);
}

#[test]
fn probe_accepts_a_directory_and_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = dir_store(dir.path());
    assert_eq!(block_on(probe_conditional_put(&store, "p")), Ok(()));
    assert_eq!(block_on(store.list("", None)), Ok(vec![]));
}

#[test]
fn objects_survive_reopening() {
    let dir = tempfile::tempdir().expect("a directory");
    block_on(dir_store(dir.path()).put("a/b", bytes("kept"))).expect("put");
    assert_eq!(block_on(dir_store(dir.path()).get("a/b")), Ok(bytes("kept")));
}

#[test]
fn open_removes_old_temporary_files_only() {
    let dir = tempfile::tempdir().expect("a directory");
    let temporary = dir.path().join(".aquifer-tmp");
    fs::create_dir(&temporary).expect("created");
    for (name, age_s) in [("old", 4000), ("young", 3000)] {
        let file = fs::File::create(temporary.join(name)).expect("created");
        file.set_modified(SystemTime::now() - Duration::from_secs(age_s)).expect("its time is set");
    }
    let store = dir_store(dir.path());
    assert!(!temporary.join("old").exists());
    assert!(temporary.join("young").exists());
    assert_eq!(block_on(store.list("", None)), Ok(vec![]), "temporary files are no objects");
    let error = block_on(store.get(".aquifer-tmp/young")).expect_err("reserved");
    assert_eq!(error.kind(), StoreErrorKind::Invalid);
}

#[test]
fn open_of_an_unusable_directory_names_it_and_the_remedy() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    fs::write(&file, "x").expect("written");
    for path in [file.join("below"), file] {
        let error = DirStore::open(&path, DirAccess::ReadWrite).expect_err("no directory");
        assert_eq!(error.kind(), StoreErrorKind::Denied);
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        assert!(error.to_string().contains("give it to the user"), "{error}");
    }
}

#[test]
fn read_only_open_writes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    block_on(dir_store(dir.path()).put("a", bytes("x"))).expect("put");
    fs::remove_dir(dir.path().join(".aquifer-tmp")).expect("removed");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).expect("set");
    let options = StoreOptions { access: DirAccess::ReadOnly, ..StoreOptions::default() };
    let store = Store::open(&StoreUrl::Dir(dir.path().to_owned()), &options).expect("opens");
    assert_eq!(block_on(store.get("a")), Ok(bytes("x")));
    assert!(!dir.path().join(".aquifer-tmp").exists());
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("set");
    let absent = DirStore::open(&dir.path().join("absent"), DirAccess::ReadOnly);
    assert_eq!(absent.expect_err("absent").kind(), StoreErrorKind::Denied);
}

#[test]
fn requests_from_many_threads_on_one_handle_are_answered() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = dir_store(dir.path());
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let store = store.clone();
            scope.spawn(move || {
                for number in 0..20 {
                    let key = format!("{thread}/{number}");
                    block_on(store.put(&key, bytes(&key))).expect("put");
                    assert_eq!(block_on(store.get_range(&key, 0..100)), Ok(bytes(&key)));
                }
            });
        }
    });
    assert_eq!(block_on(store.list("", None)).expect("list").len(), 320);
}

#[test]
fn dropped_future_leaves_the_handle_usable() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = dir_store(dir.path());
    drop(store.put("never-polled", bytes("x")));
    assert_eq!(block_on(store.head("never-polled")), Ok(None));
    let backend = Arc::new(DirStore::open(dir.path(), DirAccess::ReadWrite).expect("opens"));
    let other = Store::with_backend(backend, support::QUICK).expect("opens");
    let pending = other.put("after-the-handle", bytes("x"));
    drop(other);
    assert_eq!(block_on(pending), Ok(()), "a request keeps the thread alive");
}
