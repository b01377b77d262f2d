//! Packets that are not calls, and what is passed with packets.

use std::fs::File;
use std::os::fd::AsFd;

use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};
use serde_json::json;
use test_support::program::host::{Host, Version, exception, memfd, reply};

/// Asserts that a packet gets a `ProtocolError`.
#[track_caller]
fn assert_refused(host: &Host, packet: &[u8]) {
    host.send(packet, &[]);
    let message = host.answer();
    assert_eq!(message["data"]["name"], "ProtocolError", "{message}");
    exception(&message);
}

#[test]
fn packet_that_is_not_a_call_gets_an_exception_and_the_service_continues() {
    let host = Host::start(Version::V190);
    let packets: [&[u8]; 23] = [
        b"{}",
        br#"["method", {"name": "download", "args": {"items": {}, "cache": "/x"}}]"#,
        br#"{"type": "method", "data": ["download", {"items": {}, "cache": "/x"}]}"#,
        br#"{"type": "method", "data": {"name": "download", "args": [{}, "/x"]}}"#,
        b"[]",
        b"null",
        b"{",
        b"\xff\xfe",
        br#"{"type": "", "data": {}}"#,
        br#"{"type": null, "data": {}}"#,
        br#"{"type": 1, "data": {}}"#,
        br#"{"type": "method"}"#,
        br#"{"type": "method", "data": {}}"#,
        br#"{"type": "method", "data": null}"#,
        br#"{"type": "method", "data": []}"#,
        br#"{"type": "method", "data": {"name": ""}}"#,
        br#"{"type": "method", "data": {"name": "remove", "args": {}}}"#,
        br#"{"type": "signal", "data": {"name": "download"}}"#,
        br#"{"type": "method", "data": {"name": "download"}}"#,
        br#"{"type": "method", "data": {"name": "download", "args": {"items": {}}}}"#,
        br#"{"type": "method", "data": {"name": "download", "args": {"items": [], "cache": "/x"}}}"#,
        br#"{"type": "method", "data": {"name": "copy", "args": {"items": {}, "cache": "/x"}}}"#,
        b"<args-via-fd>",
    ];
    for packet in packets {
        assert_refused(&host, packet);
    }
    assert_eq!(reply(&host.download(&json!({})))["success"], true);
}

#[test]
fn call_with_duplicate_item_is_refused() {
    let host = Host::start(Version::V190);
    let args = r#"{"items": {"a": {}, "a": {}}, "cache": "/nowhere"}"#;
    let packet = format!(r#"{{"type": "method", "data": {{"name": "download", "args": {args}}}}}"#);
    host.send(packet.as_bytes(), &[]);
    assert!(exception(&host.answer()).contains("duplicate key"));
}

#[test]
fn descriptor_of_a_pipe_is_refused() {
    let host = Host::start(Version::V190);
    let (pipe, _writer) = rustix::pipe::pipe().expect("a pipe");
    host.send(b"<args-via-fd>", &[pipe.as_fd()]);
    assert!(exception(&host.answer()).contains("not a regular file"));
}

#[test]
fn message_by_descriptor_is_limited_to_64_mib() {
    let host = Host::start(Version::V190);
    let size = 64 << 20;
    let refusal = |size| {
        let file = memfd(b"");
        file.set_len(size).expect("a file with a hole");
        host.send(b"<args-via-fd>", &[file.as_fd()]);
        exception(&host.answer()).to_owned()
    };
    assert!(
        !refusal(size).contains("larger than the limit"),
        "only the content is refused"
    );
    assert!(refusal(size + 1).contains("larger than the limit"));
    reply(&host.download(&json!({})));
}

#[test]
fn packet_with_more_descriptors_than_the_limit_is_refused() {
    let host = Host::start_with(Version::V190, |service| {
        // A limit on open files.
        service.args(["sh", "-c", "ulimit -n 16; exec \"$@\"", "-"]);
    });
    let null = File::open("/dev/null").expect("/dev/null");
    host.send(b"{}", &[null.as_fd(); 20]);
    assert!(exception(&host.answer()).contains("truncated"));
    reply(&host.download(&json!({})));
}

#[test]
fn unexpected_descriptors_are_closed() {
    let host = Host::start(Version::V190);
    let count = || {
        let dir = format!("/proc/{}/fd", host.service.id());
        std::fs::read_dir(dir).expect("its descriptors").count()
    };
    reply(&host.download(&json!({})));
    let before = count();
    let null = File::open("/dev/null").expect("/dev/null");
    let many = vec![null.as_fd(); 253];
    let call = json!({ "type": "method", "data": { "name": "download", "args": host.arguments(&json!({})) } });
    let file = memfd(call.to_string().as_bytes());
    let by_memfd: Vec<_> = std::iter::once(file.as_fd())
        .chain(many[1..].iter().copied())
        .collect();
    host.send(call.to_string().as_bytes(), &many);
    reply(&host.answer());
    host.send(b"<args-via-fd>", &by_memfd);
    reply(&host.answer());
    host.send(b"{}", &many);
    exception(&host.answer());
    reply(&host.download(&json!({})));
    assert_eq!(count(), before);
}

#[test]
fn items_by_descriptor_from_hosts_before_v129_are_read() {
    let host = Host::start(Version::V185);
    let mut args = host.arguments(&json!({}));
    args.as_object_mut().expect("arguments").remove("items");
    let call = json!({ "type": "method", "data": { "name": "download", "args": args } });
    host.send(call.to_string().as_bytes(), &[memfd(b"{}").as_fd()]);
    reply(&host.answer());
    host.send(call.to_string().as_bytes(), &[memfd(b"[]").as_fd()]);
    assert!(exception(&host.answer()).contains("items: not an object"));
}

#[test]
fn any_packet_is_answered() {
    let host = Host::start(Version::V190);
    let call = json!({ "type": "method", "data": { "name": "download", "args": host.arguments(&json!({})) } });
    let call = call.to_string();
    // A changed path would be another cache: directories would be made outside the test's.
    let cache = host.cache().display().to_string();
    let start = call.find(&cache).expect("the cache's path");
    let outside = move |at: &usize| !(start..start + cache.len()).contains(at);
    let whole = call.into_bytes();
    let packet = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..300),
        // Truncated calls, and calls with one byte changed.
        (1..whole.len()).prop_map({
            let whole = whole.clone();
            move |length| whole[..length].to_vec()
        }),
        (0..whole.len())
            .prop_filter("not in the cache's path", outside)
            .prop_flat_map(|at| (Just(at), any::<u8>()))
            .prop_map(move |(at, byte)| {
                let mut changed = whole.clone();
                changed[at] = byte;
                changed
            }),
    ];
    let persistence = FileFailurePersistence::Direct("proptest-regressions/osbuild-packets.txt");
    let config = Config {
        failure_persistence: Some(Box::new(persistence)),
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&packet, |packet| {
            host.send(&packet, &[]);
            let message = host.answer();
            prop_assert!(message["type"] == "reply" || message["type"] == "exception");
            Ok(())
        })
        .expect("an answer to each");
}
