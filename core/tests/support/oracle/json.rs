//! A second JSON parser (RFC 8259), slow and plain: it keeps every member, and numbers as text.

#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    /// A string with a lone surrogate escape, which is not Unicode; its UTF-16 code units.
    NotUnicode(Vec<u16>),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

use Json::{Array, Bool, NotUnicode, Null, Number, Object, Text};

/// Parses a whole document; `None` also for a key that is not Unicode.
pub fn read(bytes: &[u8]) -> Option<Json> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (json, rest) = value(skip_space(text), 0)?;
    skip_space(rest).is_empty().then_some(json)
}

/// Deeper than any document of a test, and within the stack.
const DEPTH_MAX: u32 = 500;

fn skip_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}

fn value(text: &str, depth: u32) -> Option<(Json, &str)> {
    let (list, end) = match text.chars().next()? {
        _ if depth > DEPTH_MAX => return None,
        '"' => return string(text),
        '-' | '0'..='9' => return number(text),
        'n' => return Some((Null, text.strip_prefix("null")?)),
        't' => return Some((Bool(true), text.strip_prefix("true")?)),
        'f' => return Some((Bool(false), text.strip_prefix("false")?)),
        '[' => (true, ']'),
        '{' => (false, '}'),
        _ => return None,
    };
    let (mut items, mut members) = (Vec::new(), Vec::new());
    let mut rest = skip_space(&text[1..]);
    if !rest.starts_with(end) {
        loop {
            if list {
                let (item, after) = value(rest, depth + 1)?;
                items.push(item);
                rest = skip_space(after);
            } else {
                let (Text(key), after) = string(rest)? else {
                    return None;
                };
                let (item, after) =
                    value(skip_space(skip_space(after).strip_prefix(':')?), depth + 1)?;
                members.push((key, item));
                rest = skip_space(after);
            }
            match rest.strip_prefix(',') {
                Some(after) => rest = skip_space(after),
                None => break,
            }
        }
    }
    let rest = rest.strip_prefix(end)?;
    Some((if list { Array(items) } else { Object(members) }, rest))
}

fn number(text: &str) -> Option<(Json, &str)> {
    let digits =
        |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let mut at = usize::from(text.starts_with('-'));
    let whole = digits(&text[at..]);
    if whole == 0 || whole > 1 && text[at..].starts_with('0') {
        return None;
    }
    at += whole;
    if text[at..].starts_with('.') {
        let fraction = digits(&text[at + 1..]);
        at += 1 + Some(fraction).filter(|n| *n > 0)?;
    }
    if text[at..].starts_with(['e', 'E']) {
        let sign = usize::from(text[at + 1..].starts_with(['+', '-']));
        let exponent = digits(&text[at + 1 + sign..]);
        at += 1 + sign + Some(exponent).filter(|n| *n > 0)?;
    }
    Some((Number(text[..at].to_owned()), &text[at..]))
}

fn string(text: &str) -> Option<(Json, &str)> {
    let (mut units, mut chars) = (Vec::new(), text.strip_prefix('"')?.chars());
    let mut unit = [0; 2];
    loop {
        let c = match chars.next()? {
            '"' => {
                let read = String::from_utf16(&units).map_or(NotUnicode(units), Text);
                return Some((read, chars.as_str()));
            }
            c if c < ' ' => return None,
            '\\' => match chars.next()? {
                c @ ('"' | '\\' | '/') => c,
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let hex = chars.as_str().get(..4)?;
                    let hexadecimal = hex.bytes().all(|b| b.is_ascii_hexdigit());
                    units.push(u16::from_str_radix(hex, 16).ok().filter(|_| hexadecimal)?);
                    chars = chars.as_str()[4..].chars();
                    continue;
                }
                _ => return None,
            },
            c => c,
        };
        units.extend_from_slice(c.encode_utf16(&mut unit));
    }
}

impl Json {
    pub fn member(&self, wanted: &str) -> Option<&Self> {
        let Object(members) = self else { return None };
        members
            .iter()
            .find(|(key, _)| key == wanted)
            .map(|(_, value)| value)
    }

