//! The form of replies, by the version of the host and by size.

use std::fs;
use std::os::fd::AsFd;

use serde_json::{Value, json};
use test_support::loopback::{Registry, samples};
use test_support::program::host::{
    Answer, Host, Transfer, Version, exception, items, memfd, reply, send_by_memfd,
};

/// Items of a single image, a missing digest and an index, and their digests, sorted.
fn failing(registry: &Registry) -> (Value, [String; 3]) {
    let image = registry.put(samples::single_image());
    let missing = test_support::loopback::digest(b"missing");
    let index = registry.put(samples::empty());
    let digests = [image, missing, index];
    // `sorted` below is the order of the items in the call.
    let mut items = items(registry.address(), digests.iter().map(String::as_str));
    items.as_object_mut().expect("items").sort_keys();
    let mut sorted = digests;
    sorted.sort();
    (items, sorted)
}

#[test]
fn structured_reply_has_the_error_of_each_item() {
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
    // The host shows the error of the last item.
    let last = results[2]["error"].as_str().expect("a text");
    let first_line = last.lines().next().expect("a line");
    assert!(
        first_line.contains("/app@sha256:") && first_line.contains(": not found: "),
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
fn exception_reply_for_older_hosts_names_the_failed_item() {
    let registry = Registry::start();
    let (items, _) = failing(&registry);
    for version in [Version::V185, Version::Unknown] {
        let host = Host::start(version);
        let message = host.download(&items);
        let text = exception(&message);
        let first_line = text.lines().next().expect("a line");
        assert!(
            first_line.contains("/app@sha256:") && first_line.contains(": not an image index: "),
            "{text}"
        );
        assert!(
            host.object(&test_support::loopback::digest(&samples::empty()))
                .exists(),
            "the others are fetched"
        );
    }
}

#[test]
fn reply_format_can_be_set_by_environment() {
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
fn success_reply_for_older_hosts_fits_in_a_packet() {
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
    // Hosts before v129 pass the items by descriptor.
    let args = json!({ "options": {}, "cache": host.cache(), "output": null, "checksums": [] });
    let call = json!({ "type": "method", "data": { "name": "download", "args": args } });
    let file = memfd(items.to_string().as_bytes());
    host.send(call.to_string().as_bytes(), &[file.as_fd()]);
    let Answer::Message(message, Transfer::Packet) = host.receive() else {
        panic!("not in the packet")
    };
    assert_eq!(reply(&message)["output"], "3000 items in the store");
}

#[test]
fn large_call_and_reply_are_sent_by_memfd() {
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
    // More than fits in a packet, so that the reply is larger as well.
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
    let Answer::Message(message, Transfer::Memfd) = host.receive() else {
        panic!("not by memfd")
    };
    let results = reply(&message)["results"].as_array();
    assert_eq!(results.expect("results").len(), 8000);
    // A reply that fits is sent in the packet.
    let call = json!({ "type": "method", "data": { "name": "download", "args": host.arguments(&json!({})) } });
    send_by_memfd(&host, &call);
    assert!(matches!(
        host.receive(),
        Answer::Message(_, Transfer::Packet)
    ));
}

#[test]
fn each_call_gets_one_answer_and_unread_answer_is_not_an_error() {
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
    // The first of two calls is answered; the host hangs up without reading.
    call("download");
    host.wait_for_answer();
    call("download");
    assert_eq!(host.finish(), (Some(0), String::new()));
}
