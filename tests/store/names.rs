//! Name records: what is kept, what is trusted, and what `prune` removes.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use skopeo_index::store::{NameRecord, Store};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::CancelReason;
use skopeo_index_core::request::{Location, Request, StorageLocation};
use test_support::loopback::samples;
use test_support::program::fakes::{Fault, catch_crash, never_cancelled};

use crate::{EIO, EMFILE, ENOSPC, existing_cache, faulty_cache, make_fifo, temp_dir};

/// Seconds since 1970 at a past time.
const PAST: u64 = 1_700_000_000;

fn request(name: &str, digest: Digest) -> Request {
    let tls_verify = Default::default();
    Request::new(
        name.parse().expect("a name"),
        Location::Docker { tls_verify },
        digest,
    )
}

fn digest(n: usize) -> Digest {
    Digest::of(&samples::distinct(n))
}

#[track_caller]
fn record(store: &Store, name: &str, digest: Digest) {
    let request = request(name, digest);
    let recorded = store.record_names(&[&request], &never_cancelled());
    recorded.expect("a record");
}

/// The names of a digest, the latest last.
#[track_caller]
fn names(store: &Store, digest: Digest) -> Vec<String> {
    let records = store.name_records().expect("a working disk");
    let record = records.get(&digest).map(NameRecord::names);
    record.unwrap_or_default().to_vec()
}

fn file(store: &Store) -> PathBuf {
    store.root().join(".skopeo-index/names")
}

/// Puts a line in place of all records.
fn write_line(store: &Store, line: &str) {
    fs::create_dir_all(store.root().join(".skopeo-index")).expect("a directory");
    fs::write(file(store), line).expect("a file");
}

