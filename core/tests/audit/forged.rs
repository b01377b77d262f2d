//! `audit::replay`: stories that could not have happened, in well-chained logs. Each is a log
//! of complete runs with one change, and has a finding of its kind.

mod change;
mod exchange;
mod failure;
mod invocation;
mod verifier;

use crate::support::audit_log::sample::logs;
use crate::support::audit_log::{all_findings, rechain, unseal};
use serde_json::{Value, json};
use skopeo_index_core::audit::Severity;
use skopeo_index_core::digest::Digest;

use self::change::{
    add_command, add_to_end, argv, copy_from_cache, fetched, hit, insert_after_end, position,
    remove_command, replace, replace_text, set_argv, set_exit, set_index, set_oversized,
    set_quarantined, set_run, set_size, set_staging, set_time, transition,
};

/// The records of a log, without trailers.
type Records = Vec<Value>;

/// A change that makes a story.
type Change = fn(&mut Records);

/// A story: its name, its change, and the code of its first finding.
type Story = (&'static str, Change, &'static str);

#[rustfmt::skip]
const STORIES: &[Story] = &[
    ("bytes of a command that exited with 1", |r| set_exit(fetched(r), Some(1), None), "exit-outcome"),
    ("bytes of a command that exited with 255", |r| set_exit(fetched(r), Some(255), None), "exit-outcome"),
    ("bytes of a killed command", |r| set_exit(fetched(r), None, Some(9)), "exit-outcome"),
    ("bytes of a command without end", |r| set_exit(fetched(r), None, None), "exit-outcome"),
    ("a copy by a failed command", |r| set_exit(transition(r, "copy", "fetched"), Some(1), None), "exit-outcome"),
    ("a copy read by a failed command", |r| set_exit(transition(r, "copy", "copy-read"), Some(2), None), "exit-outcome"),
    ("a digest of a killed command", |r| set_exit(transition(r, "copy", "manifest-digest"), None, Some(15)), "exit-outcome"),
    ("a network error of a command that exited with 0", |r| {
        let at = position(r, "raw", "/entry/transition/event/outcome/failed");
        set_exit(&mut r[at]["entry"]["transition"], Some(0), None);
    }, "exit-outcome"),
    ("exit and signal at once", |r| set_exit(fetched(r), Some(0), Some(9)), "invalid-exit"),
    ("exit status 256", |r| set_exit(fetched(r), Some(256), None), "invalid-exit"),
    ("negative exit status", |r| set_exit(fetched(r), Some(-1), None), "invalid-exit"),
    ("signal 0", |r| set_exit(fetched(r), None, Some(0)), "invalid-exit"),
    ("signal 65", |r| set_exit(fetched(r), None, Some(65)), "invalid-exit"),

    ("another digest in argv", |r| {
        let digest = fetched(r)["request"]["digest"].as_str().expect("text").to_owned();
        let other = format!("sha256:{}", "0".repeat(64));
        replace(fetched(r), &digest, &other);
    }, "other-arguments"),
    ("another image in argv", |r| replace(fetched(r), "localhost/app", "localhost/other"), "other-arguments"),
    ("another registry in argv", |r| replace(fetched(r), "localhost/", "example.com/"), "other-arguments"),
    ("a tag in argv", |r| replace(fetched(r), "@sha256", ":latest@sha256"), "other-arguments"),
    ("no digest in argv", |r| set_argv(fetched(r), &["--debug", "--command-timeout=125s", "inspect", "--raw", "--tls-verify=false", "docker://localhost/app"]), "other-arguments"),
    ("another transport", |r| replace(fetched(r), "docker://", "oci:"), "other-arguments"),
    ("TLS verification that was switched off", |r| replace(fetched(r), "--tls-verify=false", "--tls-verify=true"), "other-arguments"),
    ("no TLS option", |r| argv(fetched(r)).retain(|a| a != "--tls-verify=false"), "other-arguments"),
    ("no --debug against a registry", |r| drop(argv(fetched(r)).remove(0)), "other-arguments"),
    ("two timeouts in a run", |r| replace(transition(r, "copy", "copy-read"), "=125s", "=10s"), "other-arguments"),
    ("a timeout of more than a day", |r| replace(fetched(r), "=125s", "=86406s"), "other-arguments"),
    ("a timeout with a leading zero", |r| replace(fetched(r), "=125s", "=0125s"), "other-arguments"),

    ("rm -rf / as argv", |r| set_argv(fetched(r), &["rm", "-rf", "/"]), "unknown-command"),
    ("no argv", |r| set_argv(fetched(r), &[]), "unknown-command"),
    ("another subcommand", |r| replace(fetched(r), "inspect", "delete"), "unknown-command"),
    ("inspect without --raw", |r| argv(fetched(r)).retain(|a| a != "--raw"), "unknown-command"),
    ("one more operand", |r| argv(fetched(r)).push("docker://localhost/app".into()), "unknown-command"),
    ("one more option", |r| argv(fetched(r)).insert(4, "--no-creds".into()), "unknown-command"),
    ("an option behind the operand", |r| argv(fetched(r)).push("--authfile=/a".into()), "unknown-command"),
    ("an option twice", |r| argv(fetched(r)).insert(4, "--tls-verify=false".into()), "unknown-command"),
    ("an option of copy for inspect", |r| argv(fetched(r)).insert(4, "--src-authfile=/a".into()), "unknown-command"),
    ("no timeout", |r| argv(fetched(r)).retain(|a| a != "--command-timeout=125s"), "unknown-command"),
    ("a timeout that is not a number", |r| replace(fetched(r), "=125s", "=soons"), "unknown-command"),
    ("a timeout below its margin", |r| replace(fetched(r), "=125s", "=4s"), "unknown-command"),
    ("a copy of all images", |r| replace(transition(r, "copy", "fetched"), "=index-only", "=all"), "unknown-command"),
    ("a copy to a registry", |r| replace(transition(r, "copy", "fetched"), "dir:", "docker://localhost"), "unknown-command"),

    ("skopeo --version that brings bytes", |r| set_argv(fetched(r), &["--version"]), "other-command"),
    ("copy's command in a run by raw", |r| add_command(r, "raw", "fetched", ("copy", "fetched")), "other-command"),
    ("copy's second command in a run by raw", |r| add_command(r, "raw", "fetched", ("copy", "copy-read")), "other-command"),
    ("raw's command in a run by copy", |r| add_command(r, "copy", "fetched", ("raw", "fetched")), "other-command"),
    ("copy's commands in another order", |r| add_command(r, "copy", "copy-read", ("copy", "manifest-digest")), "other-command"),
    ("a copy of another attempt", |r| replace(transition(r, "copy", "fetched"), "attempt-1", "attempt-2"), "other-arguments"),
    ("a copy out of the cache", |r| replace(transition(r, "copy", "fetched"), "/cache/", "/etc/"), "other-arguments"),
    ("a copy by a path that climbs", |r| replace(transition(r, "copy", "fetched"), "/cache/", "/cache/../"), "other-arguments"),
    ("a copy of another fetch", |r| replace(transition(r, "copy", "copy-read"), "/0.attempt", "/1.attempt"), "other-arguments"),
    ("the digest of another file", |r| replace(transition(r, "copy", "manifest-digest"), "manifest.json", "version"), "other-arguments"),
    ("the digest of a file elsewhere", |r| set_argv(transition(r, "copy", "manifest-digest"), &["--command-timeout=125s", "manifest-digest", "/etc/passwd"]), "other-arguments"),

    ("bytes without a command", |r| remove_command(fetched(r)), "missing-command"),
    ("a copy without a command", |r| remove_command(transition(r, "copy", "fetched")), "missing-command"),
    ("a copy read without a command", |r| remove_command(transition(r, "copy", "copy-read")), "missing-command"),
    ("a digest without a command", |r| remove_command(transition(r, "copy", "manifest-digest")), "missing-command"),
    ("a network error without a command", |r| remove_command(transition(r, "raw", "failed")), "missing-command"),
    ("a command that looks up", |r| add_command(r, "raw", "looked-up", ("raw", "fetched")), "unexpected-command"),
    ("a command that stages", |r| add_command(r, "raw", "staged", ("raw", "fetched")), "unexpected-command"),
    ("a command that publishes", |r| add_command(r, "raw", "published", ("raw", "fetched")), "unexpected-command"),
    ("a command that quarantines", |r| add_command(r, "copy", "quarantined", ("copy", "fetched")), "unexpected-command"),
    ("a copy from a cache that runs skopeo", |r| {
        let command = fetched(r)["command"].clone();
        copy_from_cache(r);
        fetched(r)["command"] = command;
    }, "command-in-copy-run"),
    ("a copy from a cache that runs skopeo to look up", |r| {
        let command = fetched(r)["command"].clone();
        copy_from_cache(r);
        transition(r, "raw", "looked-up")["command"] = command;
    }, "command-in-copy-run"),
    ("a copy from a cache by three commands", copy_from_cache, "missing-command"),

    ("a digest with two sizes", |r| hit(r)["size"] = 7.into(), "content-conflict"),
    ("a digest with two sizes in two versions", |r| classify_by_another_version(r, 1), "content-conflict"),
    ("a digest with two numbers of manifests", |r| hit(r)["classification"]["index"]["manifests"] = 77.into(), "content-conflict"),
    ("a digest with two lists of platforms", |r| hit(r)["classification"]["index"]["platforms"] = json!(["a/b"]), "content-conflict"),
    ("a digest with two media types", |r| hit(r)["classification"]["index"]["mediaType"] = "application/vnd.docker.distribution.manifest.list.v2+json".into(), "content-conflict"),
    ("a digest that was an index and is none", |r| hit(r)["classification"] = json!({ "not-an-index": "not-an-object" }), "content-conflict"),
    ("an index of no bytes", |r| set_size(r, 0), "impossible-content"),
    ("an index with the digest of no bytes", |r| {
        let digest = fetched(r)["request"]["digest"].as_str().expect("text").to_owned();
        replace_text(r, &digest, &Digest::of(b"").to_string());
    }, "impossible-content"),
    ("an index of a byte", |r| set_size(r, 1), "impossible-content"),
    ("an index with more manifests than it has room for", |r| set_index(r, "manifests", 1_000_000_000.into()), "impossible-content"),
    ("an index with a platform of no manifest", |r| set_index(r, "manifests", 0.into()), "impossible-content"),
    ("an index with more platforms than are recorded", |r| {
        set_index(r, "manifests", 33.into());
        set_index(r, "platforms", vec!["a/b"; 33].into());
        set_size(r, 4096);
    }, "impossible-content"),
    ("a run of more attempts than can be chosen", |r| set_run(r, |run| run["policy"]["attempts"] = 102.into()), "run"),
    ("a skopeo with a version that was not truncated", |r| set_run(r, |run| run["source"]["skopeo"]["version"] = "v".repeat(2049).into()), "run"),
    ("a run of no version", |r| set_run(r, |run| run["version"] = "".into()), "run"),
    ("a run with an invalid version", |r| set_run(r, |run| run["version"] = "1.0".into()), "run"),
    ("a log of no version", |r| r[0]["entry"]["genesis"]["version"] = "".into(), "run"),
    ("a skopeo without a path", |r| set_run(r, |run| run["source"]["skopeo"]["path"] = "".into()), "run"),
    ("a skopeo by a relative path", |r| set_run(r, |run| {
        run["source"]["skopeo"]["path"] = "skopeo".into();
        run["source"]["skopeo"]["sha256"] = Digest::of(b"").to_string().into();
    }), "run"),
    ("an index of 10 TB", |r| set_size(r, 10 << 40), "content-size"),
    ("an index of 4 MiB and a byte", |r| set_size(r, (4 << 20) + 1), "content-size"),
    ("an oversized file of 4 MiB", |r| set_oversized(r, 4 << 20), "oversized-file"),
    ("an oversized file larger than files can be", |r| set_oversized(r, 1 << 63), "oversized-file"),

    ("a fetch that begins again after its end", |r| insert_after_end(r, 1), "ended-fetch"),
    ("a fetch that is made twice", |r| insert_after_end(r, 3), "ended-fetch"),
    ("a run's id used again", |r| {
        let run = r.last().expect("a record")["run"].clone();
        let again: Vec<_> = r.iter().filter(|record| record["run"] == run).cloned().collect();
        r.extend(again);
    }, "reused-run"),
    ("a run that begins twice", |r| {
        let at = position(r, "raw", "/entry/run");
        r.insert(at, r[at].clone());
    }, "reused-run"),
    ("a run with a relative cache", |r| {
        let at = r.iter().rposition(|record| record["entry"].get("run").is_some()).expect("one");
        r[at]["entry"]["run"]["cache"] = "cache".into();
    }, "run"),
    ("an end with one success more", |r| add_to_end(r, "committed", 1), "run"),
    ("an end with one success less", |r| add_to_end(r, "committed", -1), "run"),
    ("an end with one failure more", |r| add_to_end(r, "failed", 1), "run"),
    ("an end with more fetches than can be counted", |r| {
        let at = position(r, "raw", "/entry/end");
        let end = &mut r[at]["entry"]["end"];
        (end["failed"], end["unrecorded"]) = (u64::MAX.into(), u64::MAX.into());
    }, "run"),
    ("an end with an unrecorded fetch", |r| add_to_end(r, "unrecorded", 1), "run"),

    ("a staging name above the cache", |r| set_staging(r, "../../etc/x"), "staging-name"),
    ("an absolute staging name", |r| set_staging(r, "/etc/cron.d/x"), "staging-name"),
    ("a staging name that climbs", |r| set_staging(r, ".skopeo-index/staging-000001/../0"), "staging-name"),
    ("a staging name without a number", |r| set_staging(r, ".skopeo-index/staging-000001/"), "staging-name"),
    ("a staging name with a sign", |r| set_staging(r, ".skopeo-index/staging-000001/+0"), "staging-name"),
    ("a staging name with another number form", |r| set_staging(r, ".skopeo-index/staging-000001/00"), "staging-name"),
    ("a staging name of another form", |r| set_staging(r, ".skopeo-index/staging-0000001/0"), "staging-name"),
    ("a staging name that two fetches of a run have", |r| {
        let pointer = "/entry/transition/event/outcome/staged/staging";
        let first = position(r, "raw", pointer);
        let (run, name) = (r[first]["run"].clone(), r[first].pointer(pointer).cloned());
        let second = r[first + 1..].iter_mut().filter(|record| record["run"] == run);
        let second = second.filter_map(|record| record.pointer_mut(pointer)).next();
        *second.expect("another fetch") = name.expect("a name");
    }, "staging-name"),
    ("a quarantine name above the cache", |r| set_quarantined(r, "../x"), "quarantine-name"),
    ("an object in quarantine without a number", |r| {
        let digest = transition(r, "copy", "quarantined")["request"]["digest"].as_str().expect("text").to_owned();
        set_quarantined(r, &format!(".skopeo-index/quarantine/{digest}"));
    }, "quarantine-name"),
    ("an object in quarantine with number 0", |r| {
        let digest = transition(r, "copy", "quarantined")["request"]["digest"].as_str().expect("text").to_owned();
        set_quarantined(r, &format!(".skopeo-index/quarantine/{digest}.0"));
    }, "quarantine-name"),
    ("another digest in quarantine", |r| set_quarantined(r, &format!(".skopeo-index/quarantine/sha256:{}.1", "0".repeat(64))), "quarantine-name"),
    ("a replaced object with another name", |r| transition(r, "raw", "published")["event"]["outcome"]["published"]["placement"] = json!({ "replaced": "/x" }), "quarantine-name"),

    ("a record of 1970", |r| set_time(r, "1970-01-01T00:00:00.000Z"), "implausible-time"),
    ("a record of 9999", |r| set_time(r, "9999-01-01T00:00:00.000Z"), "implausible-time"),
    ("a record before the log began", |r| set_time(r, "2025-12-31T23:58:00.000Z"), "time-before-log"),
    ("a command of two centuries", |r| fetched(r)["command"]["milliseconds"] = 6_307_200_000_000_u64.into(), "command-duration"),
    ("a command of all time", |r| fetched(r)["command"]["milliseconds"] = u64::MAX.into(), "command-duration"),
];

