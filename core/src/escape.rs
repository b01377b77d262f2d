//! Escaping and truncation of untrusted text. Redaction: [`crate::redact`].

use std::fmt;
use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Shows a text with control characters (ANSI escapes start with one), invisible and
/// bidirectional format characters, line and paragraph separators escaped.
///
/// The escapes are Rust's (`\u{1b}`, `\n`). A backslash is doubled, so that escaping is
/// reversible.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        self.0.chars().try_for_each(|c| match c {
            '\\' => f.write_str(r"\\"),
            '\n' => f.write_str(r"\n"),
            '\t' => f.write_str(r"\t"),
            _ if c.is_control() || is_invisible(c) => write!(f, "\\u{{{:x}}}", u32::from(c)),
            _ => f.write_char(c),
        })
    }
}

/// Characters of Unicode's categories Cf, Zl and Zp that reorder, hide or
/// break text (Unicode Standard Annex 9, and the tag characters).
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Limit of an error text in bytes: a registry's message can have any length.
pub const MAX_ERROR_TEXT: usize = 2048;

/// Truncates a text to [`MAX_ERROR_TEXT`] bytes, as [`truncate`] does.
#[must_use]
pub fn truncate_message(text: &str) -> String {
    truncate(text, MAX_ERROR_TEXT)
}

/// Truncates a text to `max` bytes at a character boundary, and appends its full length.
#[must_use]
pub fn truncate(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = (0..=max).rev().find(|at| text.is_char_boundary(*at));
    let kept = &text[..end.unwrap_or(0)];
    format!("{kept}… ({} bytes in all)", text.len())
}

/// Truncates, escapes and quotes a text for an error.
#[must_use]
pub fn quote(text: &str) -> String {
    format!("\"{}\"", Escaped(&truncate_message(text)))
}

/// Writes JSON without insignificant spaces. Everything beyond ASCII is escaped as
/// `\uXXXX`, so that the output is printable ASCII.
///
/// # Errors
/// If writing fails, or if the value has no form in JSON.
pub fn write_json(to: impl io::Write, value: &impl Serialize) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(to, Ascii))
}

/// [`write_json`] to a string. Maps must have strings as keys.
#[must_use]
pub fn to_json(value: &impl Serialize) -> String {
    let mut json = Vec::with_capacity(1024);
    // Writing to memory succeeds, and yields ASCII.
    match write_json(&mut json, value) {
        Ok(()) => String::from_utf8(json).unwrap_or_default(),
        Err(_) => String::new(),
    }
}

/// Percent-encodes all bytes but letters, digits and `kept` (RFC 3986, section 2.1).
#[must_use]
pub fn percent_encode(text: &str, kept: &[u8]) -> String {
    let encode = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() || kept.contains(&byte) => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: io::Write + ?Sized>(
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
