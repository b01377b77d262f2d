//! Rows of progress on a terminal.

use std::path::PathBuf;

use test_support::loopback::{Behaviour, Registry, digest, samples};
use test_support::program::harness::Cache;

use crate::screen::{self, Screen, Size, Stdout};
use crate::{digest_of, put};

const WIDE: Size = (160, 24);
const NARROW: Size = (40, 24);

fn args<'r>(more: &[&'r str], references: &'r [String]) -> Vec<&'r str> {
    let fetch = ["fetch", "--tls-verify=false", "--retry-times=0"];
    let references = references.iter().map(String::as_str);
    fetch
        .into_iter()
        .chain(more.iter().copied())
        .chain(references)
        .collect()
}

#[test]
fn every_result_is_on_the_terminal_once_and_no_row_is_stale() {
    let registry = Registry::start();
    for (count, size) in [
        (1, WIDE),
        (10, NARROW),
        (60, WIDE),
        (60, (80, 6)),
        (500, WIDE),
    ] {
        let references = put(&registry, count);
        for stdout in [Stdout::Terminal, Stdout::Cat, Stdout::File] {
            let cache = Cache::new();
            std::fs::create_dir_all(cache.path()).expect("a cache");
            // Most of many are hits, which end faster than a terminal shows them.
            for (n, reference) in references.iter().enumerate().skip(60) {
                let path = cache.object(digest_of(reference));
                std::fs::write(path, samples::distinct(n)).expect("an object");
            }
            let command = cache.command(args(&[], &references));
            let shown = screen::run(&command, size, stdout, None);
            assert_eq!(shown.status, Some(0), "{:#?}", shown.lines);
            shown.assert_no_stale_rows();
            assert!(shown.received.contains('░'), "no bar: {:?}", shown.received);
            let times = usize::from(stdout != Stdout::File);
            for reference in &references {
                let path = cache.object(digest_of(reference));
                let path = path.to_str().expect("UTF-8");
                let context = format!("{count} items, {stdout:?}: {path} {:#?}", shown.lines);
                assert_eq!(shown.count(path), times, "{context}");
            }
            let summary = shown
                .lines
                .iter()
                .filter(|line| line.contains(" 0 failed; "));
            assert_eq!(summary.count(), 1, "{:#?}", shown.lines);
        }
    }
}

#[test]
fn interrupt_error_and_debug_leave_no_stale_row() {
    let registry = Registry::start();
    let mut references = put(&registry, 5);
    let missing = format!("{}/app@{}", registry.address(), digest(b"missing"));
    references.push(missing.clone());
    for stdout in [Stdout::Terminal, Stdout::Cat] {
        let cache = Cache::new();
        let shown = screen::run(
            &cache.command(args(&["--debug"], &references)),
            WIDE,
            stdout,
            None,
        );
        assert_eq!(shown.status, Some(13), "{:#?}", shown.lines);
        shown.assert_no_stale_rows();
        let errors = shown
            .lines
            .iter()
            .filter(|line| line.starts_with("error: "));
        assert_eq!(errors.count(), 1, "{:#?}", shown.lines);
        let commands = shown
            .lines
            .iter()
            .filter(|line| line.contains(" inspect --raw "));
        assert_eq!(commands.count(), 6, "{:#?}", shown.lines);
    }
    let silent = digest_of(&references[4]);
    registry.behave(silent, Behaviour::Silence);
    let cache = Cache::new();
    let command = cache.command(args(&[], &references[..5]));
    let shown = screen::run(&command, WIDE, Stdout::Terminal, Some(("4/5", "\u{3}")));
    assert_eq!(shown.status, Some(130), "{:#?}", shown.lines);
    shown.assert_no_stale_rows();
    let errors = shown
        .lines
        .iter()
        .filter(|line| line.contains("1 of 5 not fetched"));
    assert_eq!(errors.count(), 1, "{:#?}", shown.lines);
    let summary = "4 fetched, 0 cached, 0 failed, 1 not fetched; ";
    let summaries = shown.lines.iter().filter(|line| line.contains(summary));
    assert_eq!(summaries.count(), 1, "{:#?}", shown.lines);
}

