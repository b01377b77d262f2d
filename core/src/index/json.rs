//! JSON as it stands: every key of every object is seen, none is lost.
//!
//! `serde_json::Value` keeps the last of two equal keys and says nothing. RFC
//! 8259, section 4: "When the names within an object are not unique, the
//! behavior of software that receives such an object is unpredictable."
//!
//! What an array holds is checked and dropped: an index is read from objects,
//! and 4 MiB of `[],[],…` must not grow into a tree.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// A value, as far as an index cares.
#[derive(Debug)]
pub(super) enum Node<'de> {
    Null,
    Bool,
    /// A number without fraction and exponent that Go reads into an `int64`.
    Integer(i64),
    /// Any other number.
    Number,
    Text(Cow<'de, str>),
    Array,
    Object(Object<'de>),
}

/// The entries of an object in their order.
#[derive(Debug, Default)]
pub(super) struct Object<'de>(Box<[(Cow<'de, str>, Node<'de>)]>);

/// The first key that stands twice in one object, wherever that object is.
pub(super) type DuplicateKey = Option<String>;

/// An object's key, borrowed where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Key<'k>(#[serde(borrow)] pub(super) Cow<'k, str>);

/// Two readers of one object see different things.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ambiguity {
    Duplicate(String),
    Spelling(String),
}

/// The form in which Go's `encoding/json` compares an ASCII name of a field:
/// without case, and by Unicode's simple folding, which takes two characters
/// beyond ASCII for letters.
///
/// Keys with other characters match no ASCII name in any reader, so that
/// nothing is lost by leaving these as they are.
pub(super) fn fold_case(key: &str) -> String {
    key.chars()
        .map(|c| match c {
            '\u{17f}' => 's',  // LATIN SMALL LETTER LONG S
            '\u{212a}' => 'k', // KELVIN SIGN
            _ => c.to_ascii_lowercase(),
        })
        .collect()
}

impl<'de> Object<'de> {
    /// Takes the entries; a key that stands twice goes to `repeated`.
    pub(super) fn new(
        entries: Vec<(Cow<'de, str>, Node<'de>)>,
        repeated: &mut DuplicateKey,
    ) -> Self {
        if repeated.is_none() {
            *repeated = duplicate(entries.iter().map(|(key, _)| &**key)).map(str::to_owned);
        }
        Self(entries.into_boxed_slice())
    }

    /// The value of a key in exactly this spelling.
    pub(super) fn get(&self, key: &str) -> Option<&Node<'de>> {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.map(|(_, node)| node)
    }

    /// The first entry that isn't null and whose key folds to one of `names`,
    /// which are folded themselves.
    pub(super) fn find_image_key(&self, names: &[&str]) -> Option<&str> {
        let told = |(key, node): &&(Cow<'de, str>, Node<'de>)| {
            !matches!(node, Node::Null) && names.contains(&fold_case(key).as_str())
        };
        self.0.iter().find(told).map(|(key, _)| &**key)
    }

    /// Refuses two keys that Go takes for one, and one of `names` in another
    /// spelling: Go reads it, others don't.
    pub(super) fn reject_ambiguous_keys(&self, names: &[&str]) -> Result<(), Ambiguity> {
        let twice = duplicate(self.0.iter().map(|(key, _)| fold_case(key)));
        if let Some(key) = twice {
            return Err(Ambiguity::Duplicate(key));
        }
        let respelt = self.0.iter().find(|(key, _)| {
            let is = |name: &&str| **name != **key && fold_case(name) == fold_case(key);
            names.iter().any(is)
        });
        respelt.map_or(Ok(()), |(key, _)| {
            Err(Ambiguity::Spelling(key.clone().into_owned()))
        })
    }
}

/// A key that is there twice.
fn duplicate<K: Ord>(keys: impl Iterator<Item = K>) -> Option<K> {
    let mut keys: Vec<K> = keys.collect();
    keys.sort_unstable();
    let at = keys.windows(2).position(|pair| pair[0] == pair[1])?;
    Some(keys.swap_remove(at))
}

/// Called with a value and the key that stands twice in it.
type Each<'r> = &'r mut dyn FnMut(Node<'_>, DuplicateKey);

/// Reads a [`Node`].
pub(super) struct ReadNode<'r> {
    /// Takes the first key that stands twice.
    pub(super) repeated: &'r mut DuplicateKey,
    /// Takes what an array holds.
    pub(super) each: Option<Each<'r>>,
}

impl<'r> ReadNode<'r> {
    pub(super) const fn new(repeated: &'r mut DuplicateKey) -> Self {
        Self {
            repeated,
            each: None,
        }
    }
}

impl<'de> DeserializeSeed<'de> for ReadNode<'_> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Node<'de>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ReadNode<'_> {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node<'de>, E> {
        Ok(Node::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node<'de>, E> {
        Ok(i64::try_from(number).map_or(Node::Number, Node::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node<'de>, E> {
        Ok(Node::Number)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Node<'de>, A::Error> {
        let Some(each) = self.each else {
            while from
                .next_element_seed(ReadNode::new(self.repeated))?
                .is_some()
            {}
            return Ok(Node::Array);
        };
        loop {
            let mut repeated = None;
            match from.next_element_seed(ReadNode::new(&mut repeated))? {
                Some(node) => each(node, repeated),
                None => return Ok(Node::Array),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Node<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some(Key(key)) = from.next_key()? {
            entries.push((key, from.next_value_seed(ReadNode::new(self.repeated))?));
        }
        Ok(Node::Object(Object::new(entries, self.repeated)))
    }
}
