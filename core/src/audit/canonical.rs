//! The canonical form of records.

use serde::Serialize;

use crate::escape;

/// Serialises a value without insignificant spaces, and with `\uXXXX` for everything
/// outside ASCII. Its types declare their fields in alphabetical order, so keys are sorted.
pub(super) fn to_string(value: &impl Serialize) -> String {
    let mut json = Vec::with_capacity(1024);
    // Serialising a record to memory can't fail, and yields ASCII.
    match escape::write_json(&mut json, value) {
        Ok(()) => String::from_utf8(json).unwrap_or_default(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_form_escapes_everything_outside_ascii() {
        let value = "\u{8}\u{c}\n\r\t\"\\/\u{0}\u{7f}\u{80}\u{1f600}";
        let escaped = r#""\b\f\n\r\t\"\\/\u0000\u007f\u0080\ud83d\ude00""#;
        assert_eq!(to_string(&value), escaped);
        for (value, escaped) in [("\u{7f}", r"\u007f"), ("\u{80}", r"\u0080"), ("~", "~")] {
            assert_eq!(to_string(&value), format!("\"{escaped}\""));
        }
    }
}
