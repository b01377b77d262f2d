//! Tests of `escape`: escaping, truncation and redaction of untrusted text.

mod support;

use proptest::prelude::*;
use skopeo_index_core::escape::{
    Escaped, MAX_ERROR_TEXT, percent_encode, quote, to_json, truncate_message,
};

/// The inverse of [`Escaped`].
fn unescaped(shown: &str) -> Option<String> {
    let (mut text, mut chars) = (String::new(), shown.chars());
    while let Some(c) = chars.next() {
        text.push(match c {
            '\\' => match chars.next()? {
                '\\' => '\\',
                'n' => '\n',
                't' => '\t',
                'u' => {
                    let (hex, rest) = chars.as_str().strip_prefix('{')?.split_once('}')?;
                    chars = rest.chars();
                    char::from_u32(u32::from_str_radix(hex, 16).ok()?)?
                }
                _ => return None,
            },
            c => c,
        });
    }
    Some(text)
}

/// Texts with many special characters.
fn nasty() -> impl Strategy<Value = String> {
    let char = prop_oneof![
        any::<char>(),
        prop::sample::select(
            "\\\n\tn{}u1b\u{1b}\u{7f}\u{9b}\u{202e}\u{2069}\u{feff}ä€😀"
                .chars()
                .collect::<Vec<_>>()
        ),
    ];
    prop::collection::vec(char, 0..40).prop_map(String::from_iter)
}

proptest! {
    #![proptest_config(crate::support::property::config(256, "escape.txt"))]

    #[test]
    fn escaped_text_has_no_control_or_invisible_characters(text: String, more in "[\u{0}-\u{1f}\u{7f}-\u{9f}\\p{Cf}\\p{Zl}\\p{Zp}\\p{Default_Ignorable_Code_Point}]*") {
        let shown = Escaped(&format!("{text}{more}")).to_string();
        let more: Vec<char> = more.chars().collect();
        prop_assert!(!shown.contains(|c: char| c.is_control()));
        prop_assert!(!shown.contains(&*more));
    }

    #[test]
    fn escaped_text_can_be_unescaped(text in nasty()) {
        prop_assert_eq!(unescaped(&Escaped(&text).to_string()), Some(text));
    }

    #[test]
    fn quoted_text_is_one_bounded_line(text in nasty(), times in 0..200_usize) {
        let line = quote(&text.repeat(times));
        prop_assert!(!line.contains(char::is_control));
        // An escape is at most as long as `\u{10ffff}`, for a character of one byte or more.
        prop_assert!(line.len() < 10 * (MAX_ERROR_TEXT + 40));
    }

    #[test]
    fn truncated_text_gives_the_original_length(text in nasty(), times in 1..200_usize) {
        let text = text.repeat(times);
        let short = truncate_message(&text);
        let note = format!("… ({} bytes in all)", text.len());
        match short.strip_suffix(&note) {
            Some(kept) => {
                prop_assert!(text.len() > MAX_ERROR_TEXT && text.starts_with(kept));
                // No character has more than four bytes.
                prop_assert!((MAX_ERROR_TEXT - 3..=MAX_ERROR_TEXT).contains(&kept.len()));
            }
            None => prop_assert!(text.len() <= MAX_ERROR_TEXT && short == text),
        }
    }
}

#[test]
fn newline_tab_and_backslash_have_short_escapes() {
    assert_eq!(Escaped("a\n\t\\\u{1b}").to_string(), r"a\n\t\\\u{1b}");
}

#[test]
fn json_form_escapes_everything_outside_ascii() {
    let value = "\u{8}\u{c}\n\r\t\"\\/\u{0}\u{7f}\u{80}\u{1f600}";
    let escaped = r#""\b\f\n\r\t\"\\/\u0000\u007f\u0080\ud83d\ude00""#;
    assert_eq!(to_json(&value), escaped);
    for (value, escaped) in [("\u{7f}", r"\u007f"), ("\u{80}", r"\u0080"), ("~", "~")] {
        assert_eq!(to_json(&value), format!("\"{escaped}\""));
    }
}

#[test]
fn percent_encoding_escapes_all_but_letters_digits_and_kept_characters() {
    let (text, encoded) = ("/a b/[\u{e9}]?#%~", "/a%20b/%5B%C3%A9%5D%3F%23%25~");
    assert_eq!(percent_encode(text, b"/~"), encoded);
}
