//! Items of the osbuild source.
//!
//! ```text
//! {"sha256:…": {"image": {"name": "…", "tls-verify": true,
//!                         "containers-transport": "docker", "storage-location": ""}}}
//! ```

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    ImageName, Location, NameError, Request, StorageLocation, StorageLocationError, TlsVerify,
    Transport, TransportError,
};
use crate::digest::{Digest, DigestError};
use crate::escape;
use crate::keys::KeySet;

/// Keys and values of the source's `items`, unique and in the document's order. Each item is
/// validated by [`Request::from_item`]; until then it is kept as its text, because a tree of
/// its values would take up to 80 times as much memory.
#[derive(Debug, Default)]
pub struct Items {
    entries: Vec<(String, Box<RawValue>)>,
    keys: KeySet,
}

/// Limit of the items of one manifest or call: the largest known manifests have some hundred.
/// It bounds the memory for requests and results, which is independent of the items' size.
pub const MAX_ITEMS: usize = 100_000;

/// Limit of a key in an error, in bytes: a digest has 71. Errors of many items are kept.
pub(crate) const MAX_SHOWN_KEY: usize = 80;

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
    /// A key occurs more than once.
    #[error("duplicate key \"{0}\"")]
    DuplicateKey(&'static str),
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
    pub fn from_item(key: &str, item: &RawValue) -> Result<Self, ItemError> {
        let digest: Digest = key.parse()?;
        let [image] = object("item", item, ["image"])?;
        let image = image.ok_or(ItemError::Missing("image"))?;
        let known = [
            "name",
            "tls-verify",
            "containers-transport",
            "storage-location",
        ];
        let [name, tls_verify, transport, location] = object("image", image, known)?;

        let name = string("name", name)?.ok_or(ItemError::Missing("name"))?;
        let name: ImageName = name.try_into()?;
        let tls_verify = match tls_verify.map(RawValue::get) {
            None => TlsVerify::Unset,
            Some("true") => TlsVerify::ItemTrue,
            Some("false") => TlsVerify::Never,
            Some(_) => return Err(wrong_type("tls-verify", "a boolean")),
        };
        let transport = string("containers-transport", transport)?;
        let transport: Option<Transport> = transport.map(|text| text.parse()).transpose()?;
        let location = string("storage-location", location)?;
        let location = location.filter(|location| !location.is_empty());
        let location: Option<StorageLocation> = location.map(TryInto::try_into).transpose()?;

        let location = match (transport.unwrap_or_default(), location) {
            (Transport::Docker, None) => Location::Docker { tls_verify },
            // skopeo rejects `docker://[overlay@…]NAME`.
            (Transport::Docker, Some(_)) => return Err(ItemError::StorageLocationWithDocker),
            (Transport::ContainersStorage, location) => Location::ContainersStorage { location },
        };
        Ok(Self::new(name, location, digest))
    }
}

/// What a text with a lone surrogate (`"\ud83d"`) is not.
const VALID_UNICODE: &str = "valid Unicode";

const fn wrong_type(key: &'static str, expected: &'static str) -> ItemError {
    ItemError::Type { key, expected }
}

fn string(key: &'static str, json: Option<&RawValue>) -> Result<Option<String>, ItemError> {
    let Some(json) = json.map(RawValue::get) else {
        return Ok(None);
    };
    match serde_json::from_str(json) {
        Ok(text) => Ok(Some(text)),
        Err(_) if json.starts_with('"') => Err(wrong_type(key, VALID_UNICODE)),
        Err(_) => Err(wrong_type(key, "a string")),
    }
}

/// Reads the values of an object whose keys are all in `known`.
fn object<'j, const N: usize>(
    key: &'static str,
    json: &'j RawValue,
    known: [&'static str; N],
) -> Result<[Option<&'j RawValue>; N], ItemError> {
    let text = json.get();
    let mut json = serde_json::Deserializer::from_str(text);
    json.deserialize_map(Members { known })
        .unwrap_or_else(|_| match text.starts_with('{') {
            true => Err(wrong_type(key, VALID_UNICODE)),
            false => Err(wrong_type(key, "an object")),
        })
}

struct Members<const N: usize> {
    known: [&'static str; N],
}

impl<'j, const N: usize> Visitor<'j> for Members<N> {
    type Value = Result<[Option<&'j RawValue>; N], ItemError>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'j>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let (mut members, mut first_error) = ([None; N], None);
        while let Some((key, value)) = from.next_entry::<String, &RawValue>()? {
            let error = match self.known.iter().position(|known| *known == key) {
                None => ItemError::UnknownKey(escape::truncate(&key, MAX_SHOWN_KEY)),
                Some(at) => match members[at].replace(value) {
                    None => continue,
                    Some(_) => ItemError::DuplicateKey(self.known[at]),
                },
            };
            first_error.get_or_insert(error);
        }
        Ok(first_error.map_or(Ok(members), Err))
    }
}

impl Items {
    /// The items in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        let entries = self.entries.iter();
        entries.map(|(key, item)| (key.as_str(), &**item))
    }

    pub(crate) fn push<E: Error>(&mut self, key: String, item: Box<RawValue>) -> Result<(), E> {
        if self.entries.len() == MAX_ITEMS {
            return Err(E::custom(format_args!("more than {MAX_ITEMS} items")));
        }
        if !self.keys.insert(&key) {
            let key = escape::quote(&key);
            return Err(E::custom(format_args!("duplicate key {key}")));
        }
        self.entries.push((key, item));
        Ok(())
    }
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
                let mut items = Items::default();
                while let Some((key, item)) = from.next_entry()? {
                    items.push(key, item)?;
                }
                Ok(items)
            }
        }
        from.deserialize_map(Entries)
    }
}
