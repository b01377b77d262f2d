//! Memory of the service: it follows the message, whatever is in it.

use serde_json::{Value, json};
use test_support::loopback;
use test_support::program::host::{Answer, Host, Version, exception, items, send_by_memfd};
use test_support::program::peak_memory;

/// More memory than the service takes for a short message.
const BASE: usize = 64 << 20;

/// The answer to a `download` of `items`, and how much memory the service took.
fn download(host: &Host, items: &Value) -> Value {
    let args = host.arguments(items);
    let call = json!({ "type": "method", "data": { "name": "download", "args": args } });
    let limit = BASE + 4 * call.to_string().len();
    send_by_memfd(host, &call);
    let Answer::Message(message, _) = host.receive() else {
        panic!("closed")
    };
    let peak = peak_memory(host.service.id());
    assert!(peak <= limit, "{peak} bytes, the limit is {limit}");
    message
}

fn offline() -> Host {
    Host::start_with(Version::V190, |service| {
        service.env("SKOPEO_INDEX_OFFLINE", "true");
    })
}

#[test]
fn large_item_takes_a_small_multiple_of_its_size() {
    let values = vec![json!({ "a": {} }); 900_000];
    let item = json!({ "image": { "name": "localhost/a", "x": values } });
    let message = download(&offline(), &json!({ loopback::digest(b""): item }));
    let error = message["data"]["reply"]["output"].as_str().expect("a text");
    assert!(error.contains("unknown key \"x\""), "{error}");
}

/// Downloads as many items as are allowed; each has a result.
fn download_most(items: &Value) {
    let message = download(&offline(), items);
    let results = message["data"]["reply"]["results"].as_array();
    assert_eq!(results.expect("results").len(), 100_000);
}

#[test]
fn as_many_valid_items_as_allowed_take_bounded_memory() {
    let digests: Vec<_> = (0..100_000).map(|n| format!("sha256:{n:064x}")).collect();
    download_most(&items("localhost", digests.iter().map(String::as_str)));
}

#[test]
fn as_many_invalid_items_as_allowed_take_bounded_memory() {
    download_most(&(0..100_000).map(|n| (n.to_string(), json!(1))).collect());
}

#[test]
fn items_beyond_the_limit_are_a_protocol_error() {
    let host = offline();
    let items: Value = (0..100_001).map(|n| (n.to_string(), json!(1))).collect();
    let message = download(&host, &items);
    assert_eq!(message["data"]["name"], "ProtocolError");
    assert!(
        exception(&message).contains("more than 100000 items"),
        "{message}"
    );
}
