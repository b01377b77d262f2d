//! `audit tiles`: at once, in steps, interrupted. What is in a tile is tested in the core.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use skopeo_index_core::audit::{CompactRange, leaf_hash};
use skopeo_index_core::digest::Digest;
use test_support::program::harness::{Cache, RunOutput, wrap};

use crate::{record, saved};

/// The files below a directory, but for temporary ones.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut files, mut dirs) = (BTreeMap::new(), vec![dir.to_owned()]);
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.ends_with(".tmp") {
                continue;
            }
            if path.is_dir() {
                dirs.push(path);
            } else {
                let name = path.strip_prefix(dir).expect("below it").display();
                files.insert(name.to_string(), fs::read(&path).expect("a file"));
            }
        }
    }
    files
}

/// Asserts that the entries of all tiles are the records of the checkpoint.
#[track_caller]
fn assert_complete(files: &BTreeMap<String, Vec<u8>>) {
    let checkpoint = String::from_utf8_lossy(&files["checkpoint"]);
    let size: usize = checkpoint
        .lines()
        .nth(1)
        .expect("a size")
        .parse()
        .expect("a number");
    let (mut tree, mut leaves) = (CompactRange::default(), Vec::new());
    for n in 0..size.div_ceil(256) {
        let partial = match size - n * 256 {
            width @ ..256 => format!(".p/{width}"),
            _ => String::new(),
        };
        let mut rest = files[&format!("tile/entries/{n:03}{partial}")].as_slice();
        let from = leaves.len();
        while let Some((length, entry)) = rest.split_first_chunk() {
            let (entry, more) = entry.split_at(u16::from_be_bytes(*length).into());
            let leaf = leaf_hash(entry);
            tree.push(leaf);
            leaves.push(leaf);
            rest = more;
        }
        assert_eq!(
            files[&format!("tile/0/{n:03}{partial}")],
            leaves[from..].concat()
        );
    }
    assert_eq!(tree.size(), size as u64);
    let root = skopeo_index_core::audit::Checkpoint {
        root: tree.root(),
        ..checkpoint.parse().expect("a checkpoint")
    };
    assert_eq!(root.to_string(), checkpoint);
}

#[test]
fn tiles_grown_with_the_log_are_those_made_at_once() {
    let cache = Cache::new();
    let (grown, at_once) = (cache.beside("grown"), cache.beside("at-once"));
    for names in [0..3, 3..300, 300..301] {
        let log = record(&cache, "log", names, &[]);
        let dir = grown.display().to_string();
        cache.run(["audit", "tiles", &log, &dir]).assert_status(0);
        assert_complete(&files(&grown));
        // Nothing changes without new records.
        let before = files(&grown);
        cache.run(["audit", "tiles", &log, &dir]).assert_status(0);
        assert_eq!(files(&grown), before);
    }
    let log = cache.beside("log").display().to_string();
    let dir = at_once.display().to_string();
    cache.run(["audit", "tiles", &log, &dir]).assert_status(0);
    let (mut grown, at_once) = (files(&grown), files(&at_once));
    for (path, bytes) in &at_once {
        assert_eq!(grown.remove(path).as_ref(), Some(bytes), "{path}");
    }
    // Partial tiles of earlier checkpoints stay until the full one is there.
    assert!(
        grown.keys().all(|path| path.contains(".p/")),
        "{:?}",
        grown.keys()
    );
    assert!(
        !grown
            .keys()
            .any(|path| path.contains("/000.p/") && !path.contains("tile/1"))
    );
}

#[test]
fn tiles_of_another_log_or_a_rewritten_one_are_refused() {
    let cache = Cache::new();
    let (log, other) = (
        record(&cache, "log", 0..3, &[]),
        record(&cache, "other", 0..9, &[]),
    );
    let dir = cache.beside("tiles");
    let tiles = |log: &str| cache.run(["audit", "tiles", log, dir.to_str().expect("UTF-8")]);
    tiles(&log).assert_status(0);
    let before = files(&dir);
    tiles(&other).assert_status(16).assert_says("another log");
    let whole = fs::read(&log).expect("a log");
    let lines: Vec<_> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    fs::write(&log, lines[..lines.len() - 1].concat()).expect("a log");
    tiles(&log).assert_status(17);
    record(&cache, "log", 0..1, &[]);
    tiles(&log).assert_status(16).assert_says("rewritten");
    fs::write(dir.join("checkpoint"), "x").expect("a file");
    tiles(&log).assert_status(2).assert_says("not a checkpoint");
    fs::write(dir.join("checkpoint"), &before["checkpoint"]).expect("a file");
    assert_eq!(files(&dir), before);
}

#[test]
fn tiles_directory_in_use_or_with_a_link_for_temporary_files_is_refused() {
    let cache = Cache::new();
    let log = record(&cache, "log", 0..1, &[]);
    let dir = cache.beside("tiles");
    let tiles = || cache.run(["audit", "tiles", &log, dir.to_str().expect("UTF-8")]);
    tiles().assert_status(0);
    let temporary = fs::File::open(dir.join(".tmp")).expect("a directory");
    temporary.lock().expect("a lock");
    tiles().assert_status(1).assert_says("another process");
    drop(temporary);
    fs::rename(dir.join(".tmp"), cache.beside("elsewhere")).expect("a directory");
    fs::write(cache.beside("elsewhere/file"), "kept").expect("a file");
    std::os::unix::fs::symlink(cache.beside("elsewhere"), dir.join(".tmp")).expect("a link");
    tiles().assert_status(1);
    assert!(cache.beside("elsewhere/file").exists());
}

