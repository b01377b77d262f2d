//! Text that nobody vouches for, made fit for a terminal, a log line, a reply.

use std::fmt;
use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Shows a text with everything escaped that could do more than be read:
/// control characters (ANSI escapes start with one), invisible and
/// bidirectional format characters, line and paragraph separators.
///
/// The escapes are Rust's (`\u{1b}`, `\n`); a backslash becomes two, so that
/// an escape can be told from a text that spells one.
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

/// The most of an error text that is kept, in bytes: a registry writes as much
/// as it likes.
pub const MAX_ERROR_TEXT: usize = 2048;

/// Cuts a text to [`MAX_ERROR_TEXT`] bytes at a character's border, and says so.
#[must_use]
pub fn truncate_message(text: &str) -> String {
    truncate(text, MAX_ERROR_TEXT)
}

/// Cuts a text to `max` bytes at a character's border, and says so.
#[must_use]
pub fn truncate(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = (0..=max).rev().find(|at| text.is_char_boundary(*at));
    let kept = &text[..end.unwrap_or(0)];
    format!("{kept}… ({} bytes in all)", text.len())
}

/// Replaces what stands between `://` and `@` within one address: credentials
/// of a proxy or registry, which must not reach a log or an error.
#[must_use]
pub fn redact_credentials(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + "://".len());
        clean.push_str(before);
        let authority = after
            .find(|c: char| c == '/' || c == '?' || c == '#' || c == '"' || c.is_whitespace())
            .unwrap_or(after.len());
        rest = match after[..authority].rfind('@') {
            // `docker://name@sha256:…` names a digest, not a user.
            Some(end) if !after[end..].starts_with("@sha256:") => {
                clean.push_str("***");
                &after[end..]
            }
            _ => after,
        };
    }
    clean.push_str(rest);
    clean
}

/// The field of a JSON object or a key, shortened and quoted for an error.
#[must_use]
pub fn quote(text: &str) -> String {
    format!("\"{}\"", Escaped(&truncate_message(text)))
}

/// Writes JSON without insignificant spaces, everything beyond ASCII as
/// `\uXXXX`, so that no character of it does more than be read.
///
/// # Errors
/// Those of writing, and of a value that is not JSON.
pub fn write_json(to: impl io::Write, value: &impl Serialize) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(to, Ascii))
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
