//! Items of a call as requests, and their reports as results.

use super::protocol::{ItemResult, Origin, Results};
use crate::executor::Report;
use crate::machine::Provenance;
use crate::request::{ItemError, Items, Request};
use crate::text;

/// The items of a call: those that can be fetched, and those that can't.
pub(super) struct Plan {
    pub(super) requests: Vec<Request>,
    /// A result for each item; `None` where it is yet to come.
    results: Vec<Option<ItemResult>>,
}

impl Plan {
    pub(super) fn of(items: &Items) -> Self {
        let (mut requests, mut results) = (Vec::new(), Vec::new());
        for (key, item) in &items.0 {
            match Request::from_item(key, item) {
                Ok(request) => {
                    requests.push(request);
                    results.push(None);
                }
                Err(error) => results.push(Some(refused(key, &error))),
            }
        }
        Self { requests, results }
    }

    /// Takes the reports of all requests, in their order.
    pub(super) fn results(self, reports: Vec<ItemResult>) -> Results {
        let mut reports = reports.into_iter();
        let missing = || ItemResult::failed("", "the item was not looked at".to_owned());
        let result = |known: Option<ItemResult>| known.or_else(|| reports.next());
        Results(
            self.results
                .into_iter()
                .map(result)
                .map(|r| r.unwrap_or_else(missing))
                .collect(),
        )
    }
}

fn refused(key: &str, error: &ItemError) -> ItemResult {
    ItemResult::failed(key, format!("item {}: {error}", text::quoted(key)))
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
