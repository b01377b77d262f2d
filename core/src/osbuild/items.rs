//! Parsing of a call's items, and assembly of their results.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::reply::{ItemResult, ItemResults};
use crate::escape::{quote, truncate};
use crate::request::{ItemError, Items, MAX_NAME_LEN, MAX_SHOWN_KEY, Request, TlsVerify};

/// The items of a call: the requests of valid ones, the results of invalid ones.
#[derive(Debug)]
pub struct ItemBatch {
    /// The requests of the valid items, in their order.
    pub requests: Vec<Request>,
    /// The results, which lack those of the requests.
    pub results: ItemResults,
}

impl ItemBatch {
    /// Parses the items; `tls_verify` is for items that don't set it.
    #[must_use]
    pub fn parse(items: &Items, tls_verify: TlsVerify) -> Self {
        let (mut requests, mut results) = (Vec::new(), Vec::new());
        for (position, (key, item)) in items.iter().enumerate() {
            match Request::from_item(key, item) {
                Ok(request) => requests.push(request.with_default_tls_verify(tls_verify)),
                Err(error) => results.push((position, invalid(key, item, &error))),
            }
        }
        let results = ItemResults::new(results);
        Self { requests, results }
    }
}

fn invalid(key: &str, item: &RawValue, error: &ItemError) -> ItemResult {
    #[derive(Deserialize)]
    struct Item {
        image: Image,
    }
    #[derive(Deserialize)]
    struct Image {
        name: String,
    }
    let key = truncate(key, MAX_SHOWN_KEY);
    let name = match serde_json::from_str::<Item>(item.get()) {
        Ok(item) => format!(" ({})", quote(&truncate(&item.image.name, MAX_NAME_LEN))),
        Err(_) => String::new(),
    };
    let error = format!("item {}{name}: {error}", quote(&key));
    ItemResult::failed(key, error)
}
