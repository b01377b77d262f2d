//! Commands as a shell reads them.

use std::ffi::OsStr;

/// A command line that a shell reads back as these words.
pub(super) fn command_line<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>) -> String {
    let words = words.into_iter().map(|word| quote(word.as_ref()));
    words.collect::<Vec<_>>().join(" ")
}

/// A word: bare; or as `'…'`, with `'\''` for `'`; or as `$'…'` (POSIX 2024) where it has
/// characters other than printable ASCII.
pub(super) fn quote(word: &OsStr) -> String {
    let word = word.as_encoded_bytes();
    let bare = |b: &u8| b.is_ascii_alphanumeric() || b"%+,-./:=@_".contains(b);
    let printable = |b: &u8| matches!(b, b' '..=b'~');
    if !word.is_empty() && word.iter().all(bare) {
        return word.iter().copied().map(char::from).collect();
    }
    if word.iter().all(printable) {
        let word: String = word.iter().copied().map(char::from).collect();
        return format!("'{}'", word.replace('\'', "'\\''"));
    }
    let escape = |b: &u8| match b {
        b'\\' | b'\'' => format!("\\{}", char::from(*b)),
        b if printable(b) => char::from(*b).to_string(),
        b => format!("\\{b:03o}"),
    };
    format!("$'{}'", word.iter().map(escape).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a shell prints of words, each with a `|` after it.
    fn printed_by(shell: &str, words: &[&str]) -> String {
        let line = command_line(["printf", "%s|"].iter().chain(words));
        assert!(line.bytes().all(|b| matches!(b, b' '..=b'~')), "{line}");
        let shell = std::process::Command::new(shell)
            .args(["-c", &line])
            .output();
        let printed = shell.map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&printed).into_owned()
    }

    #[test]
    fn quoted_command_line_is_read_back_by_a_shell() {
        let text = [
            "plain",
            "",
            "a b",
            "it's",
            "''",
            "$(x)`y`\\",
            "[overlay@/x]",
            "~",
        ];
        let binary = ["\u{e4}\u{1b}\n1", "it's\t"];
        for (shell, words) in [("sh", &text[..]), ("bash", &text), ("bash", &binary)] {
            let expected: String = words.iter().map(|word| format!("{word}|")).collect();
            assert_eq!(printed_by(shell, words), expected, "{shell}");
        }
    }
}
