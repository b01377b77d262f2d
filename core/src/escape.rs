//! Escaping and truncation of untrusted text. Redaction: [`crate::redact`].

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::Path;

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

/// Shows a path: [`Escaped`], with `\xNN` for each byte that is not UTF-8. Two paths never
/// look the same.
#[derive(Clone, Copy, Debug)]
pub struct EscapedPath<'a>(pub &'a Path);

impl fmt::Display for EscapedPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chunks = self.0.as_os_str().as_encoded_bytes().utf8_chunks();
        chunks.into_iter().try_for_each(|chunk| {
            Escaped(chunk.valid()).fmt(f)?;
            let mut invalid = chunk.invalid().iter();
            invalid.try_for_each(|byte| write!(f, "\\x{byte:02x}"))
        })
    }
}

/// A path, or another text of the system, in JSON and in records: as it is, or as
/// [`EscapedPath`] where it is not UTF-8.
#[must_use]
pub fn json_text(text: impl AsRef<OsStr>) -> String {
    let text = text.as_ref();
    let utf8 = text.to_str().map(str::to_owned);
    utf8.unwrap_or_else(|| EscapedPath(Path::new(text)).to_string())
}

/// Lines of text for people, of which parts may be untrusted: escaped as by [`Escaped`],
/// except for backslashes, tabs and line ends.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '\n' | '\t' => shown.push(c),
            _ => shown.push_str(&Escaped(c.encode_utf8(&mut [0; 4])).to_string()),
        }
    }
    shown
}

/// The text of bytes, with a replacement character for each byte that is not UTF-8, as Go
/// shows it.
pub(crate) fn decode_utf8(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        let invalid = chunk.invalid().iter();
        text.extend(invalid.map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// Decodes one escape of a Go string, after its backslash (The Go Programming Language
/// Specification, "Rune literals"): `\n`, `\"`, `\x1b`, `\u00e4`, `\U0001f600`. Those of JSON
/// (RFC 8259, section 7) are among them, with two of `\u` for a character beyond 16 bits.
pub(crate) fn unescape(chars: &mut std::str::Chars<'_>, bytes: &mut Vec<u8>) {
    let Some(c) = chars.next() else { return };
    let digits = match c {
        'a' => return bytes.push(0x07),
        'b' => return bytes.push(0x08),
        'f' => return bytes.push(0x0c),
        'n' => return bytes.push(b'\n'),
        'r' => return bytes.push(b'\r'),
        't' => return bytes.push(b'\t'),
        'v' => return bytes.push(0x0b),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        other => return push(other, bytes),
    };
    let Some((value, rest)) = parse_hex(chars.as_str(), digits) else {
        // An invalid escape is kept as text.
        bytes.push(b'\\');
        return push(c, bytes);
    };
    *chars = rest.chars();
    let second = rest.strip_prefix("\\u").and_then(|rest| parse_hex(rest, 4));
    let value = match second {
        Some((low @ 0xdc00..=0xdfff, rest)) if digits == 4 && (0xd800..0xdc00).contains(&value) => {
            *chars = rest.chars();
            0x10000 + ((value - 0xd800) << 10) + (low - 0xdc00)
        }
        _ => value,
    };
    match u8::try_from(value) {
        // `\x` is a byte, which need not be a whole character.
        Ok(byte) if digits == 2 => bytes.push(byte),
        _ => push(
            char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER),
            bytes,
        ),
    }
}

/// The value of so many hexadecimal digits at the start of a text, and the rest.
pub(crate) fn parse_hex(text: &str, digits: usize) -> Option<(u32, &str)> {
    let (number, rest) = text.split_at_checked(digits)?;
    let is_hex = number.bytes().all(|byte| byte.is_ascii_hexdigit());
    let value = u32::from_str_radix(number, 16).ok().filter(|_| is_hex)?;
    Some((value, rest))
}

fn push(c: char, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Whether a character hides, reorders or breaks text: Unicode's property
/// `Default_Ignorable_Code_Point`, and its categories Cf, Zl and Zp.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
        | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
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
    let kept = start_of(text, max);
    format!("{kept}… ({} bytes in all)", text.len())
}

/// The start of a text: at most `max` bytes, to a character boundary.
pub(crate) fn start_of(text: &str, max: usize) -> &str {
    let max = max.min(text.len());
    let end = (0..=max).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

/// Whether a text can be one that [`truncate_message`] returned.
pub(crate) fn is_truncated(text: &str) -> bool {
    let parse = || {
        let (kept, length) = text.rsplit_once("… (")?;
        let length: usize = length.strip_suffix(" bytes in all)")?.parse().ok()?;
        Some(kept.len() <= MAX_ERROR_TEXT && length > MAX_ERROR_TEXT)
    };
    text.len() <= MAX_ERROR_TEXT || parse() == Some(true)
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
