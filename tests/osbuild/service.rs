//! What a host gets for its items.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use test_support::loopback::{Behaviour, Registry, samples};
use rustix::process::{Pid, Signal, kill_process, test_kill_process_group};
use serde_json::{Value, json};

use crate::host::Answer;
use crate::host::Host;
use crate::host::Version;
use crate::host::Way;
use crate::host::exception;
use crate::host::items;
use crate::host::memfd;
use crate::host::reply;
use crate::host::send_by_memfd;

#[test]
fn fetched_and_then_cached() {
    let registry = Registry::start();
    let digest = registry.put(samples::oci_index(2));
    // What a success replies to hosts that don't look at it is short.
    let versions = [
        (Version::V190, 1),
        (Version::V185, 0),
        (Version::Unknown, 0),
    ];
    for (version, told) in versions {
        let host = Host::start(version);
        let items = items(registry.address(), [digest.as_str()]);
        for cached in [false, true] {
            let message = host.download(&items);
            let reply = reply(&message);
            assert_eq!(reply["name"], "source org.osbuild.skopeo-index");
            assert_eq!(reply["source_type"], "org.osbuild.skopeo-index");
            assert_eq!(reply["success"], true);
            assert!(reply["output"].is_string());
            let result = json!({
                "success": true, "metadata": { "checksum": digest, "cached": cached }, "error": "",
            });
            assert_eq!(reply["results"], json!(vec![result; told]));
        }
        assert_eq!(
            fs::read(host.object(&digest)).expect("it"),
            samples::oci_index(2)
        );
        let (status, said) = host.end();
        assert_eq!(status, Some(0));
        let lines: Vec<_> = said.lines().collect();
        assert!(
            lines.len() == 2 && lines[0].starts_with("1/1 127.0.0.1:"),
            "{said}"
        );
        assert!(
            lines[0].contains("… fetched, ") && lines[1].contains("… cached, "),
            "{said}"
        );
    }
}

#[test]
fn with_a_log_every_fetch_and_every_copy_is_recorded() {
    let registry = Registry::start();
    let digest = registry.put(samples::oci_index(2));
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("log");
    let host = Host::start_with(Version::V190, |service| {
        service.env("SKOPEO_INDEX_AUDIT_LOG", &log);
    });
    let items = items(registry.address(), [digest.as_str()]);
    assert_eq!(reply(&host.download(&items))["success"], true);
    let mut args = host.arguments(&items);
    args["dst_cache"] = json!(host.other_cache());
    assert_eq!(reply(&host.call("copy", &args))["success"], true);

    let audit = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skopeo-index"));
        let ran = command.arg("audit").args(args).output().expect("it");
        assert_eq!(ran.status.code(), Some(0), "{ran:?}");
        String::from_utf8(ran.stdout).expect("UTF-8")
    };
    let log = log.to_str().expect("UTF-8");
    let told = audit(&["verify", log]);
    assert!(told.ends_with(" 0 findings: sound\n"), "{told}");
    let shown = audit(&["show", log]);
    assert_eq!(shown.matches(&digest).count(), 2, "{shown}");
    let path = host.other_cache().join("org.osbuild.files");
    audit(&["verify", log, "--cache", path.to_str().expect("UTF-8")]);

    // Moved between two calls, it begins anew; where it can't, nothing is fetched.
    fs::rename(log, format!("{log}.1")).expect("the log");
    assert_eq!(reply(&host.download(&items))["success"], true);
    for log in [log, &format!("{log}.1")] {
        let told = audit(&["verify", log]);
        assert!(told.ends_with(" 0 findings: sound\n"), "{told}");
    }
    fs::remove_file(log).expect("the log");
    fs::create_dir(log).expect("a directory in its place");
    let message = host.download(&items);
    assert!(message.to_string().contains("cannot open"), "{message}");
}

