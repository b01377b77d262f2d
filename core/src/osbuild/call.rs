//! Messages: what a host calls, and what it is answered. Pure.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::escape;
use crate::request::Items;

/// What a host wants.
#[derive(Debug)]
pub enum Call {
    /// Fetch into a store.
    Download(DownloadCall),
    /// Copy from a store to another.
    Copy(CopyCall),
}

/// The arguments of `download` that matter to this source.
#[derive(Debug)]
pub struct DownloadCall {
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
pub struct CopyCall {
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
pub struct ProtocolError(String);

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
    pub fn parse<E: std::fmt::Display>(
        message: &[u8],
        attached: impl FnOnce() -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Self, ProtocolError> {
        let envelope: Envelope<'_> = parse("the message", message)?;
        match envelope.kind.as_deref() {
            None | Some("") => return Err(ProtocolError("the message has no type".into())),
            Some("method") => {}
            Some(other) => {
                let other = escape::quote(other);
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
                Ok(Self::Download(DownloadCall { items, cache }))
            }
            "copy" => parse("the arguments of copy", args).map(Self::Copy),
            other => Err(ProtocolError(format!(
                "there is no method {}",
                escape::quote(other)
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
        let error = escape::truncate_message(&error.to_string());
        ProtocolError(format!("{what}: {}", escape::Escaped(&error)))
    })
}
