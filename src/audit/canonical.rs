//! The one way to write a record.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

/// Writes a value: keys sorted (as `serde_json`'s maps are), no insignificant
/// spaces, everything beyond ASCII as `\uXXXX`.
pub(super) fn to_string(value: &Value) -> String {
    let mut line = Vec::with_capacity(1024);
    let mut serializer = Serializer::with_formatter(&mut line, Ascii);
    // A value in memory can always be written to memory, in ASCII.
    let _written = value.serialize(&mut serializer);
    String::from_utf8(line).unwrap_or_default()
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

/// Whether JSON is written as [`to_string`] writes it. It says nothing on JSON
/// that isn't well-formed: a parser does. Keys need no escapes.
pub(super) fn is_canonical(json: &[u8]) -> bool {
    let mut scan = Scan { json, at: 0 };
    scan.value(0) && scan.at == json.len()
}

/// How deep a record may be nested; ours have half of it.
const DEPTH_MAX: usize = 16;

struct Scan<'j> {
    json: &'j [u8],
    at: usize,
}

impl<'j> Scan<'j> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.json.get(self.at).copied();
        self.at += 1;
        byte
    }

    fn take(&mut self, byte: u8) -> bool {
        let is = self.json.get(self.at) == Some(&byte);
        self.at += usize::from(is);
        is
    }

    fn value(&mut self, depth: usize) -> bool {
        match self.json.get(self.at) {
            Some(b'{') if depth < DEPTH_MAX => self.object(depth),
            Some(b'[') if depth < DEPTH_MAX => self.array(depth),
            Some(b'"') => self.string().is_some(),
            Some(b'-' | b'0'..=b'9') => self.integer(),
            _ => [&b"true"[..], b"false", b"null"]
                .iter()
                .any(|word| self.word(word)),
        }
    }

    fn word(&mut self, word: &[u8]) -> bool {
        let is = self.json[self.at.min(self.json.len())..].starts_with(word);
        self.at += if is { word.len() } else { 0 };
        is
    }

    /// `{"a":1,"b":2}`: each key after the one before it.
    fn object(&mut self, depth: usize) -> bool {
        self.at += 1;
        if self.take(b'}') {
            return true;
        }
        let mut last: Option<&[u8]> = None;
        loop {
            let Some(key) = self.string() else {
                return false;
            };
            let follows = last.is_none_or(|last| last < key) && !key.contains(&b'\\');
            if !follows || !self.take(b':') || !self.value(depth + 1) {
                return false;
            }
            last = Some(key);
            if !self.take(b',') {
                return self.take(b'}');
            }
        }
    }

    fn array(&mut self, depth: usize) -> bool {
        self.at += 1;
        if self.take(b']') {
            return true;
        }
        loop {
            if !self.value(depth + 1) {
                return false;
            }
            if !self.take(b',') {
                return self.take(b']');
            }
        }
    }

    /// `0`, `-5`: no fraction, no exponent, no leading zero, no `-0`.
    fn integer(&mut self) -> bool {
        let start = self.at;
        self.take(b'-');
        let first = self.json.get(self.at);
        let plain = first.is_some_and(|first| *first != b'0');
        while self.json.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        let text = std::str::from_utf8(&self.json[start..self.at]).unwrap_or_default();
        let exact = text.parse::<u64>().is_ok() || text.parse::<i64>().is_ok();
        exact && (plain || text == "0")
    }

    /// A string, and what stands between its quotes.
    fn string(&mut self) -> Option<&'j [u8]> {
        if !self.take(b'"') {
            return None;
        }
        let start = self.at;
        loop {
            let plain = |b: &u8| matches!(b, b' '..=b'~') && *b != b'"' && *b != b'\\';
            self.at += self.json.get(self.at..)?.iter().position(|b| !plain(b))?;
            match self.next()? {
                b'"' => return Some(&self.json[start..self.at - 1]),
                b'\\' => self.escape().then_some(())?,
                _ => return None,
            }
        }
    }

    /// The short escape where there is one; `\uXXXX` for what can't stand bare.
    fn escape(&mut self) -> bool {
        match self.next() {
            Some(b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't') => true,
            Some(b'u') => {
                let digits = self.json.get(self.at..self.at + 4).unwrap_or_default();
                self.at += 4;
                let lower = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
                let text = std::str::from_utf8(digits).unwrap_or_default();
                let unit = u16::from_str_radix(text, 16);
                digits.iter().all(lower)
                    && unit.is_ok_and(|unit| match unit {
                        0x08..=0x0a | 0x0c | 0x0d => false,
                        _ => !(0x20..0x7f).contains(&unit),
                    })
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::FileFailurePersistence;
    use serde_json::{Map, Value};

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let text = prop_oneof![".{0,12}", "[\u{0}-\u{20}\"\\\\/\u{7f}-\u{a0}]{0,6}"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            let member = ("[ !#-\\[\\]-~]{0,6}", inner.clone());
            prop_oneof![
                prop::collection::vec(inner, 0..6).prop_map(Value::from),
                prop::collection::vec(member, 0..6)
                    .prop_map(|members| Value::from(Map::from_iter(members))),
            ]
        })
    }

    fn config() -> ProptestConfig {
        let file = FileFailurePersistence::Direct("proptest-regressions/canonical.txt");
        ProptestConfig {
            failure_persistence: Some(Box::new(file)),
            ..ProptestConfig::default()
        }
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn what_is_written_is_canonical(value in values()) {
            prop_assert!(is_canonical(to_string(&value).as_bytes()));
        }

        #[test]
        fn another_form_of_the_same_is_not(value in values(), at: prop::sample::Index, into in "[ \n\\\\/u0-9a-fA-F.eE+\"-]{1,6}", over in 0..7_usize) {
            let written = to_string(&value);
            let at = at.index(written.len() + 1);
            let mut other = written.clone();
            other.replace_range(at..(at + over).min(written.len()), &into);
            if is_canonical(other.as_bytes()) && let Ok(read) = serde_json::from_str::<Value>(&other) {
                prop_assert_eq!(to_string(&read), other);
            }
        }
    }

    #[test]
    fn each_value_has_one_form() {
        let deep = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let deeper = |depth| format!("{}0{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        let table = [
            (deep(DEPTH_MAX), true),
            (deep(DEPTH_MAX + 1), false),
            (deeper(DEPTH_MAX), true),
            (deeper(DEPTH_MAX + 1), false),
            (r#"{"a":1,"b":2}"#.to_owned(), true),
            (r#"{"b":1,"a":2}"#.to_owned(), false),
            (r#"{"a":1,"a":1}"#.to_owned(), false),
            (r#"{"\u0080":1}"#.to_owned(), false),
            (r#"["\b\f\n\r\t\"\\\u0080\u0000"]"#.to_owned(), true),
            (r#"["\u0008"]"#.to_owned(), false),
            (r#"["\u000a"]"#.to_owned(), false),
            (r#"["\u000d"]"#.to_owned(), false),
            (r#"["\u0041"]"#.to_owned(), false),
            (r#"["\u00E4"]"#.to_owned(), false),
            (r#"["\/"]"#.to_owned(), false),
            ("-9223372036854775808".to_owned(), true),
            ("-9223372036854775809".to_owned(), false),
            ("18446744073709551615".to_owned(), true),
            ("18446744073709551616".to_owned(), false),
            ("-0".to_owned(), false),
            ("01".to_owned(), false),
            ("1.0".to_owned(), false),
            ("[1, 2]".to_owned(), false),
            ("truee".to_owned(), false),
            (String::new(), false),
        ];
        for (json, canonical) in table {
            assert_eq!(is_canonical(json.as_bytes()), canonical, "{json}");
        }
    }
}