    fn children(&self) -> Vec<&Self> {
        match self {
            Array(items) => items.iter().collect(),
            Object(members) => members.iter().map(|(_, value)| value).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether an object at any depth has two equal keys.
    pub fn has_duplicate_key(&self) -> bool {
        let keys: Vec<_> = match self {
            Object(members) => members.iter().map(|(key, _)| key).collect(),
            _ => Vec::new(),
        };
        (0..keys.len()).any(|a| (0..a).any(|b| keys[a] == keys[b]))
            || self
                .children()
                .iter()
                .any(|child| child.has_duplicate_key())
    }

    /// Number of nested arrays and objects.
    pub fn depth(&self) -> usize {
        let within = self.children().iter().map(|child| child.depth()).max();
        within.unwrap_or(0) + usize::from(matches!(self, Array(_) | Object(_)))
    }

    /// Whether a number at any depth is larger than any double.
    pub fn has_number_beyond_double(&self) -> bool {
        matches!(self, Number(digits) if digits.parse::<f64>().is_ok_and(f64::is_infinite))
            || self
                .children()
                .iter()
                .any(|child| child.has_number_beyond_double())
    }

    /// Number of objects at any depth, this one included.
    pub fn objects(&self) -> usize {
        let within: usize = self.children().iter().map(|child| child.objects()).sum();
        within + usize::from(matches!(self, Object(_)))
    }

    /// Duplicates the last member of the `n`th object; false if it has none.
    pub fn duplicate_key_in(&mut self, n: usize) -> bool {
        fn visit(json: &mut Json, left: &mut usize) -> Option<bool> {
            if let Object(members) = json {
                if *left == 0 {
                    let last = members.last().cloned();
                    let repeated = last.is_some();
                    members.splice(0..0, last);
                    return Some(repeated);
                }
                *left -= 1;
                return members.iter_mut().find_map(|(_, value)| visit(value, left));
            }
            match json {
                Array(items) => items.iter_mut().find_map(|item| visit(item, left)),
                _ => None,
            }
        }
        visit(self, &mut { n }).unwrap_or(false)
    }

    /// The document as text, with spaces and escapes at random.
    pub fn to_text(&self, seed: u64) -> String {
        let (mut text, mut state) = (String::new(), seed | 1);
        let mut random = move || {
            // xorshift64: any bits will do.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % 16
        };
        self.write(&mut text, &mut random);
        text
    }

    fn write(&self, to: &mut String, random: &mut dyn FnMut() -> u64) {
        to.push_str(
            ["", "", "", " ", "\n", "\t\r"]
                .get(random() as usize)
                .unwrap_or(&""),
        );
        match self {
            Null => to.push_str("null"),
            Bool(value) => to.push_str(if *value { "true" } else { "false" }),
            Number(digits) => to.push_str(digits),
            Text(text) => write_text(text, to, random),
            NotUnicode(units) => {
                to.push('"');
                for unit in units {
                    to.push_str(&format!("\\u{unit:04x}"));
                }
                to.push('"');
            }
            Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    to.push(if at == 0 { '[' } else { ',' });
                    item.write(to, random);
                }
                to.push_str(if items.is_empty() { "[]" } else { "]" });
            }
            Object(members) => {
                for (at, (key, value)) in members.iter().enumerate() {
                    to.push(if at == 0 { '{' } else { ',' });
                    write_text(key, to, random);
                    to.push(':');
                    value.write(to, random);
                }
                to.push_str(if members.is_empty() { "{}" } else { "}" });
            }
        }
    }
}

fn write_text(text: &str, to: &mut String, random: &mut dyn FnMut() -> u64) {
    to.push('"');
    for unit in text.chars() {
        if random() == 0 || unit < ' ' || matches!(unit, '"' | '\\') {
            for unit in unit.encode_utf16(&mut [0; 2]) {
                to.push_str(&format!("\\u{unit:04X}"));
            }
        } else {
            to.push(unit);
        }
    }
    to.push('"');
}