#[test]
fn tiles_carry_a_signed_checkpoint() {
    let cache = Cache::new();
    let secret = cache.beside("secret").display().to_string();
    cache
        .run(["audit", "keygen", &secret, "--name", "example.com/a"])
        .assert_status(0);
    let log = record(&cache, "log", 0..3, &[]);
    let dir = cache.beside("tiles").display().to_string();
    let signing = ["--signing-key", &secret];
    cache
        .run(["audit", "tiles", &log, &dir].iter().chain(&signing))
        .assert_status(0);
    let checkpoint = saved(
        &cache,
        "checkpoint",
        &["checkpoint", &log, signing[0], signing[1]],
    );
    let tiles = fs::read(cache.beside("tiles/checkpoint")).expect("a checkpoint");
    assert_eq!(tiles, fs::read(checkpoint).expect("a checkpoint"));
}

#[test]
fn tiles_run_killed_at_any_call_leaves_a_complete_checkpoint_and_is_repeated() {
    let cache = Cache::new();
    let log = record(&cache, "log", 0..3, &[]);
    let (old, new) = (cache.beside("old"), cache.beside("new"));
    let command = |dir: &Path| {
        let mut command = cache.command(["audit", "tiles", &log]);
        command.arg(dir);
        command
    };
    let run = |dir: &Path| {
        let output = command(dir).output().expect("the binary");
        RunOutput::from(output).assert_status(0);
        files(dir)
    };
    let old_files = run(&old);
    record(&cache, "log", 3..260, &[]);
    let new_files = run(&new);
    let kill = |call: &str, n: usize| {
        let dir = cache.beside(&format!("{call}-{n}"));
        for (path, bytes) in &old_files {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
            fs::write(path, bytes).expect("a file");
        }
        let inject = format!("inject={call}:signal=KILL:when={n}");
        let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject];
        let output = wrap(&strace, &command(&dir)).output().expect("strace");
        let killed = files(&dir);
        assert_complete(&killed);
        let is_temporary = |path: &String| path.contains(".tmp");
        assert!(!killed.keys().any(is_temporary), "{:?}", killed.keys());
        let is_old = killed["checkpoint"] == old_files["checkpoint"];
        assert!(is_old || killed["checkpoint"] == new_files["checkpoint"]);
        let after = run(&dir);
        assert!(
            new_files
                .iter()
                .all(|(path, bytes)| after.get(path) == Some(bytes))
        );
        let temporary = fs::read_dir(dir.join(".tmp")).expect("a directory");
        assert_eq!(temporary.count(), 0);
        !output.status.success()
    };
    let calls = ["rename", "fsync", "mkdir", "unlinkat"];
    let kills: usize = calls
        .map(|call| (1..).take_while(|n| kill(call, *n)).count())
        .iter()
        .sum();
    assert!(kills > 10, "{kills}");
}

#[test]
fn tiles_of_a_log_with_a_torn_line_have_it_and_a_rotated_log_has_its_own() {
    let cache = Cache::new();
    let origin = ["--origin", "example.com/a"];
    let log = record(&cache, "log", 0..2, &origin);
    let append = |bytes: &[u8]| {
        let before = fs::read(&log).expect("a log");
        fs::write(&log, [&before, bytes].concat()).expect("a log");
    };
    let tiles = |log: &str, dir: &str| {
        let dir = cache.beside(dir).display().to_string();
        cache.run(["audit", "tiles", log, &dir])
    };
    append(b"{\"entry\":{\"end");
    tiles(&log, "tiles").assert_status(17);
    record(&cache, "log", 2..3, &origin);
    tiles(&log, "tiles").assert_status(0);
    assert_complete(&files(&cache.beside("tiles")));
    // A proof of any line, in the log that has it.
    cache.run(["audit", "rotate", &log]).assert_status(0);
    record(&cache, "log", 3..4, &origin);
    let kept = format!("{log}.1");
    for log in [&kept, &log] {
        let checkpoint = saved(&cache, "checkpoint", &["checkpoint", log]);
        for (seq, line) in fs::read_to_string(log).expect("a log").lines().enumerate() {
            let seq = seq.to_string();
            let proof = saved(&cache, "proof", &["prove", log, "--seq", &seq]);
            let leaf = Digest::from_bytes(leaf_hash(line.as_bytes())).hex();
            let args = ["--leaf-hash", &leaf, "--checkpoint", &checkpoint];
            let verify = ["audit", "verify", "--proof", &proof];
            cache.run(verify.iter().chain(&args)).assert_status(0);
        }
    }
    tiles(&log, "tiles").assert_status(16);
    tiles(&kept, "tiles").assert_status(0);
    assert_complete(&files(&cache.beside("tiles")));
    let next = tiles(&log, "next");
    next.assert_status(0);
    assert!(next.stdout.contains("example.com/a/rotation-2"), "{next:?}");
    assert_complete(&files(&cache.beside("next")));
    // What a power failure may leave is not an entry of a tile.
    append(&vec![0; 1 << 16]);
    record(&cache, "log", 4..5, &origin);
    tiles(&log, "next").assert_status(1).assert_says("too long");
}
