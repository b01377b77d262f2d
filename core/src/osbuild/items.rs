//! Items of a call as requests.

use serde_json::Value;

use super::reply::{ItemResult, ItemResults};
use crate::escape;
use crate::request::{ItemError, Items, Request, TlsVerify};

/// The items of a call: requests, and results of those that are not valid.
pub struct ItemBatch {
    requests: Vec<Request>,
    /// One for each item; `None` until it is fetched.
    results: Vec<Option<ItemResult>>,
}

impl ItemBatch {
    /// Parses the items; `tls_verify` is for items that don't set it.
    #[must_use]
    pub fn parse(items: &Items, tls_verify: TlsVerify) -> Self {
        let (mut requests, mut results) = (Vec::new(), Vec::new());
        for (key, item) in &items.0 {
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

    /// The requests, in the order of the items.
    #[must_use]
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// Combines the results of all requests, in their order, with those of invalid items.
    #[must_use]
    pub fn into_results(self, fetched: Vec<ItemResult>) -> ItemResults {
        let mut fetched = fetched.into_iter();
        let results = self.results.into_iter();
        ItemResults(
            results
                .filter_map(|known| known.or_else(|| fetched.next()))
                .collect(),
        )
    }
}

fn invalid(key: &str, item: &Value, error: &ItemError) -> ItemResult {
    let name = item.pointer("/image/name").and_then(Value::as_str);
    let name = name.map_or_else(String::new, |name| format!(" ({})", escape::quote(name)));
    ItemResult::failed(key, format!("item {}{name}: {error}", escape::quote(key)))
}
