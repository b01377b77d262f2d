//! A reader of JSON that keeps what decides and checks the rest.
//!
//! `serde_json` validates the syntax first. It is not the reader itself, because it keeps
//! the last of two equal keys silently, and rejects a lone surrogate escape wherever it is.
//! Elements of arrays and members that do not decide are checked and dropped: 4 MiB of
//! `{"a":{}},…` must not grow into a tree.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::error::{NotAnIndex, NotInteroperable};
use crate::escape::truncate_message;
use crate::keys::KeySet;

/// Limit of nested arrays and objects: the default of `serde_json`, the lowest of the usual
/// readers.
const MAX_DEPTH: u8 = 127;

/// A JSON value, as far as an index needs it.
#[derive(Debug)]
pub(super) enum Node<'j> {
    Null,
    Bool,
    /// A number as written.
    Number(&'j str),
    /// A string as written, with its quotation marks.
    Text(&'j str),
    Array,
    Object(Object<'j>),
}

/// An object's deciding members in the document's order, each key once.
#[derive(Debug, Default)]
pub(super) struct Object<'j>(Vec<(Cow<'j, str>, Node<'j>)>);

/// The keys whose members are kept in any case: of an object, then of the objects in its
/// members, and so on.
pub(super) type Kept = &'static [&'static [&'static str]];

/// Keys that decide what a document is, by the object that has them.
pub(super) const INDEX_KEYS: &[&str] = &["schemaVersion", "mediaType", "manifests"];
pub(super) const DESCRIPTOR_KEYS: &[&str] =
    &["mediaType", "digest", "size", "platform", "artifactType"];
pub(super) const PLATFORM_KEYS: &[&str] = &["os", "architecture", "variant", "os.version"];

/// The specification's spelling of a key.
pub(super) fn specified_key(key: &str) -> &str {
    let keys = [INDEX_KEYS, DESCRIPTOR_KEYS, PLATFORM_KEYS].concat();
    let specified = keys.into_iter().find(|name| is_folded_equal(name, key));
    specified.unwrap_or(key)
}

/// Compares a key with an ASCII field name as Go's `encoding/json` does: by Unicode's simple
/// case folding, which maps two characters beyond ASCII to letters.
///
/// Other characters beyond ASCII stay: a key with one matches an ASCII name in no reader.
pub(crate) fn is_folded_equal(key: &str, name: &str) -> bool {
    let fold = |c: char| match c {
        '\u{17f}' => 's',  // LATIN SMALL LETTER LONG S
        '\u{212a}' => 'k', // KELVIN SIGN
        _ => c.to_ascii_lowercase(),
    };
    key.chars().map(fold).eq(name.chars().map(fold))
}

fn is_any(key: &str, names: &[&str]) -> bool {
    names.iter().any(|name| is_folded_equal(key, name))
}

/// The text of a JSON string, borrowed if it has no escapes; `None` if it has a lone surrogate
/// escape, which is not Unicode, and for other values.
pub(crate) fn decode_string(json: &str) -> Option<Cow<'_, str>> {
    if json.contains('\\') {
        return serde_json::from_str(json).ok().map(Cow::Owned);
    }
    let text = json.strip_prefix('"')?.strip_suffix('"');
    text.map(Cow::Borrowed)
}

impl<'j> Node<'j> {
    /// The text of a string in Unicode.
    pub(super) fn text(&self) -> Option<Cow<'j, str>> {
        match self {
            Self::Text(json) => decode_string(json),
            _ => None,
        }
    }
}

impl<'j> Object<'j> {
    /// Adds a member, if its key is kept.
    pub(super) fn add(&mut self, key: Option<Cow<'j, str>>, node: Node<'j>) {
        self.0.extend(key.map(|key| (key, node)));
    }

    /// The value of a key in exactly this spelling; null is absent, which Go does not
    /// distinguish.
    pub(super) fn get(&self, key: &str) -> Option<&Node<'j>> {
        let found = self.0.iter().find(|(name, _)| name == key);
        found
            .map(|(_, node)| node)
            .filter(|node| !matches!(node, Node::Null))
    }

    /// Finds the first key that is one of `names` in any case and whose value is not null.
    pub(super) fn find_folded(&self, names: &[&str]) -> Option<&str> {
        let members = self
            .0
            .iter()
            .filter(|(_, node)| !matches!(node, Node::Null));
        let mut keys = members.map(|(key, _)| &**key);
        keys.find(|key| is_any(key, names))
    }

    /// Finds a key that is one of `names` in another case: Go accepts it, other readers don't.
    /// Two keys that Go takes for one always include such a key.
    pub(super) fn find_respelt(&self, names: &[&str]) -> Option<String> {
        let mut keys = self.0.iter().map(|(key, _)| &**key);
        let found = keys.find(|key| is_any(key, names) && !names.contains(key));
        found.map(truncate_message)
    }
}

/// Reads a document from front to back, once.
#[derive(Debug)]
pub(super) struct Reader<'j> {
    json: &'j str,
    at: usize,
    depth: u8,
    /// The first duplicate key of one object, at any depth, truncated.
    pub(super) duplicate: Option<String>,
}

