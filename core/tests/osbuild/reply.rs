//! Messages to the host.

use serde_json::{Value, json};
use skopeo_index_core::osbuild::{ItemBatch, exception};
use skopeo_index_core::request::{Items, TlsVerify};

fn items(items: &Value) -> Items {
    serde_json::from_value(items.clone()).expect("items")
}

#[test]
fn exception_and_reply_have_the_form_of_the_protocol() {
    let parse = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).expect("JSON");
    let data = json!({ "name": "N", "value": "V\n", "backtrace": "" });
    assert_eq!(
        parse(exception("N", "V\n")),
        json!({ "type": "exception", "data": data })
    );
    let batch = || ItemBatch::parse(&items(&json!({ "x": 1 })), TlsVerify::Unset).results;
    assert!(!batch().success());
    let error = "item \"x\": invalid digest: expected \"sha256:\" and 64 hex digits";
    let result = json!({
        "success": false, "error": error, "metadata": { "checksum": "x", "cached": false },
    });
    let reply = |success, results| {
        json!({ "type": "reply", "data": { "reply": {
            "name": "source org.osbuild.skopeo-index", "source_type": "org.osbuild.skopeo-index",
            "success": success, "output": error, "results": results,
        } } })
    };
    assert_eq!(parse(batch().short_reply()), reply(false, json!([])));
    assert_eq!(parse(batch().reply()), reply(false, json!([result])));
}

#[test]
fn result_of_an_invalid_item_has_bounded_key_and_name() {
    let (key, name) = ("k".repeat(100_000), "N".repeat(100_000));
    let batch = ItemBatch::parse(
        &items(&json!({ key: { "image": { "name": name } } })),
        TlsVerify::Unset,
    );
    let reply = batch.results.reply();
    assert!(reply.len() < 2000, "{}", reply.len());
}
