use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use super::*;
use crate::env::{Disk, FaultyDisk, RealDisk};

fn name(subject: &str, month: &str) -> DataKeyName {
    DataKeyName {
        tenant: "default".into(),
        retention: "default".into(),
        section: "content".into(),
        subject: subject.into(),
        month: month.into(),
    }
}

#[test]
fn a_data_key_is_the_same_after_reopening_and_differs_by_tuple() {
    let folder = tempfile::tempdir().expect("folder");
    let (first, other) = {
        let keys = KeyStore::open(folder.path()).expect("opens");
        assert!(keys.cached(&name("s", "2026-11")).is_none());
        let first = keys.data_key(&name("s", "2026-11")).expect("made");
        assert_eq!(keys.cached(&name("s", "2026-11")).map(|k| k.id), Some(first.id));
        (first, keys.data_key(&name("s", "2026-12")).expect("made"))
    };
    assert_ne!(first.id, other.id);
    for keys in [KeyStore::open(folder.path()), KeyStore::open_read_only(folder.path())] {
        let keys = keys.expect("opens");
        let again = keys.by_id(&first.id).expect("reads").expect("is there");
        assert_eq!(again.key, first.key);
        assert_eq!(keys.data_key(&name("s", "2026-11")).expect("is there").key, first.key);
        assert!(keys.by_id(&[7; 16]).expect("reads").is_none());
    }
}

#[test]
fn pseudonym_and_index_keys_stay() {
    let folder = tempfile::tempdir().expect("folder");
    let keys = KeyStore::open(folder.path()).expect("opens");
    let (version, key) = keys.pseudonym_key("acme").expect("made");
    assert_eq!(version, 1);
    assert_ne!(key, keys.pseudonym_key("other").expect("made").1);
    let index = keys.index_key().expect("made");
    drop(keys);
    let keys = KeyStore::open(folder.path()).expect("opens");
    assert_eq!(keys.pseudonym_keys("acme").expect("reads"), [(1, key)]);
    assert_eq!(keys.index_key().expect("reads"), index);
}

#[test]
fn many_threads_get_one_key() {
    let folder = tempfile::tempdir().expect("folder");
    let keys = Arc::new(KeyStore::open(folder.path()).expect("opens"));
    let made: Vec<_> = (0..8)
        .map(|_| {
            let keys = Arc::clone(&keys);
            std::thread::spawn(move || {
                (keys.data_key(&name("s", "2026-11")).expect("made").id, keys.pseudonym_key("t").expect("made"))
            })
        })
        .map(|thread| thread.join().expect("ends"))
        .collect();
    assert!(made.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_missing_or_foreign_kek_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().expect("folder");
    let id = KeyStore::open(folder.path()).expect("opens").data_key(&name("s", "2026-11")).expect("made").id;
    let kek = Paths::new(folder.path()).kek();
    assert_eq!(std::fs::metadata(&kek).expect("is there").permissions().mode() & 0o777, 0o600);
    std::fs::write(&kek, [1u8; 32]).expect("writes");
    let error = KeyStore::open(folder.path()).expect("opens").by_id(&id).expect_err("foreign").to_string();
    assert!(error.contains("kek"), "{error}");
    std::fs::write(&kek, [1u8; 31]).expect("writes");
    assert!(KeyStore::open(folder.path()).expect_err("short").to_string().contains("32 bytes"));
    std::fs::remove_file(&kek).expect("removes");
    assert!(KeyStore::open(folder.path()).expect_err("missing").to_string().contains("backup"));
}

#[test]
fn no_key_stands_in_the_database_in_clear() {
    let folder = tempfile::tempdir().expect("folder");
    let keys = KeyStore::open(folder.path()).expect("opens");
    let key = keys.data_key(&name("s", "2026-11")).expect("made").key;
    drop(keys);
    let bytes = std::fs::read(Paths::new(folder.path()).key_database()).expect("reads");
    assert!(!bytes.windows(8).any(|window| window == &key[..8]));
}

#[test]
fn the_lock_admits_one_and_names_the_other() {
    let folder = tempfile::tempdir().expect("folder");
    let paths = Paths::new(folder.path());
    assert!(Lock::is_free(&paths));
    let lock = Lock::take(&paths).expect("free");
    assert!(!Lock::is_free(&paths));
    let error = Lock::take(&paths).expect_err("taken").to_string();
    assert!(error.contains(&std::process::id().to_string()), "{error}");
    drop(lock);
    assert!(Lock::is_free(&paths));
    Lock::take(&paths).expect("free again");
    std::fs::remove_file(paths.lock()).expect("removed");
    std::os::unix::fs::symlink("lock", paths.lock()).expect("linked");
    assert!(!Lock::is_free(&paths), "what cannot be opened may be held");
}

#[test]
fn the_key_database_is_its_users_alone_side_files_too() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("folder");
    let keys = KeyStore::open(folder.path()).expect("opens");
    keys.index_key().expect("made");
    for name in ["data.sqlite", "data.sqlite-wal", "data.sqlite-shm"] {
        let mode = std::fs::metadata(folder.path().join("keys").join(name)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_replaced_file_is_old_or_new_after_every_fault_and_power_cut() {
    for stored_permille in [0, 500, 1000] {
        for at in 0..8 {
            let folder = tempfile::tempdir().expect("folder");
            let path = folder.path().join("checkpoint");
            let disk = FaultyDisk::new();
            files::replace(&disk, &path, b"old").expect("first");
            let before = disk.steps().len() as u64;
            let error = std::io::ErrorKind::Other;
            disk.arm(crate::env::Fault { at: before + at, error, stored_permille });
            let result = files::replace(&disk, &path, b"newer");
            disk.power_cut(crate::env::Loss::All).expect("cuts");
            let now = std::fs::read(&path).expect("one of the two");
            if result.is_ok() {
                assert_eq!(now, b"newer", "step {at}");
            } else {
                assert!(now == b"old" || now == b"newer", "step {at}: {now:?}");
            }
        }
    }
}

#[test]
fn setting_aside_keeps_the_bytes_and_the_head_of_the_segment() {
    let folder = tempfile::tempdir().expect("folder");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let segments = Segments::open(disk, Paths::new(folder.path()), 1).expect("opens");
    let mut file = segments.create(0).expect("made");
    file.append(b"one\ntwo\nthr").expect("writes");
    file.reserve(1 << 20).expect("reserves");
    assert_eq!(file.length(), 11);
    file.release();
    drop(file);
    let segment = segments.list().expect("lists").remove(0);
    assert_eq!(std::fs::metadata(&segment.path).expect("is there").len(), 11);
    let aside = segments.set_aside(&segment, 4).expect("copies");
    assert_eq!((aside.bytes, aside.lines), (7, 2));
    segments.keep_only(&segment, 4).expect("cuts");
    let mut kept = String::new();
    files::part(&segment.path, 0, None).expect("opens").read_to_string(&mut kept).expect("reads");
    assert_eq!(kept, "one\n");
    assert_eq!(std::fs::read(aside.path).expect("is there"), b"two\nthr");
    segments.keep_only(&segment, 0).expect("removes");
    assert!(segments.list().expect("lists").is_empty());
}
