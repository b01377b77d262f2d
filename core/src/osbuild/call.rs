//! Calls of an osbuild host.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::escape;
use crate::request::Items;

/// A method call with the arguments that this source uses.
#[derive(Debug)]
pub enum Call {
    /// `download`: fetch items into a store.
    Download(DownloadCall),
    /// `copy`: copy items from one store to another.
    Copy(CopyCall),
}

/// Arguments of `download`.
#[derive(Debug)]
pub struct DownloadCall {
    /// The items to fetch, not validated yet.
    pub items: Items,
    /// The `sources` directory of the store.
    pub cache: PathBuf,
}

/// Arguments of `download` in the message.
#[derive(Deserialize)]
struct DownloadArgs {
    /// `None` on hosts before v129, which pass the items in a file.
    items: Option<Items>,
    cache: PathBuf,
}

/// Arguments of `copy`.
#[derive(Debug, Deserialize)]
pub struct CopyCall {
    /// The items to copy, not validated yet.
    pub items: Items,
    /// The `sources` directory of the store to copy from.
    pub cache: PathBuf,
    /// The `sources` directory of the store to copy to.
    pub dst_cache: PathBuf,
}

/// Why a message is not a valid call. The service replies with it and keeps serving.
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
    /// Parses a message; `attached` reads the file that is attached to its packet, if any.
    ///
    /// # Errors
    /// If the message is not a call of a known method, or if `attached` fails.
    pub fn parse<E: std::fmt::Display>(
        message: &[u8],
        attached: impl FnOnce() -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Self, ProtocolError> {
        let envelope: Envelope<'_> = parse("message", message)?;
        let kind = required(
            "message type",
            envelope.kind.filter(|kind| !kind.is_empty()),
        )?;
        if kind != "method" {
            let kind = escape::quote(&kind);
            return Err(ProtocolError(format!(
                "message type is {kind}, expected \"method\""
            )));
        }
        let data = required("message data", envelope.data)?;
        let method: Method<'_> = parse("message data", data.get().as_bytes())?;
        let name = required("method name", method.name.filter(|name| !name.is_empty()))?;
        let args = method.args.map_or("null", RawValue::get).as_bytes();
        match name.as_str() {
            "download" => {
                let DownloadArgs { items, cache } = parse("arguments of download", args)?;
                let items = match items {
                    Some(items) => items,
                    None => {
                        let file = attached().map_err(|error| ProtocolError(error.to_string()))?;
                        parse("list of items", &required("list of items", file)?)?
                    }
                };
                Ok(Self::Download(DownloadCall { items, cache }))
            }
            "copy" => parse("arguments of copy", args).map(Self::Copy),
            other => {
                let method = escape::quote(other);
                Err(ProtocolError(format!("unknown method {method}")))
            }
        }
    }
}

fn required<T>(what: &str, value: Option<T>) -> Result<T, ProtocolError> {
    value.ok_or_else(|| ProtocolError(format!("{what} is missing")))
}

/// Parses an object. serde also accepts an array of its values, which is rejected here.
fn parse<'m, T: Deserialize<'m>>(what: &str, json: &'m [u8]) -> Result<T, ProtocolError> {
    if json.trim_ascii_start().first() != Some(&b'{') {
        return Err(ProtocolError(format!("invalid {what}: not an object")));
    }
    serde_json::from_slice(json).map_err(|error| {
        let error = escape::truncate_message(&error.to_string());
        ProtocolError(format!("invalid {what}: {}", escape::Escaped(&error)))
    })
}
