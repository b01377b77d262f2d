//! Messages: what a host calls, and what it is answered. Pure.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::SOURCE;
use super::channel::ChannelError;
use crate::digest::Digest;
use crate::request::Items;
use crate::text;

/// What a host wants.
#[derive(Debug)]
pub enum Call {
    /// Fetch into a store.
    Download(Download),
    /// Copy from a store to another.
    Copy(Copy),
}

/// The arguments of `download` that matter to this source.
#[derive(Debug)]
pub struct Download {
    /// What to fetch, unread.
    pub items: Items,
    /// The store's directory of sources.
    pub cache: PathBuf,
}

/// The same, as they are written.
#[derive(Deserialize)]
struct DownloadArgs {
    /// Hosts before v129 pass them as a file of their own.
    items: Option<Items>,
    cache: PathBuf,
}

/// The arguments of `copy` that matter to this source.
#[derive(Debug, Deserialize)]
pub struct Copy {
    /// What to copy, unread.
    pub items: Items,
    /// Where from: a store's directory of sources.
    pub cache: PathBuf,
    /// Where to: another's.
    pub dst_cache: PathBuf,
}

/// A message that is no call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProtocolError(pub(super) String);

#[derive(Deserialize)]
struct Envelope<'m> {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow)]
    data: Option<&'m RawValue>,
}

#[derive(Deserialize)]
struct Method<'m> {
    name: Option<String>,
    #[serde(borrow)]
    args: Option<&'m RawValue>,
}

impl Call {
    /// Reads a message; `attached` reads the file that came along with it.
    ///
    /// # Errors
    /// [`ProtocolError`], which the host is answered; the service goes on.
    pub fn parse(
        message: &[u8],
        attached: impl FnOnce() -> Result<Option<Vec<u8>>, ChannelError>,
    ) -> Result<Self, ProtocolError> {
        let envelope: Envelope<'_> = parse("the message", message)?;
        match envelope.kind.as_deref() {
            None | Some("") => return Err(ProtocolError("the message has no type".into())),
            Some("method") => {}
            Some(other) => {
                let other = text::quoted(other);
                return Err(ProtocolError(format!(
                    "the message's type {other} is not \"method\""
                )));
            }
        }
        let data = envelope
            .data
            .ok_or_else(|| ProtocolError("the message has no data".into()))?;
        let method: Method<'_> = parse("the message's data", data.get().as_bytes())?;
        let name = method.name.filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| ProtocolError("the call has no name".into()))?;
        let args = method.args.map_or("null", RawValue::get).as_bytes();
        match name.as_str() {
            "download" => {
                let DownloadArgs { items, cache } = parse("the arguments of download", args)?;
                let items = match items {
                    Some(items) => items,
                    None => {
                        let file = attached().map_err(|error| ProtocolError(error.to_string()))?;
                        let none = || ProtocolError("the call has no items".into());
                        parse("the items", &file.ok_or_else(none)?)?
                    }
                };
                Ok(Self::Download(Download { items, cache }))
            }
            "copy" => parse("the arguments of copy", args).map(Self::Copy),
            other => Err(ProtocolError(format!(
                "there is no method {}",
                text::quoted(other)
            ))),
        }
    }
}

/// Reads an object; serde would take a list of its values for one as well.
fn parse<'m, T: Deserialize<'m>>(what: &str, json: &'m [u8]) -> Result<T, ProtocolError> {
    if json.trim_ascii_start().first() != Some(&b'{') {
        return Err(ProtocolError(format!("{what}: not an object")));
    }
    serde_json::from_slice(json).map_err(|error| {
        let error = text::shortened(&error.to_string());
        ProtocolError(format!("{what}: {}", text::Escaped(&error)))
    })
}

/// What became of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct ItemResult {
    success: bool,
    metadata: Metadata,
    error: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Metadata {
    checksum: String,
    cached: bool,
}

/// Where an object came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It was there.
    Cache,
    /// It was brought.
    Elsewhere,
}

impl ItemResult {
    pub(super) fn there(digest: Digest, origin: Origin) -> Self {
        let metadata = Metadata {
            checksum: digest.to_string(),
            cached: origin == Origin::Cache,
        };
        Self {
            success: true,
            metadata,
            error: String::new(),
        }
    }

    /// `error` names the item.
    pub(super) fn failed(key: &str, error: String) -> Self {
        let metadata = Metadata {
            checksum: text::shortened(key),
            cached: false,
        };
        Self {
            success: false,
            metadata,
            error,
        }
    }
}

/// What became of all items of a call.
#[derive(Debug)]
pub(super) struct Results(pub(super) Vec<ItemResult>);

impl Results {
    pub(super) fn success(&self) -> bool {
        self.0.iter().all(|result| result.success)
    }

    /// What a person is shown: the first failing item, and how many there are.
    pub(super) fn output(&self) -> String {
        let mut failed = self.0.iter().filter(|result| !result.success);
        match failed.next() {
            None => format!("{} items are there", self.0.len()),
            Some(first) => match failed.count() {
                0 => first.error.clone(),
                more => format!(
                    "{} (and {more} more of {} items)",
                    first.error,
                    self.0.len()
                ),
            },
        }
    }

    /// The reply to hosts before v186, of which none looks at it, and those before
    /// v129 take it from a packet only.
    pub(super) fn short_reply(&self) -> Value {
        reply(true, &self.output(), &[])
    }

    /// The reply to hosts from v186 on.
    pub(super) fn reply(mut self) -> Value {
        let (success, output) = (self.success(), self.output());
        // The host shows the error of the last result, whichever failed.
        if let Some(last) = self.0.last_mut().filter(|last| last.success && !success) {
            last.error.clone_from(&output);
        }
        reply(success, &output, &self.0)
    }
}

fn reply(success: bool, output: &str, results: &[ItemResult]) -> Value {
    let reply = json!({
        "name": format!("source {SOURCE}"),
        "source_type": SOURCE,
        "success": success,
        "output": output,
        "results": results,
    });
    json!({ "type": "reply", "data": { "reply": reply } })
}

/// An exception, by the name that the host shows before its text.
pub(super) fn exception(name: &str, value: &str) -> Value {
    let data = json!({ "name": name, "value": value, "backtrace": "" });
    json!({ "type": "exception", "data": data })
}
