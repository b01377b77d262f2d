//! Parsing of a call's items, and assembly of their results.

use serde_json::Value;

use super::reply::{ItemResult, ItemResults};
use crate::escape;
use crate::request::{ItemError, Items, Request, TlsVerify};

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

fn invalid(key: &str, item: &Value, error: &ItemError) -> ItemResult {
    let name = item.pointer("/image/name").and_then(Value::as_str);
    let name = name.map_or_else(String::new, |name| format!(" ({})", escape::quote(name)));
    ItemResult::failed(key, format!("item {}{name}: {error}", escape::quote(key)))
}
