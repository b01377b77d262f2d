//! The one way to write a record.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Writes a value without insignificant spaces, everything beyond ASCII as
/// `\uXXXX`. Its keys are in the order in which its type has them: by name.
pub(super) fn to_string(value: &impl Serialize) -> String {
    let mut json = Vec::with_capacity(1024);
    let mut serializer = Serializer::with_formatter(&mut json, Ascii);
    // What a record is made of can always be written to memory, in ASCII.
    let _written = value.serialize(&mut serializer);
    String::from_utf8(json).unwrap_or_default()
}

struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        to: &mut W,
        text: &str,
    ) -> io::Result<()> {
        if text.bytes().all(|byte| byte < 0x7f) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_ascii_is_escaped() {
        let value = "\u{8}\u{c}\n\r\t\"\\/\u{0}\u{7f}\u{80}\u{1f600}";
        let written = r#""\b\f\n\r\t\"\\/\u0000\u007f\u0080\ud83d\ude00""#;
        assert_eq!(to_string(&value), written);
        for (alone, written) in [("\u{7f}", r"\u007f"), ("\u{80}", r"\u0080"), ("~", "~")] {
            assert_eq!(to_string(&alone), format!("\"{written}\""));
        }
    }
}
