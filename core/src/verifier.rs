//! Verifiers: programs of the operator's choice, each of which approves verified bytes by
//! exiting with 0.

use std::ffi::{OsStr, OsString};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::escape::{quote, truncate_message};
use crate::request::{MAX_NAME_LEN, Request};

/// Maximum number of verifiers of a run.
pub const MAX_VERIFIERS: usize = 8;

/// Maximum length of a command in bytes, all words together: a record holds the commands of
/// a run.
pub const MAX_COMMAND_LEN: usize = 4096;

/// What a message says of a verifier that printed nothing.
pub const NO_OUTPUT: &str = "no output";

/// Stands for the path of a file with the verified bytes.
const FILE: &str = "{file}";

/// The verifiers of a run, in their order. At most [`MAX_VERIFIERS`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<VerifierCommand>")]
pub struct Verifiers(Vec<VerifierCommand>);

/// The command line of a verifier: a program, and arguments with placeholders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct VerifierCommand(Vec<String>);

/// Why words are not the command of a verifier, or commands not those of a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifierError {
    /// The program is missing.
    #[error("no program: expected COMMAND [ARGUMENT…]")]
    NoProgram,
    /// The program depends on what is fetched.
    #[error("placeholder {} in the program: only arguments may have placeholders", quote(.0))]
    ProgramPlaceholder(String),
    /// A word has a placeholder that does not exist.
    #[error("unknown placeholder {}: expected {{name}}, {{digest}}, {{reference}} or {FILE}", quote(.0))]
    UnknownPlaceholder(String),
    /// The command is too long.
    #[error("longer than {MAX_COMMAND_LEN} bytes")]
    TooLong,
    /// There are too many commands.
    #[error("more than {MAX_VERIFIERS} verifiers")]
    TooMany,
}

impl Verifiers {
    /// Each of them.
    #[must_use]
    pub fn as_slice(&self) -> &[VerifierCommand] {
        &self.0
    }

    /// The verifier at a position, from 0.
    #[must_use]
    pub fn get(&self, position: u8) -> Option<&VerifierCommand> {
        self.0.get(usize::from(position))
    }

    /// Their number.
    #[must_use]
    pub fn count(&self) -> u8 {
        u8::try_from(self.0.len()).unwrap_or(u8::MAX)
    }

    /// Whether the run has no verifiers.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<Vec<VerifierCommand>> for Verifiers {
    type Error = VerifierError;

    fn try_from(commands: Vec<VerifierCommand>) -> Result<Self, VerifierError> {
        if commands.len() > MAX_VERIFIERS {
            return Err(VerifierError::TooMany);
        }
        Ok(Self(commands))
    }
}

impl VerifierCommand {
    /// The program: a path, or a name on `PATH`.
    #[must_use]
    pub fn program(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// Its words, with placeholders.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.0
    }

    /// The arguments for a request, of whose verified bytes `file` has a copy.
    #[must_use]
    pub fn arguments(&self, request: &Request, file: &OsStr) -> Vec<OsString> {
        let name = request.name().without_tag();
        self.arguments_for(name, request.digest(), file)
    }

    /// The longest arguments that there are for any request, with a copy at `file`.
    #[must_use]
    pub fn longest_arguments(&self, file: &OsStr) -> Vec<OsString> {
        self.arguments_for(&"x".repeat(MAX_NAME_LEN), Digest::of(b""), file)
    }

    fn arguments_for(&self, name: &str, digest: Digest, file: &OsStr) -> Vec<OsString> {
        let value = |placeholder: &str| match placeholder {
            "{name}" => name.into(),
            "{digest}" => digest.to_string().into(),
            "{reference}" => format!("{name}@{digest}").into(),
            // The only other one.
            _ => file.to_owned(),
        };
        let arguments = self.0.iter().skip(1);
        arguments.map(|word| expand(word, value)).collect()
    }
}

impl TryFrom<Vec<String>> for VerifierCommand {
    type Error = VerifierError;

    fn try_from(words: Vec<String>) -> Result<Self, VerifierError> {
        let program = words.first().filter(|program| !program.is_empty());
        let program = program.ok_or(VerifierError::NoProgram)?;
        if let Some((_, placeholder, _)) = next_placeholder(program) {
            return Err(VerifierError::ProgramPlaceholder(placeholder.to_owned()));
        }
        if words.iter().map(String::len).sum::<usize>() > MAX_COMMAND_LEN {
            return Err(VerifierError::TooLong);
        }
        for word in &words {
            let mut rest = word.as_str();
            while let Some((_, placeholder, after)) = next_placeholder(rest) {
                if !["{name}", "{digest}", "{reference}", FILE].contains(&placeholder) {
                    return Err(VerifierError::UnknownPlaceholder(placeholder.to_owned()));
                }
                rest = after;
            }
        }
        Ok(Self(words))
    }
}

/// A message about a verifier: the name of its program, of which this is the recorded path,
/// and the end of what it printed or what happened.
#[must_use]
pub fn verifier_message(path: &str, text: &str) -> String {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    truncate_message(&format!("{name}: {text}"))
}

/// Replaces the placeholders of a word, once: what is inserted is not searched.
fn expand(word: &str, value: impl Fn(&str) -> OsString) -> OsString {
    let (mut expanded, mut rest) = (OsString::new(), word);
    while let Some((before, placeholder, after)) = next_placeholder(rest) {
        expanded.push(before);
        expanded.push(value(placeholder));
        rest = after;
    }
    expanded.push(rest);
    expanded
}

/// The next placeholder, lower-case letters in braces, and the text around it. Other braces
/// stand for themselves.
fn next_placeholder(word: &str) -> Option<(&str, &str, &str)> {
    word.match_indices('{').find_map(|(start, _)| {
        let inner = &word[start + 1..];
        let length = inner.bytes().take_while(u8::is_ascii_lowercase).count();
        let is_closed = length > 0 && inner[length..].starts_with('}');
        let end = start + 1 + length + 1;
        is_closed.then(|| (&word[..start], &word[start..end], &word[end..]))
    })
}