/// The last run is one of another version, which finds that the bytes are no index, and
/// `more` of them.
fn classify_by_another_version(r: &mut Records, more: u64) {
    let (digest, size) = (hit(r)["digest"].clone(), hit(r)["size"].as_u64());
    let at = r
        .iter()
        .rposition(|record| record["entry"].get("run").is_some());
    let at = at.expect("a run");
    r[at]["entry"]["run"]["version"] = "9.9.9".into();
    let transition = &mut r[at + 1]["entry"]["transition"];
    transition["event"]["outcome"] = json!({ "looked-up": { "entry": { "file": { "content": {
        "classification": { "not-an-index": "not-an-object" },
        "digest": &digest, "size": size.expect("a size") + more,
    } } } } });
    transition["event"]["cause"] = json!({ "not-an-index": { "reason": "not-an-object" } });
    transition["request"]["digest"] = digest;
}

#[test]
fn forged_story_has_a_finding_of_its_kind() {
    assert!(STORIES.len() >= 49, "{}", STORIES.len());
    let records = unseal(&logs()[0]);
    let mut wrong = Vec::new();
    for (name, change, expected) in STORIES {
        let mut forged = records.clone();
        change(&mut forged);
        assert_ne!(forged, records, "{name}: no change");
        let mut found = all_findings(&rechain(&forged), None).1;
        // The sample has a run that was killed.
        found.retain(|finding| finding.kind.code() != "unfinished-run");
        let first = found.first().map(|finding| finding.kind.code());
        let broken = found.first().map(|finding| finding.kind.severity()) == Some(Severity::Broken);
        if first != Some(expected) || !broken && *expected != "time-before-log" {
            let found: Vec<_> = found.iter().map(ToString::to_string).collect();
            wrong.push((name, expected, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn possible_story_has_no_finding() {
    let possible: &[(&str, Change)] = &[
        ("an oversized file", |r| set_oversized(r, (4 << 20) + 1)),
        ("a run by raw that copies from a cache", |r| {
            copy_from_cache(r);
            // No attempt to read a file is repeated.
            r.retain(|record| {
                let outcome = &record["entry"]["transition"]["event"]["outcome"];
                outcome.get("failed").is_none() && outcome != "backoff-elapsed"
            });
            let events = r
                .iter_mut()
                .filter_map(|it| it.pointer_mut("/entry/transition/event"));
            events
                .for_each(|event| event["attempt"] = event["attempt"].as_u64().min(Some(1)).into());
            let copy = position(r, "copy", "/entry/run");
            let run = r[copy]["run"].clone();
            r.retain(|record| record["run"] != run);
        }),
        ("options of skopeo", |r| {
            let all = ["--authfile=/a b", "--cert-dir=/c"];
            argv(fetched(r)).splice(4..4, all.map(Value::from));
            let all = ["--src-authfile=/a b", "--src-cert-dir=/c"];
            argv(transition(r, "copy", "fetched")).splice(4..4, all.map(Value::from));
            argv(transition(r, "copy", "copy-read")).insert(0, "--debug".into());
        }),
        ("a cache given by a relative path", |r| {
            for (outcome, from, to) in [
                ("fetched", "/cache/", "cache/"),
                ("copy-read", "/cache/", "./cache/"),
                ("manifest-digest", "/cache/", "././cache/"),
            ] {
                replace(transition(r, "copy", outcome), from, to);
            }
        }),
        ("another version that classifies otherwise", |r| {
            classify_by_another_version(r, 0);
        }),
        ("a skopeo that was not found", |r| {
            set_run(r, |run| {
                run["source"]["skopeo"] =
                    json!({ "path": "skopeo", "sha256": null, "version": "" });
            })
        }),
        ("a program in place of skopeo", |r| {
            set_run(r, |run| {
                run["source"]["skopeo"]["version"] = "podman 1".into();
            })
        }),
        ("a run of the most attempts", |r| {
            set_run(r, |run| run["policy"]["attempts"] = 101.into());
        }),
        ("a version before a release", |r| {
            set_run(r, |run| run["version"] = "1.2.3-rc.1+b-7".into())
        }),
        ("a timeout of a day", |r| {
            replace_text(r, "=125s", "=86405s")
        }),
        ("a long command, after which the clock was set back", |r| {
            let at = position(r, "raw", "/entry/transition/event/outcome/fetched");
            r[at - 1]["time"] = "2026-01-01T00:02:00.000Z".into();
            fetched(r)["command"]["milliseconds"] = 100_000.into();
        }),
    ];
    for (name, change) in possible {
        let mut records = unseal(&logs()[0]);
        change(&mut records);
        let mut found = all_findings(&rechain(&records), None).1;
        found.retain(|finding| finding.kind.severity() > Severity::Note);
        assert_eq!(found, [], "{name}");
    }
}

/// Another record need not show it: the clock may be right before the command, and after.
#[test]
fn command_longer_than_its_run_is_a_clock_that_was_set_back() {
    let mut records = unseal(&logs()[0]);
    let before = all_findings(&rechain(&records), None).1;
    fetched(&mut records)["command"]["milliseconds"] = 100_000.into();
    let found = all_findings(&rechain(&records), None).1;
    let added: Vec<_> = found.iter().filter(|it| !before.contains(it)).collect();
    let codes: Vec<_> = added.iter().map(|it| it.kind.code()).collect();
    assert_eq!(codes, ["clock"], "{added:?}");
}

/// The findings of a changed log.
fn codes(records: &Records, change: Change) -> Vec<&'static str> {
    let mut forged = records.clone();
    change(&mut forged);
    let found = all_findings(&rechain(&forged), None).1;
    let bad = found
        .iter()
        .filter(|finding| finding.kind.severity() > Severity::Note);
    bad.map(|finding| finding.kind.code()).collect()
}