/// Two items that fail in other ways, and one that doesn't, last.
fn failing(registry: &Registry) -> (Value, [String; 3]) {
    let image = registry.put(samples::single_image());
    let missing = test_support::loopback::digest(b"missing");
    let index = registry.put(samples::empty());
    let digests = [image, missing, index];
    // In the order of the text: serde_json's maps are sorted.
    let mut items = items(registry.address(), digests.iter().map(String::as_str));
    items.as_object_mut().expect("items").sort_keys();
    let mut sorted = digests;
    sorted.sort();
    (items, sorted)
}

#[test]
fn a_host_that_looks_gets_each_items_own_error() {
    let registry = Registry::start();
    let (items, sorted) = failing(&registry);
    let host = Host::start(Version::V190);
    let message = host.download(&items);
    let reply = reply(&message);
    assert_eq!(reply["success"], false);
    let results = reply["results"].as_array().expect("results");
    assert_eq!(results.len(), 3);
    for (result, digest) in results.iter().zip(&sorted) {
        assert_eq!(
            &result["metadata"]["checksum"], digest,
            "in the items' order"
        );
        let error = result["error"].as_str().expect("a text");
        match result["success"].as_bool() {
            Some(true) => assert_eq!(*digest, test_support::loopback::digest(&samples::empty())),
            _ => assert!(error.contains("/app@") && error.contains(digest), "{error}"),
        }
    }
    // The host shows the last one's.
    let last = results[2]["error"].as_str().expect("a text");
    let first_line = last.lines().next().expect("a line");
    assert!(
        first_line.contains("/app@sha256:") && first_line.contains("failed in state"),
        "{last}"
    );
    assert!(
        reply["output"]
            .as_str()
            .expect("a text")
            .contains("(and 1 more of 3 items)")
    );
}

#[test]
fn a_host_that_does_not_look_gets_an_exception() {
    let registry = Registry::start();
    let (items, _) = failing(&registry);
    for version in [Version::V185, Version::Unknown] {
        let host = Host::start(version);
        let message = host.download(&items);
        let text = exception(&message);
        let first_line = text.lines().next().expect("a line");
        assert!(
            first_line.contains("/app@sha256:") && first_line.contains("failed in state"),
            "{text}"
        );
        assert!(
            host.object(&test_support::loopback::digest(&samples::empty())).exists(),
            "the others are fetched"
        );
    }
}

#[test]
fn the_kind_of_reply_can_be_forced() {
    let registry = Registry::start();
    let (items, _) = failing(&registry);
    let with = |version, kind| {
        Host::start_with(version, |command| {
            command.env("SKOPEO_INDEX_REPLY", kind);
        })
    };
    assert_eq!(
        reply(&with(Version::V185, "structured").download(&items))["success"],
        false
    );
    exception(&with(Version::V190, "exception").download(&items));
}

#[test]
fn a_success_fits_in_a_packet_for_hosts_that_know_no_other_way() {
    let host = Host::start(Version::V185);
    let files = host.cache().join("org.osbuild.files");
    fs::create_dir_all(&files).expect("a directory");
    let cached = |n| {
        let document = samples::distinct(n);
        let digest = test_support::loopback::digest(&document);
        fs::write(files.join(&digest), document).expect("an object");
        digest
    };
    let digests: Vec<String> = (0..3000).map(cached).collect();
    let items = items("localhost", digests.iter().map(String::as_str));
    // Those before v129 pass items as a file.
    let args = json!({ "options": {}, "cache": host.cache(), "output": null, "checksums": [] });
    let call = json!({ "type": "method", "data": { "name": "download", "args": args } });
    let file = memfd(items.to_string().as_bytes());
    host.send(call.to_string().as_bytes(), &[file.as_fd()]);
    let Answer::Message(message, Way::InThePacket) = host.receive() else {
        panic!("not in the packet")
    };
    assert_eq!(reply(&message)["output"], "3000 items are there");
}

