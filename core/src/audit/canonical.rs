//! The one way to write a record.

use serde::Serialize;

use crate::escape;

/// Writes a value without insignificant spaces, everything beyond ASCII as
/// `\uXXXX`. Its keys are in the order in which its type has them: by name.
pub(super) fn to_string(value: &impl Serialize) -> String {
    let mut json = Vec::with_capacity(1024);
    // What a record is made of can always be written to memory.
    let _written = escape::write_json(&mut json, value);
    // It is ASCII.
    String::from_utf8(json).unwrap_or_default()
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