#[test]
fn name_is_recorded_once_for_each_digest_beside_its_other_names() {
    let (_dir, store) = existing_cache();
    assert!(store.name_records().expect("a working disk").is_empty());
    let storage = Request::new(
        "localhost/app:1".parse().expect("a name"),
        Location::ContainersStorage {
            location: Some("/a dir".parse().expect("a location")),
        },
        digest(1),
    );
    let started = SystemTime::now();
    for name in ["localhost/app:1", "localhost/b", "localhost/app:1"] {
        record(&store, name, digest(1));
    }
    record(&store, "localhost/app:1", digest(0));
    let recorded = store.record_names(&[&storage, &storage], &never_cancelled());
    recorded.expect("a record");
    let in_storage = "containers-storage:[overlay@/a dir]localhost/app:1";
    assert_eq!(
        names(&store, digest(1)),
        ["localhost/app:1", "localhost/b", in_storage]
    );
    assert_eq!(names(&store, digest(0)), ["localhost/app:1"]);
    let records = store.name_records().expect("a working disk");
    let age = started.duration_since(records[&digest(0)].used());
    assert!(age.is_ok_and(|age| age.as_secs() < 2));
    let mode = fs::metadata(file(&store)).expect("a file").mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn names_beyond_their_limit_replace_the_oldest() {
    let (_dir, store) = existing_cache();
    for n in 0..18 {
        record(&store, &format!("localhost/{n}"), digest(0));
    }
    let expected: Vec<_> = (2..18).map(|n| format!("localhost/{n}")).collect();
    assert_eq!(names(&store, digest(0)), expected);
}

#[test]
fn hit_within_the_hour_writes_nothing_and_later_one_writes_its_time() {
    let (_dir, store) = existing_cache();
    record(&store, "localhost/app", digest(0));
    let inode = || fs::metadata(file(&store)).expect("a file").ino();
    let written = inode();
    record(&store, "localhost/app", digest(0));
    assert_eq!(inode(), written);

    let future = PAST * 2;
    for time in [PAST, future] {
        write_line(&store, &format!("{}\t{time}\tlocalhost/app\n", digest(0)));
        record(&store, "localhost/app", digest(0));
        let records = store.name_records().expect("a working disk");
        let used = records[&digest(0)].used();
        let age = SystemTime::now().duration_since(used).expect("the past");
        assert!(age.as_secs() < 60, "{time}");
    }
}

#[test]
fn line_that_is_not_a_record_is_unknown_and_replaced_by_the_next_write() {
    let (_dir, store) = existing_cache();
    let (ours, other) = (digest(0), digest(1));
    let many = vec!["localhost/app"; 17].join("\t");
    for line in [
        String::new(),
        format!("{ours}"),
        format!("{ours}\t{PAST}"),
        format!("{ours}\t{PAST}\t"),
        format!("{ours}\t-1\tlocalhost/app"),
        format!("{ours}\t999999999999\tlocalhost/app"),
        format!("{ours}\t{PAST}\tlocalhost/app\t"),
        format!("{ours}\t{PAST}\t../app"),
        format!("{ours}\t{PAST}\tlocalhost/app@{ours}"),
        format!("{ours}\t{PAST}\t\u{1b}[31m"),
        format!("{ours}\t{PAST}\t{many}"),
        format!("{ours} {PAST} localhost/app"),
        format!("{}\t{PAST}\tlocalhost/app", &ours.to_string()[1..]),
    ] {
        write_line(&store, &format!("{line}\n{other}\t{PAST}\tlocalhost/b\n"));
        assert_eq!(names(&store, ours), [""; 0], "{line}");
        assert_eq!(names(&store, other), ["localhost/b"], "{line}");
        record(&store, "localhost/app", ours);
        assert_eq!(names(&store, ours), ["localhost/app"], "{line}");
        assert_eq!(names(&store, other), ["localhost/b"], "{line}");
        let lines = fs::read_to_string(file(&store)).expect("a file");
        assert_eq!(lines.lines().count(), 2, "{lines}");
    }
    // Not in order, so that it is not found: it is sorted by the next write.
    let mut lines = [ours, other].map(|digest| format!("{digest}\t{PAST}\tlocalhost/app\n"));
    lines.sort_by(|a, b| b.cmp(a));
    write_line(&store, &lines.concat());
    record(&store, "localhost/b", ours);
    assert_eq!(names(&store, ours), ["localhost/app", "localhost/b"]);
    assert_eq!(names(&store, other), ["localhost/app"]);
}

#[test]
fn names_file_that_is_something_else_is_unknown_and_replaced() {
    let (dir, store) = existing_cache();
    let victim = dir.path().join("victim");
    type Make = fn(&Path, &Path);
    let make: [(&str, Make); 6] = [
        ("link", |at, victim| symlink(victim, at).expect("a link")),
        ("fifo", |at, _| make_fifo(at)),
        ("directory", |at, _| {
            fs::create_dir_all(at.join("full")).expect("a directory");
        }),
        ("not UTF-8", |at, _| {
            fs::write(at, b"\xff\n").expect("a file");
        }),
        ("endless", |at, _| {
            let file = fs::File::create(at).expect("a file");
            file.set_len(8 << 40).expect("a sparse file");
        }),
        ("leftover", |at, victim| {
            symlink(victim, at.with_extension("new")).expect("a link");
        }),
    ];
    for (kind, make) in make {
        fs::write(&victim, format!("{}\t{PAST}\tlocalhost/evil\n", digest(0))).expect("a file");
        let untouched = fs::read(&victim).expect("a file");
        write_line(&store, "");
        fs::remove_file(file(&store)).expect("a file");
        make(&file(&store), &victim);
        assert_eq!(names(&store, digest(0)), [""; 0], "{kind}");
        record(&store, "localhost/app", digest(0));
        assert_eq!(names(&store, digest(0)), ["localhost/app"], "{kind}");
        assert_eq!(fs::read(&victim).expect("a file"), untouched, "{kind}");
        let private = fs::read_dir(store.root().join(".skopeo-index")).expect("a directory");
        assert_eq!(private.count(), 2, "{kind}: lock and names");
    }
}

#[test]
fn names_file_that_is_full_stays_as_it_is() {
    let (_dir, store) = existing_cache();
    record(&store, "localhost/app", digest(0));
    let before = fs::read(file(&store)).expect("a file");
    let long: StorageLocation = format!("/{}", "x".repeat(4000))
        .parse()
        .expect("a location");
    let requests: Vec<_> = (0..2100)
        .map(|n| {
            let location = Some(long.clone());
            let storage = Location::ContainersStorage { location };
            let name = "localhost/app".parse().expect("a name");
            Request::new(name, storage, Digest::of(&usize::to_le_bytes(n)))
        })
        .collect();
    let requests: Vec<_> = requests.iter().collect();
    let full = store.record_names(&requests, &never_cancelled());
    let error = full.expect_err("a file of more than 8 MiB").to_string();
    assert!(error.contains("names: full"), "{error}");
    assert_eq!(fs::read(file(&store)).expect("a file"), before);
}

#[test]
fn cancelled_run_records_nothing() {
    let (_dir, store) = existing_cache();
    let cancel = never_cancelled();
    cancel.cancel(CancelReason::HungUp);
    let recorded = store.record_names(&[&request("localhost/app", digest(0))], &cancel);
    recorded.expect("nothing was tried");
    assert!(!file(&store).exists());
}

#[test]
fn concurrent_runs_lose_no_name() {
    let (_dir, store) = existing_cache();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let root = store.root().to_owned();
            scope.spawn(move || {
                let store = Store::at(root);
                record(&store, &format!("localhost/{n}"), digest(0));
                record(&store, "localhost/app", digest(n));
            });
        }
    });
    let found: BTreeSet<_> = names(&store, digest(0)).into_iter().collect();
    let expected = (0..8).map(|n| format!("localhost/{n}"));
    let expected: BTreeSet<_> = expected.chain(["localhost/app".to_owned()]).collect();
    assert_eq!(found, expected);
    assert_eq!(store.name_records().expect("a working disk").len(), 8);
}