#[test]
fn registries_prove_who_they_are_as_the_environment_says_where_the_item_does_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let (skopeo, argv) = (dir.path().join("skopeo"), dir.path().join("argv"));
    fs::write(&skopeo, "#!/bin/sh\necho \"$@\" > \"$OUT\"\nexit 1\n").expect("it");
    test_support::loopback::run("chmod", &["+x", skopeo.to_str().expect("UTF-8")]);
    let digest = test_support::loopback::digest(b"");
    for (said, told) in [
        ("true", "--tls-verify=true"),
        ("false", "--tls-verify=false"),
    ] {
        let host = Host::start_with(Version::V190, |command| {
            command.env("SKOPEO_INDEX_SKOPEO", &skopeo);
            command.env("SKOPEO_INDEX_TLS_VERIFY", said);
            command.env("OUT", &argv);
        });
        host.download(&json!({ &digest: { "image": { "name": "localhost/app" } } }));
        let argv = fs::read_to_string(&argv).expect("skopeo was started");
        assert!(argv.contains(told), "{argv}");
    }
}

#[test]
fn it_also_serves_by_the_sources_name() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    let dir = tempfile::tempdir().expect("a directory");
    let source = dir.path().join("org.osbuild.skopeo-index");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_skopeo-index"), &source).expect("a link");
    let host = Host::start_with(Version::V190, |command| {
        // The shell's `$0` is the binary: this has the same arguments by another name.
        command.args(["sh", "-c", "shift; exec \"$SOURCE\" \"$@\"", "-"]);
        command.env("SOURCE", &source);
    });
    assert_eq!(
        reply(&host.download(&items(registry.address(), [digest.as_str()])))["success"],
        true
    );
    let mut by_name = Command::new(env!("CARGO_BIN_EXE_skopeo-index"));
    let ran = by_name
        .arg0("/usr/lib/osbuild/sources/org.osbuild.skopeo-index")
        .output()
        .expect("it");
    assert_eq!(ran.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("--service-fd"));
}

#[test]
fn a_corrupt_hit_is_fetched_anew() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    let host = Host::start(Version::V190);
    let items = items(registry.address(), [digest.as_str()]);
    host.download(&items);
    fs::write(host.object(&digest), "x").expect("the object");
    let message = host.download(&items);
    assert_eq!(reply(&message)["results"][0]["metadata"]["cached"], false);
    assert_eq!(
        fs::read(host.object(&digest)).expect("it"),
        samples::empty()
    );
}

#[test]
fn what_other_sources_keep_is_left_alone() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    let host = Host::start(Version::V190);
    let files = host.cache().join("org.osbuild.files");
    fs::create_dir_all(&files).expect("a directory");
    let theirs = [
        "sha256:0".to_owned(),
        test_support::loopback::digest(b"a package"),
        "md5:1".to_owned(),
        "staging-x".to_owned(),
    ];
    for name in &theirs {
        fs::write(files.join(name), "corrupt, perhaps").expect("a file");
    }
    host.download(&items(registry.address(), [digest.as_str()]));
    for name in &theirs {
        assert_eq!(
            fs::read_to_string(files.join(name)).expect("a file"),
            "corrupt, perhaps"
        );
    }
}

