//! Text once its escapes are decoded, and where each part of it comes from.

use std::ops::Range;

use crate::escape::{parse_hex, unescape};

/// Names of ASCII characters in HTML ("Named character references"). Numbers stand for any.
const ENTITIES: [(&str, u8); 37] = [
    ("Tab;", b'\t'),
    ("NewLine;", b'\n'),
    ("excl;", b'!'),
    ("quot;", b'"'),
    ("num;", b'#'),
    ("dollar;", b'$'),
    ("percnt;", b'%'),
    ("amp;", b'&'),
    ("apos;", b'\''),
    ("lpar;", b'('),
    ("rpar;", b')'),
    ("ast;", b'*'),
    ("plus;", b'+'),
    ("comma;", b','),
    ("hyphen;", b'-'),
    ("period;", b'.'),
    ("sol;", b'/'),
    ("colon;", b':'),
    ("semi;", b';'),
    ("lt;", b'<'),
    ("equals;", b'='),
    ("gt;", b'>'),
    ("quest;", b'?'),
    ("commat;", b'@'),
    ("lsqb;", b'['),
    ("lbrack;", b'['),
    ("bsol;", b'\\'),
    ("rsqb;", b']'),
    ("rbrack;", b']'),
    ("Hat;", b'^'),
    ("lowbar;", b'_'),
    ("grave;", b'`'),
    ("lcub;", b'{'),
    ("lbrace;", b'{'),
    ("vert;", b'|'),
    ("rcub;", b'}'),
    ("rbrace;", b'}'),
];

/// A kind of escapes. What one takes for an escape may be text in another: each is decoded
/// alone.
#[derive(Clone, Copy)]
pub(super) enum EscapeKind {
    /// Of Go and of JSON.
    Backslash,
    /// Of URLs.
    Percent,
    /// Of HTML.
    Entity,
}

/// A text from which levels of escapes were removed.
pub(super) struct Decoded {
    text: String,
    /// For each byte of the text, and for its end, where its escape starts in the text with
    /// all escapes.
    starts: Vec<usize>,
}

impl Decoded {
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            starts: (0..=text.len()).collect(),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The range in the text with all escapes.
    pub(super) fn origin(&self, range: Range<usize>) -> Range<usize> {
        self.starts[range.start]..self.starts[range.end]
    }

    /// The text without the outermost level of escapes of a kind; `None` where it has none.
    pub(super) fn decode(&self, kind: EscapeKind) -> Option<Self> {
        let (mut bytes, mut starts) = (Vec::new(), Vec::new());
        let mut rest = self.text.as_str();
        while !rest.is_empty() {
            let start = self.starts[self.text.len() - rest.len()];
            rest = kind.decode_first(rest, &mut bytes);
            starts.resize(bytes.len(), start);
        }
        if bytes == self.text.as_bytes() {
            return None;
        }
        starts.extend(self.starts.last());
        Some(Self::of_bytes(&bytes, &starts))
    }

    /// Each byte that is not UTF-8 becomes a character, as Go prints it.
    fn of_bytes(bytes: &[u8], starts: &[usize]) -> Self {
        let mut decoded = Self {
            text: String::with_capacity(bytes.len()),
            starts: Vec::with_capacity(starts.len()),
        };
        let mut at = 0;
        for chunk in bytes.utf8_chunks() {
            decoded.text.push_str(chunk.valid());
            let end = at + chunk.valid().len();
            decoded.starts.extend(&starts[at..end]);
            at = end + chunk.invalid().len();
            for start in &starts[end..at] {
                decoded.text.push(char::REPLACEMENT_CHARACTER);
                decoded.starts.resize(decoded.text.len(), *start);
            }
        }
        decoded.starts.extend(starts.last());
        decoded
    }
}

impl EscapeKind {
    pub(super) const ALL: [Self; 3] = [Self::Backslash, Self::Percent, Self::Entity];

    /// Decodes the first character or escape of a text, and returns the rest.
    fn decode_first<'t>(self, text: &'t str, bytes: &mut Vec<u8>) -> &'t str {
        let mut chars = text.chars();
        let decoded = match (self, chars.next()) {
            (Self::Backslash, Some('\\')) => {
                unescape(&mut chars, bytes);
                Some(chars.as_str())
            }
            (Self::Percent, Some('%')) => decode_percent(chars.as_str(), bytes),
            (Self::Entity, Some('&')) => decode_entity(chars.as_str(), bytes),
            _ => None,
        };
        decoded.unwrap_or_else(|| {
            let rest = chars.as_str();
            bytes.extend_from_slice(&text.as_bytes()[..text.len() - rest.len()]);
            rest
        })
    }
}

/// Decodes a byte in a URL (RFC 3986, section 2.1), after its `%`.
pub(super) fn decode_percent<'t>(text: &'t str, bytes: &mut Vec<u8>) -> Option<&'t str> {
    let (value, rest) = parse_hex(text, 2)?;
    bytes.push(u8::try_from(value).ok()?);
    Some(rest)
}

/// Decodes a character reference of HTML, after its `&`: a number or one of [`ENTITIES`].
fn decode_entity<'t>(text: &'t str, bytes: &mut Vec<u8>) -> Option<&'t str> {
    if let Some(number) = text.strip_prefix('#') {
        let hex = number.strip_prefix(['x', 'X']);
        let (number, radix) = hex.map_or((number, 10), |hex| (hex, 16));
        let rest = number.trim_start_matches(|c: char| c.is_digit(radix));
        let digits = &number[..number.len() - rest.len()];
        let c = char::from_u32(u32::from_str_radix(digits, radix).ok()?)?;
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        // Readers take a number without its semicolon, too.
        return Some(rest.strip_prefix(';').unwrap_or(rest));
    }
    let (entity, byte) = ENTITIES
        .iter()
        .find(|(entity, _)| text.starts_with(entity))?;
    bytes.push(*byte);
    Some(&text[entity.len()..])
}
