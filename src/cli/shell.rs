//! Commands as a shell reads them.

use std::ffi::OsStr;

/// A command line that a shell reads back as these words.
pub(super) fn command_line<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>) -> String {
    let words = words.into_iter().map(|word| quote(word.as_ref()));
    words.collect::<Vec<_>>().join(" ")
}

/// A word: bare, or as `'…'`, or as `$'…'` (POSIX 2024) where it has characters other
/// than printable ASCII.
pub(super) fn quote(word: &OsStr) -> String {
    let word = word.as_encoded_bytes();
    let bare = |b: &u8| b.is_ascii_alphanumeric() || b"%+,-./:=@_".contains(b);
    let printable = |b: &u8| matches!(b, b' '..=b'~');
    if !word.is_empty() && word.iter().all(bare) {
        return word.iter().copied().map(char::from).collect();
    }
    let escape = |b: &u8| match b {
        b'\\' | b'\'' => format!("\\{}", char::from(*b)),
        b if printable(b) => char::from(*b).to_string(),
        b => format!("\\{b:03o}"),
    };
    if word.iter().all(printable) && !word.contains(&b'\'') {
        let word: String = word.iter().copied().map(char::from).collect();
        return format!("'{word}'");
    }
    format!("$'{}'", word.iter().map(escape).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_command_line_is_read_back_by_bash() {
        let words = [
            "plain",
            "",
            "a b",
            "it's",
            "$(x)`y`\\",
            "[overlay@/x]",
            "ä\u{1b}\n1",
            "~",
        ];
        let line = command_line(["printf", "%s|"].iter().chain(&words));
        assert!(line.bytes().all(|b| matches!(b, b' '..=b'~')), "{line}");
        let shell = std::process::Command::new("bash")
            .args(["-c", &line])
            .output();
        let printed = shell.map(|output| output.stdout).unwrap_or_default();
        assert_eq!(
            String::from_utf8_lossy(&printed),
            words.map(|word| format!("{word}|")).concat()
        );
    }
}