#[test]
fn bad_items_fail_alone_and_touch_nothing() {
    let registry = Registry::start();
    let good = registry.put(samples::empty());
    let name = format!("{}/app", registry.address());
    let bad = [
        (
            format!("{good}/../../../escaped"),
            json!({ "image": { "name": name } }),
        ),
        (good.to_uppercase(), json!({ "image": { "name": name } })),
        (good[..70].to_owned(), json!({ "image": { "name": name } })),
        (
            test_support::loopback::digest(b"1"),
            json!({ "image": { "name": "--authfile=/etc/shadow" } }),
        ),
        (
            test_support::loopback::digest(b"2"),
            json!({ "image": { "name": format!("{name}@{good}") } }),
        ),
        (
            test_support::loopback::digest(b"3"),
            json!({ "image": {
            "name": name, "containers-transport": "containers-storage", "storage-location": "/a+/b",
        } }),
        ),
        (
            test_support::loopback::digest(b"4"),
            json!({ "image": {
            "name": name, "containers-transport": "containers-storage", "storage-location": "../a",
        } }),
        ),
        (
            test_support::loopback::digest(b"5"),
            json!({ "image": { "name": name, "containers-transport": "dir" } }),
        ),
        (test_support::loopback::digest(b"6"), json!({ "image": { "name": 1 } })),
        (
            test_support::loopback::digest(b"7"),
            json!({ "image": { "name": name }, "more": 1 }),
        ),
    ];
    let mut items = items(registry.address(), [good.as_str()]);
    for (key, item) in &bad {
        items[key] = item.clone();
    }
    let host = Host::start(Version::V190);
    let before = host.everything();
    let message = host.download(&items);
    let results = reply(&message)["results"].as_array().expect("results");
    let named = |result: &Value| {
        let error = result["error"].as_str().expect("a text");
        error.is_empty() || error.contains("(\"") || error.contains("\"name\"")
    };
    assert!(results.iter().all(named), "{message}");
    let failed = results
        .iter()
        .filter(|result| result["success"] == false)
        .count();
    assert_eq!((results.len(), failed), (bad.len() + 1, bad.len()));
    // Wherever a key or a location might have led to.
    let mut there = host.everything();
    there.retain(|path| !before.contains(path));
    let files = host.cache().join("org.osbuild.files");
    let (ours, object) = (files.join(".skopeo-index"), files.join(good));
    let store = host.cache().parent().expect("a store").to_owned();
    assert_eq!(there, [store, host.cache(), files, ours, object]);
}

#[test]
fn copy_takes_what_is_sound_and_tolerates_what_is_there() {
    let registry = Registry::start();
    let digest = registry.put(samples::oci_index(1));
    // How the registry would be asked doesn't matter to a copy.
    let host = Host::start_with(Version::V190, |service| {
        service.env("SKOPEO_INDEX_METHOD", "copy");
        service.env("SKOPEO_INDEX_OFFLINE", "true");
    });
    let files = host.cache().join("org.osbuild.files");
    fs::create_dir_all(&files).expect("a directory");
    fs::write(files.join(&digest), samples::oci_index(1)).expect("an object");
    let items = items(registry.address(), [digest.as_str()]);
    let args = json!({
        "items": items, "options": {}, "cache": host.cache(), "dst_cache": host.other_cache(),
    });
    for _ in 0..2 {
        assert_eq!(reply(&host.call("copy", &args))["success"], true);
    }
    let copied = host.other_cache().join("org.osbuild.files").join(&digest);
    assert_eq!(fs::read(&copied).expect("it"), samples::oci_index(1));

    fs::remove_file(&copied).expect("the copy");
    fs::write(host.object(&digest), samples::oci_index(2)).expect("the object");
    let message = host.call("copy", &args);
    assert!(
        reply(&message)["output"]
            .as_str()
            .expect("a text")
            .contains("digest mismatch")
    );
    assert!(!copied.exists());
    fs::remove_file(host.object(&digest)).expect("the object");
    let message = host.call("copy", &args);
    assert!(
        reply(&message)["output"]
            .as_str()
            .expect("a text")
            .contains("not found")
    );
    assert_eq!(
        registry.requests(&digest),
        0,
        "no registry is asked for a copy"
    );
}

