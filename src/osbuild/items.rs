//! Items of a call as requests, and their reports as results.

use serde_json::Value;

use super::protocol::{ItemResult, Origin, Results};
use crate::executor::Report;
use crate::machine::Provenance;
use crate::request::{ItemError, Items, Request, TlsVerify};
use crate::text;

/// The items of a call: those that can be fetched, and those that can't.
pub(super) struct Plan {
    pub(super) requests: Vec<Request>,
    /// A result for each item; `None` where it is yet to come.
    results: Vec<Option<ItemResult>>,
}

impl Plan {
    pub(super) fn of(items: &Items, tls_verify: TlsVerify) -> Self {
        let (mut requests, mut results) = (Vec::new(), Vec::new());
        for (key, item) in &items.0 {
            match Request::from_item(key, item) {
                Ok(request) => {
                    requests.push(request.or_tls_verify(tls_verify));
                    results.push(None);
                }
                Err(error) => results.push(Some(refused(key, item, &error))),
            }
        }
        Self { requests, results }
    }

    /// Takes the reports of all requests, in their order.
    pub(super) fn results(self, reports: Vec<ItemResult>) -> Results {
        let mut reports = reports.into_iter();
        let results = self.results.into_iter();
        // One for each request.
        Results(
            results
                .filter_map(|known| known.or_else(|| reports.next()))
                .collect(),
        )
    }
}

fn refused(key: &str, item: &Value, error: &ItemError) -> ItemResult {
    let name = item.pointer("/image/name").and_then(Value::as_str);
    let name = name.map_or_else(String::new, |name| format!(" ({})", text::quoted(name)));
    ItemResult::failed(key, format!("item {}{name}: {error}", text::quoted(key)))
}

/// What a host is told of a report.
pub(super) fn result(report: &Report) -> ItemResult {
    let digest = report.request.digest();
    match &report.result {
        Ok(committed) if *committed.provenance() == Provenance::Hit => {
            ItemResult::there(digest, Origin::Cache)
        }
        Ok(_) => ItemResult::there(digest, Origin::Elsewhere),
        Err(failure) => ItemResult::failed(
            &digest.to_string(),
            format!("{}: {failure}", report.request),
        ),
    }
}