impl<'j> Reader<'j> {
    /// Validates the syntax. Nothing is kept of the document; the rest of this type relies
    /// on it being JSON.
    pub(super) fn new(bytes: &'j [u8]) -> Result<Self, NotAnIndex> {
        let not_json = |reason: &dyn ToString| NotAnIndex::NotJson {
            reason: truncate_message(&reason.to_string()),
        };
        let text = std::str::from_utf8(bytes).map_err(|error| not_json(&error))?;
        let json: &RawValue = serde_json::from_str(text).map_err(|error| not_json(&error))?;
        let (json, at, depth, duplicate) = (json.get(), 0, 0, None);
        Ok(Self {
            json,
            at,
            depth,
            duplicate,
        })
    }

    /// Skips white space, and returns the first byte of the next token.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = self.json.as_bytes().get(self.at..)?;
        let spaces = rest
            .iter()
            .position(|b| !matches!(b, b' ' | b'\t' | b'\n' | b'\r'));
        self.at += spaces.unwrap_or(rest.len());
        rest.get(spaces?).copied()
    }

    /// Skips this byte if it is next.
    fn skip(&mut self, byte: u8) {
        self.at += usize::from(self.peek() == Some(byte));
    }

    /// Number of bytes that are not yet read.
    pub(super) const fn remaining(&self) -> usize {
        self.json.len() - self.at
    }

    /// Reads the next value; of objects only the members that are `kept`.
    pub(super) fn value(&mut self, kept: Kept) -> Result<Node<'j>, NotInteroperable> {
        match self.peek() {
            Some(b'{') => {
                let (names, deeper): (&[_], Kept) = match kept {
                    [names, deeper @ ..] => (names, deeper),
                    [] => (&[], &[]),
                };
                let mut object = Object::default();
                self.members(names, |reader, key| {
                    let node = reader.value(if key.is_some() { deeper } else { &[] })?;
                    object.add(key, node);
                    Ok(())
                })?;
                Ok(Node::Object(object))
            }
            Some(b'[') => {
                self.elements(|reader| reader.value(&[]).map(drop))?;
                Ok(Node::Array)
            }
            Some(b'"') => Ok(Node::Text(self.string())),
            _ => self.scalar(),
        }
    }

    /// Reads an object. `member` reads the value of each member; its key is passed if it is
    /// one of `names`, in any case, and the first of its spelling.
    pub(super) fn members(
        &mut self,
        names: &[&str],
        mut member: impl FnMut(&mut Self, Option<Cow<'j, str>>) -> Result<(), NotInteroperable>,
    ) -> Result<(), NotInteroperable> {
        self.enter()?;
        let mut keys = KeySet::default();
        while self.peek() == Some(b'"') {
            let key = decode_string(self.string()).ok_or(NotInteroperable::LoneSurrogate)?;
            let is_new = keys.insert(&key);
            if !is_new && self.duplicate.is_none() {
                self.duplicate = Some(truncate_message(&key));
            }
            self.skip(b':');
            member(self, Some(key).filter(|key| is_new && is_any(key, names)))?;
            self.skip(b',');
        }
        self.leave(b'}');
        Ok(())
    }

    /// Reads an array; `element` reads each value.
    pub(super) fn elements(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), NotInteroperable>,
    ) -> Result<(), NotInteroperable> {
        self.enter()?;
        while !matches!(self.peek(), None | Some(b']')) {
            element(self)?;
            self.skip(b',');
        }
        self.leave(b']');
        Ok(())
    }

    fn enter(&mut self) -> Result<(), NotInteroperable> {
        (self.at, self.depth) = (self.at + 1, self.depth + 1);
        if self.depth > MAX_DEPTH {
            return Err(NotInteroperable::Depth);
        }
        Ok(())
    }

    fn leave(&mut self, end: u8) {
        self.skip(end);
        self.depth -= 1;
    }

    /// Reads a string, with its quotation marks.
    fn string(&mut self) -> &'j str {
        let start = self.at;
        let rest = self.json.as_bytes().get(start + 1..).unwrap_or_default();
        let mut escaped = false;
        let end = rest.iter().position(|b| {
            let ends = *b == b'"' && !escaped;
            escaped = *b == b'\\' && !escaped;
            ends
        });
        self.at = end.map_or(self.json.len(), |end| start + end + 2);
        self.json.get(start..self.at).unwrap_or_default()
    }

    /// Reads a number, a boolean or null.
    fn scalar(&mut self) -> Result<Node<'j>, NotInteroperable> {
        let rest = self.json.get(self.at..).unwrap_or_default();
        let ends = |b| matches!(b, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
        let end = rest.bytes().position(ends).unwrap_or(rest.len());
        self.at += end;
        let token = rest.get(..end).unwrap_or_default();
        match token {
            "null" => Ok(Node::Null),
            "true" | "false" => Ok(Node::Bool),
            _ if token.parse().is_ok_and(f64::is_infinite) => Err(NotInteroperable::Number),
            _ => Ok(Node::Number(token)),
        }
    }
}
