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