#[test]
fn thousands_of_items_come_and_go_by_memfd() {
    let host = Host::start(Version::V190);
    let files = host.cache().join("org.osbuild.files");
    fs::create_dir_all(&files).expect("a directory");
    let digests: Vec<String> = (0..3000)
        .map(|n| {
            let document = samples::distinct(n);
            let digest = test_support::loopback::digest(&document);
            fs::write(files.join(&digest), document).expect("an object");
            digest
        })
        .collect();
    // Beyond what any packet may have, so that the reply can't be one.
    let mut items = items("localhost", digests.iter().map(String::as_str));
    let padding = "x".repeat(2000);
    for n in 0..5000 {
        items[format!("{n}{padding}")] = json!({});
    }
    let args = host.arguments(&items);
    send_by_memfd(
        &host,
        &json!({ "type": "method", "data": { "name": "download", "args": args } }),
    );
    let Answer::Message(message, Way::ByMemfd) = host.receive() else {
        panic!("not by memfd")
    };
    let results = reply(&message)["results"].as_array();
    assert_eq!(results.expect("results").len(), 8000);
    // What fits goes in the packet.
    let call = json!({ "type": "method", "data": { "name": "download", "args": host.arguments(&json!({})) } });
    send_by_memfd(&host, &call);
    assert!(matches!(
        host.receive(),
        Answer::Message(_, Way::InThePacket)
    ));
}

#[test]
fn no_items_are_a_success() {
    let host = Host::start(Version::V190);
    let message = host.download(&json!({}));
    assert_eq!(reply(&message)["success"], true);
    assert_eq!(reply(&message)["results"], json!([]));
    assert!(host.cache().join("org.osbuild.files").is_dir());
}

#[test]
fn a_hang_up_in_mid_fetch_ends_it_within_a_second_and_leaves_nothing() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    registry.behave(&digest, Behaviour::Silence);
    let dir = tempfile::tempdir().expect("a directory");
    let (skopeo, group) = (dir.path().join("skopeo"), dir.path().join("group"));
    fs::write(
        &skopeo,
        "#!/bin/sh\necho $$ > \"$GROUP_FILE\"\nexec skopeo \"$@\"\n",
    )
    .expect("it");
    test_support::loopback::run("chmod", &["+x", skopeo.to_str().expect("UTF-8")]);
    let mut host = Host::start_with(Version::V190, |command| {
        command
            .env("SKOPEO_INDEX_SKOPEO", &skopeo)
            .env("GROUP_FILE", &group);
    });
    let args = host.arguments(&items(registry.address(), [digest.as_str()]));
    let call = json!({ "type": "method", "data": { "name": "download", "args": args } });
    host.send(call.to_string().as_bytes(), &[]);
    while registry.requests(&digest) == 0 {
        std::thread::yield_now();
    }
    // These a host's service outlives.
    for signal in [Signal::INT, Signal::TERM] {
        kill_process(Pid::from_child(&host.service), signal).expect("it runs");
    }
    host.hang_up();
    let hung_up = Instant::now();
    let status = host.service.wait().expect("its end");
    assert!(
        hung_up.elapsed() < Duration::from_secs(1),
        "the host waits for it"
    );
    assert_eq!(status.code(), Some(0));
    let group = fs::read_to_string(group).expect("skopeo was started");
    let group = Pid::from_raw(group.trim().parse().expect("a number")).expect("a process");
    assert!(
        test_kill_process_group(group).is_err(),
        "a child outlives it"
    );
    assert!(!host.object(&digest).exists());
    let ours = host.cache().join("org.osbuild.files/.skopeo-index");
    assert!(crate::host::is_empty_dir(&ours), "left over");
}

#[test]
fn a_hang_up_ends_the_wait_for_a_lock_as_well() {
    let digest = test_support::loopback::digest(&samples::empty());
    let mut host = Host::start(Version::V190);
    let ours = host.cache().join("org.osbuild.files/.skopeo-index");
    fs::create_dir_all(&ours).expect("a directory");
    fs::write(host.object(&digest), "corrupt").expect("an object");
    let lock = fs::File::create(ours.join("lock")).expect("a file");
    lock.lock().expect("nobody has it");
    let args = host.arguments(&items("localhost", [digest.as_str()]));
    let call = json!({ "type": "method", "data": { "name": "download", "args": args } });
    host.send(call.to_string().as_bytes(), &[]);
    let lock = fs::canonicalize(ours.join("lock")).expect("it is there");
    let fds = format!("/proc/{}/fd", host.service.id());
    let waits = || {
        let fds = fs::read_dir(&fds).into_iter().flatten().flatten();
        fds.map(|fd| fs::read_link(fd.path()))
            .any(|to| to.is_ok_and(|to| to == lock))
    };
    while !waits() {
        std::thread::yield_now();
    }
    host.hang_up();
    let hung_up = Instant::now();
    assert_eq!(host.service.wait().expect("its end").code(), Some(0));
    assert!(
        hung_up.elapsed() < Duration::from_secs(1),
        "the host waits for it"
    );
}

