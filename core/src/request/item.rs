//! Items of the osbuild source.
//!
//! ```text
//! {"sha256:…": {"image": {"name": "…", "tls-verify": true,
//!                         "containers-transport": "docker", "storage-location": ""}}}
//! ```

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::{
    ImageName, Location, NameError, Request, StorageLocation, StorageLocationError, TlsVerify,
    Transport, TransportError,
};
use crate::digest::{Digest, DigestError};
use crate::escape;
use crate::keys::reject_duplicates;

/// Keys and values of the source's `items`, unique and in the document's order. Each item is
/// validated by [`Request::from_item`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Items(pub Vec<(String, Value)>);

/// Why an item is not valid.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// The item's key is not a digest.
    #[error(transparent)]
    Key(#[from] DigestError),
    /// A required key is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A value has the wrong type.
    #[error("{key} is not {expected}")]
    Type {
        /// The key; `item` is the item itself.
        key: &'static str,
        /// The type that the source's schema requires, with its article.
        expected: &'static str,
    },
    /// The source's schema doesn't have this key.
    #[error("unknown key {}", escape::quote(.0))]
    UnknownKey(String),
    /// The image name is invalid.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The transport is not supported.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The storage location is invalid.
    #[error(transparent)]
    Location(#[from] StorageLocationError),
    /// The item has a storage location, but its transport is `docker`.
    #[error("storage-location requires the containers-transport \"containers-storage\"")]
    StorageLocationWithDocker,
}

impl Request {
    /// Parses one item of the osbuild source.
    ///
    /// # Errors
    /// If the item breaks the source's schema, or if skopeo would reject or misread one of
    /// its values.
    pub fn from_item(key: &str, item: &Value) -> Result<Self, ItemError> {
        let digest: Digest = key.parse()?;
        let item = object("item", item, &["image"])?;
        let image = item.get("image").ok_or(ItemError::Missing("image"))?;
        let known = [
            "name",
            "tls-verify",
            "containers-transport",
            "storage-location",
        ];
        let image = object("image", image, &known)?;

        let name: ImageName = string(image, "name")?
            .ok_or(ItemError::Missing("name"))?
            .parse()?;
        let tls_verify = match image.get("tls-verify") {
            None => TlsVerify::Unset,
            Some(Value::Bool(true)) => TlsVerify::ItemTrue,
            Some(Value::Bool(false)) => TlsVerify::Never,
            Some(_) => return Err(wrong_type("tls-verify", "a boolean")),
        };
        let transport = string(image, "containers-transport")?
            .map(str::parse)
            .transpose()?;
        let location = string(image, "storage-location")?.filter(|location| !location.is_empty());
        let location: Option<StorageLocation> = location.map(str::parse).transpose()?;

        let location = match (transport.unwrap_or_default(), location) {
            (Transport::Docker, None) => Location::Docker { tls_verify },
            // skopeo rejects `docker://[overlay@…]NAME`.
            (Transport::Docker, Some(_)) => return Err(ItemError::StorageLocationWithDocker),
            (Transport::ContainersStorage, location) => Location::ContainersStorage { location },
        };
        Ok(Self::new(name, location, digest))
    }
}

const fn wrong_type(key: &'static str, expected: &'static str) -> ItemError {
    ItemError::Type { key, expected }
}

/// Reads an object whose keys are all in `known`.
fn object<'v>(
    key: &'static str,
    value: &'v Value,
    known: &[&str],
) -> Result<&'v Map<String, Value>, ItemError> {
    let object = value.as_object().ok_or(wrong_type(key, "an object"))?;
    let unknown = object.keys().find(|key| !known.contains(&key.as_str()));
    unknown.map_or(Ok(object), |key| {
        Err(ItemError::UnknownKey(escape::truncate_message(key)))
    })
}

fn string<'v>(
    object: &'v Map<String, Value>,
    key: &'static str,
) -> Result<Option<&'v str>, ItemError> {
    let text = |value: &'v Value| value.as_str().ok_or(wrong_type(key, "a string"));
    object.get(key).map(text).transpose()
}

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Items;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of items")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Items, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = from.next_entry()? {
                    items.push(item);
                }
                reject_duplicates(items.iter().map(|(key, _)| key))?;
                Ok(Items(items))
            }
        }
        from.deserialize_map(Entries)
    }
}
