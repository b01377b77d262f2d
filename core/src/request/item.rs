//! Items of the osbuild source, as a manifest lists them.
//!
//! ```text
//! {"sha256:…": {"image": {"name": "…", "tls-verify": true,
//!                         "containers-transport": "docker", "storage-location": ""}}}
//! ```

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::{
    ImageName, Location, StorageLocationError, NameError, Request, StorageLocation, TlsVerify, Transport,
    TransportError,
};
use crate::digest::{Digest, DigestError};
use crate::escape;

/// The entries of a JSON object in their order, each key once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Items(pub Vec<(String, Value)>);

/// Why an item is not a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// Its key is no digest.
    #[error("its key is not a digest: {0}")]
    Key(#[source] DigestError),
    /// A required key isn't there.
    #[error("it has no \"{0}\"")]
    Missing(&'static str),
    /// A value of another type.
    #[error("its \"{key}\" is not {want}")]
    Type {
        /// The key; `item` is the item itself.
        key: &'static str,
        /// What it has to be.
        want: &'static str,
    },
    /// A key that the source doesn't know.
    #[error("it has an unknown key {}", escape::quote(.0))]
    UnknownKey(String),
    /// Its name is not the name of an image.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Its transport is none of the two.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Its storage location is none.
    #[error(transparent)]
    Location(#[from] StorageLocationError),
    /// A registry has no location on this machine.
    #[error(
        "its \"storage-location\" goes with the transport \"containers-storage\" only, \
         and it is to be fetched by \"docker\""
    )]
    StorageLocationWithDocker,
}

impl Request {
    /// Reads one item of the osbuild source.
    ///
    /// # Errors
    /// Whatever the source's schema doesn't allow, and what skopeo couldn't
    /// take or would take for something else.
    pub fn from_item(key: &str, item: &Value) -> Result<Self, ItemError> {
        let digest: Digest = key.parse().map_err(ItemError::Key)?;
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
            Some(_) => {
                return Err(ItemError::Type {
                    key: "tls-verify",
                    want: "a boolean",
                });
            }
        };
        let transport = string(image, "containers-transport")?
            .map(str::parse)
            .transpose()?;
        let location = string(image, "storage-location")?.filter(|location| !location.is_empty());
        let location: Option<StorageLocation> = location.map(str::parse).transpose()?;

        let source = match (transport.unwrap_or(Transport::Docker), location) {
            (Transport::Docker, None) => Location::Docker { tls_verify },
            // `docker://[overlay@…]NAME` is no reference to any skopeo.
            (Transport::Docker, Some(_)) => return Err(ItemError::StorageLocationWithDocker),
            (Transport::ContainersStorage, location) => Location::ContainersStorage { location },
        };
        Ok(Self::new(name, source, digest))
    }
}

/// An object that has no keys but `known`.
fn object<'v>(
    key: &'static str,
    value: &'v Value,
    known: &[&str],
) -> Result<&'v Map<String, Value>, ItemError> {
    let object = value.as_object().ok_or(ItemError::Type {
        key,
        want: "an object",
    })?;
    let unknown = object.keys().find(|key| !known.contains(&key.as_str()));
    unknown.map_or(Ok(object), |key| {
        Err(ItemError::UnknownKey(escape::truncate_message(key)))
    })
}

fn string<'v>(
    object: &'v Map<String, Value>,
    key: &'static str,
) -> Result<Option<&'v str>, ItemError> {
    let text = |value: &'v Value| {
        value.as_str().ok_or(ItemError::Type {
            key,
            want: "a string",
        })
    };
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
                let (mut items, mut seen) = (Vec::new(), std::collections::HashSet::new());
                while let Some(key) = from.next_key::<String>()? {
                    if !seen.insert(key.clone()) {
                        let key = escape::quote(&key);
                        return Err(de::Error::custom(format!("the item {key} is there twice")));
                    }
                    items.push((key, from.next_value()?));
                }
                Ok(Items(items))
            }
        }
        from.deserialize_map(Entries)
    }
}