#[test]
fn skopeo_is_not_started_deaf_to_signals() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    let dir = tempfile::tempdir().expect("a directory");
    let (skopeo, ignored) = (dir.path().join("skopeo"), dir.path().join("ignored"));
    let script = "#!/bin/sh\ngrep SigIgn /proc/self/status > \"$OUT\"\nexec skopeo \"$@\"\n";
    fs::write(&skopeo, script).expect("it");
    test_support::loopback::run("chmod", &["+x", skopeo.to_str().expect("UTF-8")]);
    let host = Host::start_with(Version::V190, |command| {
        command
            .env("SKOPEO_INDEX_SKOPEO", &skopeo)
            .env("OUT", &ignored);
    });
    let message = host.download(&items(registry.address(), [digest.as_str()]));
    assert_eq!(reply(&message)["success"], true);
    let mask = fs::read_to_string(ignored).expect("a mask");
    let mask = u64::from_str_radix(mask.trim_start_matches("SigIgn:").trim(), 16).expect("hex");
    assert_eq!(
        mask & (1 << 1 | 1 << 14),
        0,
        "SIGINT and SIGTERM reach it: {mask:x}"
    );
}

#[test]
fn an_audit_of_the_socket_by_python_reads_every_reply() {
    let registry = Registry::start();
    let digest = registry.put(samples::empty());
    let cache = tempfile::tempdir().expect("a directory");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/osbuild/host.py");
    let arguments = [
        script,
        env!("CARGO_BIN_EXE_skopeo-index"),
        registry.address(),
        &digest,
    ];
    let ran = Command::new("python3")
        .args(arguments)
        .arg(cache.path())
        .output();
    let ran = ran.expect("python3 is not there; `apt-get install python3` installs it");
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{errors}");
    assert_eq!(String::from_utf8_lossy(&ran.stdout).trim(), "ok");
}

#[test]
fn the_peers_close_ends_it_and_so_does_an_empty_packet() {
    let host = Host::start(Version::V190);
    let (status, said) = host.end();
    assert_eq!((status, said.as_str()), (Some(0), ""));
    let host = Host::start(Version::V190);
    host.send(b"", &[]);
    assert_eq!(host.receive(), Answer::Closed);
}

#[test]
fn a_descriptor_that_is_no_socket_is_a_usage_error() {
    for number in ["1", "99"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skopeo-index"));
        let ran = command
            .args(["--service-id", "x", "--service-fd", number])
            .output()
            .expect("it");
        assert_eq!(ran.status.code(), Some(2), "{ran:?}");
    }
}

#[test]
fn each_call_gets_one_answer_and_a_host_that_leaves_before_reading_it_is_no_error() {
    let host = Host::start(Version::V190);
    let call = |name: &str| {
        let args = host.arguments(&json!({}));
        let call = json!({ "type": "method", "data": { "name": name, "args": args } });
        host.send(call.to_string().as_bytes(), &[]);
    };
    for _ in 0..2 {
        call("download");
        call("nothing");
    }
    for _ in 0..2 {
        reply(&host.answer());
        exception(&host.answer());
    }
    // One is read and answered; then the host goes, with the answer unread.
    call("download");
    host.wait_for_an_answer();
    call("download");
    assert_eq!(host.end(), (Some(0), String::new()));
}
