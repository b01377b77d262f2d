//! Replies to a host: a result for each item, and exceptions.

use serde::Serialize;

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

/// The results of all items of a call, in the order of the items.
#[derive(Debug)]
pub struct ItemResults(pub(super) Vec<ItemResult>);

impl ItemResults {
    /// Whether every item succeeded.
    #[must_use]
    pub fn success(&self) -> bool {
        self.0.iter().all(|result| result.success)
    }

    /// A summary in one line: the first error, and the number of others.
    #[must_use]
    pub fn output(&self) -> String {
        let mut failed = self.0.iter().filter(|result| !result.success);
        let total = self.0.len();
        match failed.next() {
            None => format!("{total} items in the store"),
            Some(first) => match failed.count() {
                0 => first.error.clone(),
                more => format!("{} (and {more} more of {total} items)", first.error),
            },
        }
    }

    /// The reply to hosts before v186. They ignore its content, and hosts before v129 read
    /// only the packet, so results are left out to keep it short.
    #[must_use]
    pub fn short_reply(&self) -> Vec<u8> {
        reply(true, &self.output(), &[])
    }

    /// The reply to hosts since v186, with the results.
    #[must_use]
    pub fn reply(mut self) -> Vec<u8> {
        let (success, output) = (self.success(), self.output());
        // The host shows the error of the last result only.
        if let Some(last) = self.0.last_mut().filter(|last| last.success && !success) {
            last.error.clone_from(&output);
        }
        reply(success, &output, &self.0)
    }
}

/// A message to the host.
#[derive(Serialize)]
#[serde(tag = "type", content = "data", rename_all = "kebab-case")]
enum Message<'m> {
    Reply {
        reply: Reply<'m>,
    },
    Exception {
        name: &'m str,
        value: &'m str,
        backtrace: &'m str,
    },
}

#[derive(Serialize)]
struct Reply<'m> {
    name: String,
    source_type: &'m str,
    success: bool,
    output: &'m str,
    results: &'m [ItemResult],
}

impl Message<'_> {
    fn to_json(&self) -> Vec<u8> {
        // Texts and booleans always have a form in JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

fn reply(success: bool, output: &str, results: &[ItemResult]) -> Vec<u8> {
    let reply = Reply {
        name: format!("source {SOURCE}"),
        source_type: SOURCE,
        success,
        output,
        results,
    };
    Message::Reply { reply }.to_json()
}

/// An exception; the host shows `name` before `value`.
#[must_use]
pub fn exception(name: &str, value: &str) -> Vec<u8> {
    let backtrace = "";
    Message::Exception {
        name,
        value,
        backtrace,
    }
    .to_json()
}
