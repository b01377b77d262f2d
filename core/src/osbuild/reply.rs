//! Replies to a host: a result for each item, and exceptions.

use std::iter::Peekable;
use std::vec;

use serde::Serialize;
use serde_json::json;

use super::SOURCE;
use crate::digest::Digest;
use crate::machine::{Committed, Failed, ManifestBytes, Provenance};

/// The result of one item, as hosts since v186 read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ItemResult {
    success: bool,
    metadata: Metadata,
    error: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Metadata {
    checksum: String,
    cached: bool,
}

impl ItemResult {
    /// The result of a fetch of `digest`.
    #[must_use]
    pub fn of_fetch(digest: Digest, fetched: &Result<Committed<ManifestBytes>, Failed>) -> Self {
        match fetched {
            Err(failed) => Self::failed(digest.to_string(), failed.to_string()),
            Ok(committed) => Self {
                success: true,
                metadata: Metadata {
                    checksum: digest.to_string(),
                    cached: *committed.provenance() == Provenance::Hit,
                },
                error: String::new(),
            },
        }
    }

    /// The result of a failed item; `error` contains the item's name.
    pub(super) fn failed(checksum: String, error: String) -> Self {
        Self {
            success: false,
            metadata: Metadata {
                checksum,
                cached: false,
            },
            error,
        }
    }
}

/// The results of all items of a call, in the order of the items. They are written as JSON
/// at once, because a call may have 100,000 items.
#[derive(Debug)]
pub struct ItemResults {
    /// Results of invalid items, with their positions.
    invalid: Peekable<vec::IntoIter<(usize, ItemResult)>>,
    /// The reply up to the last result but one.
    json: Vec<u8>,
    last: Option<ItemResult>,
    total: usize,
    failed: usize,
    first_error: String,
}

/// How a reply begins.
const REPLY: &[u8] = br#"{"type":"reply","data":{"reply":{"results":["#;

impl ItemResults {
    /// The results of a call's invalid items, with their positions among all items.
    pub(super) fn new(invalid: Vec<(usize, ItemResult)>) -> Self {
        let mut results = Self {
            invalid: invalid.into_iter().peekable(),
            json: REPLY.to_vec(),
            last: None,
            total: 0,
            failed: 0,
            first_error: String::new(),
        };
        results.add_invalid();
        results
    }

    /// Adds the result of the next request.
    pub fn push(&mut self, result: ItemResult) {
        self.add(result);
        self.add_invalid();
    }

    fn add_invalid(&mut self) {
        while let Some((_, result)) = self.invalid.next_if(|(at, _)| *at == self.total) {
            self.add(result);
        }
    }

    fn add(&mut self, result: ItemResult) {
        if !result.success {
            if self.failed == 0 {
                self.first_error.clone_from(&result.error);
            }
            self.failed += 1;
        }
        self.total += 1;
        if let Some(previous) = self.last.replace(result) {
            write(&mut self.json, &previous);
            self.json.push(b',');
        }
    }

    /// Whether every item succeeded.
    #[must_use]
    pub const fn success(&self) -> bool {
        self.failed == 0
    }

    /// A summary in one line: the first error, and the number of others.
    #[must_use]
    pub fn output(&self) -> String {
        let (error, total) = (&self.first_error, self.total);
        match (self.failed, total) {
            (0, 1) => "1 item in the store".to_owned(),
            (0, _) => format!("{total} items in the store"),
            (1, _) => error.clone(),
            (failed, _) => format!("{error} (and {} more of {total} items)", failed - 1),
        }
    }

    /// The reply to hosts before v186. They ignore its content, and hosts before v129 read
    /// only the packet, so results are left out to keep it short.
    #[must_use]
    pub fn short_reply(mut self) -> Vec<u8> {
        self.json.truncate(REPLY.len());
        self.last = None;
        self.reply()
    }

    /// The reply to hosts since v186, with the results.
    #[must_use]
    pub fn reply(mut self) -> Vec<u8> {
        let (success, output) = (self.success(), self.output());
        if let Some(mut last) = self.last.take() {
            // The host shows the error of the last result only.
            if last.success && !success {
                last.error.clone_from(&output);
            }
            write(&mut self.json, &last);
        }
        let summary = json!({
            "name": format!("source {SOURCE}"), "source_type": SOURCE,
            "success": success, "output": output,
        });
        // The summary's members follow the results.
        self.json.extend_from_slice(b"],");
        self.json.extend(summary.to_string().bytes().skip(1));
        self.json.extend_from_slice(b"}}");
        self.json
    }
}

/// Appends a result as JSON. Texts and booleans always have a form in it.
fn write(to: &mut Vec<u8>, result: &ItemResult) {
    let written = serde_json::to_writer(to, result);
    debug_assert!(written.is_ok(), "{written:?}");
}

/// An exception; the host shows `name` before `value`.
#[must_use]
pub fn exception(name: &str, value: &str) -> Vec<u8> {
    let data = json!({ "name": name, "value": value, "backtrace": "" });
    let exception = json!({ "type": "exception", "data": data });
    exception.to_string().into_bytes()
}