#[test]
fn rows_fit_the_terminal_and_count_failures() {
    let registry = Registry::start();
    let mut references = put(&registry, 20);
    for reference in &references {
        registry.behave(digest_of(reference), Behaviour::Silence);
    }
    references.push(format!("{}/app@{}", registry.address(), digest(b"missing")));
    for (columns, rows) in [(40, 24), (80, 5), (20, 3), (8, 2)] {
        let cache = Cache::new();
        let command = cache.command(args(&["--deadline=2s"], &references));
        let shown = screen::run(&command, (columns, rows), Stdout::File, None);
        assert_eq!(shown.status, Some(124), "{:#?}", shown.lines);
        let frames = shown
            .received
            .split("\u{1b}[J\r")
            .filter(|frame| frame.contains('░'));
        for frame in frames.clone() {
            let frame = frame.split('\u{1b}').next().expect("a frame");
            let lines = frame.split("\r\n");
            let drawn: Vec<_> = lines.skip_while(|line| !line.contains('░')).collect();
            assert!(
                drawn.len() < usize::from(rows).max(2),
                "{columns} × {rows}: {frame:?}"
            );
            assert!(drawn.len() <= 9, "{frame:?}");
            let fits = |row: &&str| row.trim_end_matches('\r').chars().count() < columns.into();
            assert!(drawn.iter().all(fits), "{columns} × {rows}: {frame:?}");
        }
        if columns >= 40 {
            for (activity, is_shown) in [("fetching", true), ("staged", false)] {
                let rows = format!("\n{activity:9} ");
                assert_eq!(
                    shown.received.contains(&rows),
                    is_shown,
                    "{activity}: {:?}",
                    shown.received
                );
            }
            assert!(
                shown.received.contains("1/21, 1 failed"),
                "{:?}",
                shown.received
            );
            // The end of a name tells rows apart.
            let short = &digest_of(&references[0])[..19];
            assert!(
                frames.clone().any(|frame| frame.contains(short)),
                "{:?}",
                shown.received
            );
        }
        shown.assert_no_stale_rows();
    }
}

#[test]
fn dumb_terminal_gets_plain_lines_without_time() {
    let registry = Registry::start();
    let references = put(&registry, 3);
    let cache = Cache::new();
    let mut command = cache.command(args(&[], &references));
    command.env("TERM", "dumb");
    let shown = screen::run(&command, WIDE, Stdout::File, None);
    assert!(!shown.received.contains('\u{1b}'), "{:?}", shown.received);
    for reference in &references {
        let (name, digest) = reference.split_once('@').expect("a digest");
        let line = format!("fetched {name}@{}…: OCI index, ", &digest[..19]);
        let lines = shown.lines.iter().filter(|shown| shown.starts_with(&line));
        assert_eq!(lines.count(), 1, "{line} {:#?}", shown.lines);
    }
}

#[test]
fn summary_names_the_audit_log_and_its_size() {
    let registry = Registry::start();
    let references = put(&registry, 1);
    let cache = Cache::new();
    let log: PathBuf = cache.beside("a\u{1b}.log");
    let log = log.to_str().expect("UTF-8");
    let args = args(&["--audit-log", log], &references);
    let shown = screen::run(&cache.command(args), WIDE, Stdout::Terminal, None);
    let last = shown
        .lines
        .iter()
        .rfind(|line| !line.is_empty())
        .expect("a line");
    assert!(last.ends_with("a\\u{1b}.log: 9 records"), "{last}");
}

#[test]
fn resolve_runs_as_many_at_once_as_jobs_and_keeps_the_order() {
    let registry = Registry::start();
    let names: Vec<String> = (0..8).map(|n| format!("app:{n}")).collect();
    for (n, name) in names.iter().enumerate() {
        let tag = name.split_once(':').expect("a tag").1;
        registry.put_as(tag, samples::distinct(n));
        registry.behave_once(
            tag,
            [Behaviour::error(
                "503 Service Unavailable",
                "UNAVAILABLE",
                "x",
            )],
        );
    }
    let relay = test_support::loopback::Relay::to(
        registry.address(),
        std::time::Duration::from_millis(150),
    );
    let cache = Cache::new();
    let names: Vec<_> = names
        .iter()
        .map(|name| format!("{}/{name}", relay.address()))
        .collect();
    let resolve = |jobs: &str| -> (Screen, std::time::Duration) {
        let started = std::time::Instant::now();
        let more = ["resolve", "--tls-verify=false", jobs];
        let args = more.into_iter().chain(names.iter().map(String::as_str));
        let shown = screen::run(&cache.command(args), WIDE, Stdout::Terminal, None);
        (shown, started.elapsed())
    };
    let (shown, together) = resolve("--jobs=8");
    assert_eq!(shown.status, Some(0), "{:#?}", shown.lines);
    shown.assert_no_stale_rows();
    assert!(
        shown.received.contains("resolving "),
        "{:?}",
        shown.received
    );
    let retries = shown
        .lines
        .iter()
        .filter(|line| line.starts_with("retrying "));
    assert_eq!(retries.count(), 8, "{:#?}", shown.lines);
    let resolved = shown
        .lines
        .iter()
        .filter_map(|line| line.split_once("@sha256:"));
    let hex: Vec<_> = resolved.map(|(_, hex)| format!("sha256:{hex}")).collect();
    let expected: Vec<_> = (0..8).map(|n| digest(&samples::distinct(n))).collect();
    assert_eq!(hex, expected);
    let (_, alone) = resolve("--jobs=1");
    assert!(
        together < alone,
        "{together:?} at once, {alone:?} one by one"
    );
}
