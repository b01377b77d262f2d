//! The one way to write a record.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Writes a value: keys sorted, no insignificant spaces, everything beyond ASCII
/// as `\uXXXX`. Keys need no escapes.
pub(super) fn to_string(value: &impl Serialize) -> String {
    let mut json = Vec::with_capacity(1024);
    let mut serializer = Serializer::with_formatter(&mut json, Ascii);
    // What a record is made of can always be written to memory, in ASCII.
    let _written = value.serialize(&mut serializer);
    let mut sorted = Vec::with_capacity(json.len() + 128);
    sort(&json, &mut sorted);
    String::from_utf8(sorted).unwrap_or_default()
}

struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        to: &mut W,
        text: &str,
    ) -> io::Result<()> {
        if text.is_ascii() && !text.contains('\u{7f}') {
            return to.write_all(text.as_bytes());
        }
        text.chars().try_for_each(|c| {
            if c.is_ascii() && c != '\u{7f}' {
                return to.write_all(&[c as u8]);
            }
            let mut units = [0; 2];
            c.encode_utf16(&mut units)
                .iter()
                .try_for_each(|unit| write!(to, "\\u{unit:04x}"))
        })
    }
}

/// Copies the first value of JSON as `serde_json` writes it, members in the order
/// of their keys, and gives what is behind it.
fn sort<'j>(json: &'j [u8], to: &mut Vec<u8>) -> &'j [u8] {
    match json {
        [open @ (b'{' | b'['), close @ (b'}' | b']'), rest @ ..] => {
            to.extend([open, close]);
            rest
        }
        [b'{', ..] => {
            let start = to.len();
            let (mut rest, mut members) = (json, Vec::with_capacity(8));
            while let [b'{' | b',', member @ ..] = rest {
                let (key, from) = (&member[..scalar(member)], to.len());
                to.push(b',');
                to.extend_from_slice(&member[..=key.len()]);
                rest = sort(&member[key.len() + 1..], to);
                members.push((key, from - start..to.len() - start));
            }
            if !members.is_sorted_by_key(|(key, _)| inner(key)) {
                members.sort_by_key(|(key, _)| inner(key));
                let unsorted = to.split_off(start);
                for (_, member) in members {
                    to.extend_from_slice(&unsorted[member]);
                }
            }
            to[start] = b'{';
            to.push(b'}');
            &rest[1..]
        }
        [b'[', ..] => {
            let mut rest = json;
            while let [before @ (b'[' | b','), item @ ..] = rest {
                to.push(*before);
                rest = sort(item, to);
            }
            to.push(b']');
            &rest[1..]
        }
        _ => {
            let (scalar, rest) = json.split_at(scalar(json));
            to.extend_from_slice(scalar);
            rest
        }
    }
}

/// What stands between a string's quotes.
fn inner(string: &[u8]) -> &[u8] {
    &string[1..string.len() - 1]
}

/// The length of the string, number or word that JSON begins with.
fn scalar(json: &[u8]) -> usize {
    let ends = |at: &usize| match (json[0], json[*at]) {
        (b'"', b'"') => {
            json[..*at]
                .iter()
                .rev()
                .take_while(|b| **b == b'\\')
                .count()
                % 2
                == 0
        }
        (b'"', _) => false,
        (_, byte) => matches!(byte, b',' | b']' | b'}'),
    };
    let end = (1..json.len()).find(ends).unwrap_or(json.len());
    (end + usize::from(json[0] == b'"')).min(json.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::FileFailurePersistence;
    use serde::ser::SerializeMap;
    use serde_json::{Map, Value};

    use super::*;

    /// A value whose members are in any order.
    #[derive(Clone, Debug)]
    enum Unsorted {
        Scalar(Value),
        List(Vec<Self>),
        Members(Vec<(String, Self)>),
    }

    impl Serialize for Unsorted {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            match self {
                Self::Scalar(value) => value.serialize(to),
                Self::List(items) => items.serialize(to),
                Self::Members(members) => {
                    let mut map = to.serialize_map(None)?;
                    for (key, value) in members {
                        map.serialize_entry(key, value)?;
                    }
                    map.end()
                }
            }
        }
    }

    impl Unsorted {
        fn value(&self) -> Value {
            match self {
                Self::Scalar(value) => value.clone(),
                Self::List(items) => items.iter().map(Self::value).collect(),
                Self::Members(members) => {
                    let members = members
                        .iter()
                        .map(|(key, value)| (key.clone(), value.value()));
                    Value::from(Map::from_iter(members))
                }
            }
        }
    }

    fn values() -> impl Strategy<Value = Unsorted> {
        let text = prop_oneof![".{0,12}", "[\u{0}-\u{20}\"\\\\/\u{7f}-\u{a0}]{0,6}"];
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        scalar
            .prop_map(Unsorted::Scalar)
            .prop_recursive(5, 40, 6, |inner| {
                let members =
                    prop::collection::btree_map("[ !#-\\[\\]-~]{0,6}", inner.clone(), 0..6);
                let members = members.prop_map(Vec::from_iter).prop_shuffle();
                prop_oneof![
                    prop::collection::vec(inner, 0..6).prop_map(Unsorted::List),
                    members.prop_map(Unsorted::Members),
                ]
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: Some(Box::new(FileFailurePersistence::Direct("proptest-regressions/canonical.txt"))),
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_value_has_one_form_sorted_and_ascii(value in values()) {
            let written = to_string(&value);
            prop_assert!(written.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{written}");
            let read: Value = serde_json::from_str(&written).expect("JSON");
            prop_assert_eq!(&read, &value.value());
            // serde_json's own maps are sorted.
            prop_assert_eq!(to_string(&read), written);
        }
    }

    #[test]
    fn what_is_beyond_ascii_is_escaped() {
        let value = Value::from("\u{8}\u{c}\n\r\t\"\\/\u{0}\u{7f}\u{80}\u{1f600}");
        let written = r#""\b\f\n\r\t\"\\/\u0000\u007f\u0080\ud83d\ude00""#;
        assert_eq!(to_string(&value), written);
    }
}
