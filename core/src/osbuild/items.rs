//! Parsing of a call's items, and assembly of their results.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::reply::{ItemResult, ItemResults};
use crate::escape::{quote, truncate};
use crate::request::{ItemError, Items, MAX_NAME_LEN, MAX_SHOWN_KEY, Request, TlsVerify};

/// The items of a call: the requests of valid ones, the results of invalid ones.
pub struct ItemBatch {
    requests: Vec<Request>,
    /// One result for each item; `None` for a valid item, which is not fetched yet.
    results: Vec<Option<ItemResult>>,
}

impl ItemBatch {
    /// Parses the items; `tls_verify` is for items that don't set it.
    #[must_use]
    pub fn parse(items: &Items, tls_verify: TlsVerify) -> Self {
        let (mut requests, mut results) = (Vec::new(), Vec::new());
        for (key, item) in items.iter() {
            match Request::from_item(key, item) {
                Ok(request) => {
                    requests.push(request.with_default_tls_verify(tls_verify));
                    results.push(None);
                }
                Err(error) => results.push(Some(invalid(key, item, &error))),
            }
        }
        Self { requests, results }
    }

    /// The requests of the valid items, in their order.
    #[must_use]
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// Combines the results of all requests, in their order, with those of invalid items.
    #[must_use]
    pub fn into_results(self, fetched: Vec<ItemResult>) -> ItemResults {
        let mut fetched = fetched.into_iter();
        let result = |invalid: Option<ItemResult>| invalid.or_else(|| fetched.next());
        ItemResults(self.results.into_iter().filter_map(result).collect())
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
