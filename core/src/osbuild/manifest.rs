//! Manifests of osbuild, and what `jq` cuts out of them.
//!
//! ```text
//! {"version": "2", "pipelines": […], "sources": {"org.osbuild.skopeo-index": {"items": {…}}}}
//!                           jq .sources:        {"org.osbuild.skopeo-index": {"items": {…}}}
//!               jq '.sources["org.osbuild.skopeo-index"]':                   {"items": {…}}
//!                                                         its items:                   {…}
//! ```

use std::fmt;

use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::SOURCE;
use crate::escape::quote;
use crate::object::Object;
use crate::request::Items;

/// The items of this source in a manifest, its `sources`, one source, or an object of items;
/// empty if the manifest doesn't use this source.
///
/// # Errors
/// If the text is not JSON, has another form or duplicate items.
pub fn parse_manifest(json: &[u8]) -> serde_json::Result<Items> {
    let mut json = serde_json::Deserializer::from_slice(json);
    let items = json.deserialize_any(ManifestVisitor)?;
    json.end().map(|()| items)
}

#[derive(serde::Deserialize)]
struct Sources {
    #[serde(rename = "org.osbuild.skopeo-index")]
    ours: Option<Object<SourceItems>>,
}

#[derive(Default, serde::Deserialize)]
struct SourceItems {
    #[serde(alias = "digests")]
    items: Items,
}

struct ManifestVisitor;

impl<'de> Visitor<'de> for ManifestVisitor {
    type Value = Items;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an osbuild manifest, or an object of its items")
    }

    /// jq prints `null` for what the manifest doesn't have, here and below.
    fn visit_unit<E>(self) -> Result<Items, E> {
        Ok(Items::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Items, A::Error> {
        let (mut sources, mut items) = (None, Items::default());
        while let Some(key) = from.next_key::<String>()? {
            let source: Items = match key.as_str() {
                "sources" => {
                    let sources: Option<Object<Sources>> = from.next_value()?;
                    let ours = sources.and_then(|Object(sources)| sources.ours);
                    ours.unwrap_or_default().0.items
                }
                SOURCE => {
                    let ours: Option<Object<SourceItems>> = from.next_value()?;
                    ours.unwrap_or_default().0.items
                }
                "items" | "digests" => {
                    let items: Option<Items> = from.next_value()?;
                    items.unwrap_or_default()
                }
                other => {
                    // The rest of a manifest, or another source.
                    let known = ["version", "pipelines", "metadata"].contains(&other);
                    if known || other.starts_with("org.osbuild.") {
                        from.next_value::<IgnoredAny>()?;
                    } else {
                        items.push(key, from.next_value()?)?;
                    }
                    continue;
                }
            };
            if sources.replace(source).is_some() {
                return Err(A::Error::custom("more than one object of items"));
            }
        }
        let Some(source) = sources else {
            return Ok(items);
        };
        items.iter().next().map_or(Ok(source), |(key, _)| {
            let key = quote(key);
            Err(A::Error::custom(format_args!("unexpected key {key}")))
        })
    }
}