/// A cache with the indexes 0 and 1, both recorded, and 2, which is not.
fn three_indexes(root: PathBuf) -> Store {
    let store = Store::at(root);
    store.create().expect("a directory");
    for n in 0..3 {
        fs::write(store.object(digest(n)), samples::distinct(n)).expect("an object");
    }
    let lines = [0, 1].map(|n| format!("{}\t{PAST}\tlocalhost/{n}\n", digest(n)));
    write_line(&store, &lines.concat());
    store
}

#[test]
fn record_disk_fault_or_crash_at_any_call_leaves_old_or_new_records() {
    for fault in [Fault::Errno(ENOSPC), Fault::Errno(EIO), Fault::Crash] {
        for n in 1.. {
            let dir = temp_dir();
            let store = three_indexes(dir.path().to_owned());
            let (faulty, disk) = faulty_cache(dir.path().to_owned(), n, fault);
            let request = request("localhost/new", digest(2));
            let recorded =
                catch_crash(|| faulty.record_names(&[&request], &never_cancelled()).is_ok());
            let is_new = names(&store, digest(2)) == ["localhost/new"];
            assert!(is_new || names(&store, digest(2)).is_empty());
            assert!(is_new || !recorded.unwrap_or(false), "{fault:?} at {n}");
            for n in [0, 1] {
                assert_eq!(names(&store, digest(n)), [format!("localhost/{n}")]);
            }
            record(&store, "localhost/again", digest(2));
            if !disk.has_failed() {
                assert!(is_new && n > 4, "{fault:?} at {n}");
                break;
            }
        }
    }
}

#[test]
fn prune_removes_unused_recorded_indexes_and_stale_records() {
    let dir = temp_dir();
    let store = three_indexes(dir.path().to_owned());
    record(&store, "localhost/1", digest(1));
    record(&store, "localhost/gone", digest(3));
    let is_old = |record: &NameRecord| record.names() == ["localhost/0"];
    let all = [0, 1, 2, 3].map(digest);
    let (removed, errors) = store.prune(&all, is_old, &never_cancelled());
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(removed, BTreeSet::from([digest(0)]));
    let mut left = [digest(1), digest(2)];
    left.sort();
    assert_eq!(store.objects().expect("a list"), left);
    let records = store.name_records().expect("a working disk");
    assert_eq!(records.keys().collect::<Vec<_>>(), [&digest(1)]);
}

#[test]
fn prune_disk_fault_or_crash_at_any_call_leaves_what_is_kept() {
    let faults = [Fault::Errno(EIO), Fault::Errno(EMFILE), Fault::Crash];
    for fault in faults {
        for n in 1.. {
            let dir = temp_dir();
            let store = three_indexes(dir.path().to_owned());
            let (faulty, disk) = faulty_cache(dir.path().to_owned(), n, fault);
            let prune = |store: &Store| store.prune(&[digest(0)], |_| true, &never_cancelled()).1;
            let pruned = catch_crash(|| prune(&faulty).is_empty());
            let is_pruned = !store.object(digest(0)).exists();
            assert!(is_pruned || !pruned.unwrap_or(false), "{fault:?} at {n}");
            // An object that is there still has its record.
            let recorded = store.name_records().expect("a working disk");
            assert!(is_pruned || recorded.contains_key(&digest(0)));
            assert_eq!(names(&store, digest(1)), ["localhost/1"]);
            drop(prune(&store));
            assert_eq!(names(&store, digest(0)), [""; 0], "{fault:?} at {n}");
            for n in [1, 2] {
                let object = fs::read(store.object(digest(n))).expect("the object");
                assert_eq!(object, samples::distinct(n));
            }
            if !disk.has_failed() {
                assert!(is_pruned && n > 4, "{fault:?} at {n}");
                break;
            }
        }
    }
}
