//! Duplicate keys of JSON objects, which most parsers accept silently.
//!
//! RFC 8259, section 4: "When the names within an object are not unique, the behavior of
//! software that receives such an object is unpredictable."

use crate::escape;

/// Returns a key that occurs more than once.
#[must_use]
pub fn duplicate<K: Ord>(keys: impl IntoIterator<Item = K>) -> Option<K> {
    let mut keys: Vec<K> = keys.into_iter().collect();
    keys.sort_unstable();
    let at = keys.windows(2).position(|pair| pair[0] == pair[1])?;
    Some(keys.swap_remove(at))
}

/// Fails if a key of a deserialized object occurs more than once.
///
/// # Errors
/// `duplicate key "…"`, with the key escaped and truncated.
pub fn reject_duplicates<'k, E: serde::de::Error>(
    keys: impl IntoIterator<Item = &'k String>,
) -> Result<(), E> {
    duplicate(keys).map_or(Ok(()), |key| {
        let key = escape::quote(key);
        Err(E::custom(format_args!("duplicate key {key}")))
    })
}
