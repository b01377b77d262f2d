//! Which replies a host understands.

use std::path::Path;

/// The first version of osbuild that looks at what `download` replies. Those
/// before take every reply for a success.
const STRUCTURED_SINCE: u32 = 186;

/// How a failure is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// In the reply: a result for each item.
    Structured,
    /// As an exception.
    Exception,
}

/// How a failure is to be told to the host that started this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// As somebody has set it.
    Set(Reply),
    /// As the host's version wants it.
    OfHost,
}

impl Era {
    /// How failures are told. `python_path` is the host's `PYTHONPATH`: the
    /// directory that holds its `osbuild` package.
    #[must_use]
    pub fn reply(self, python_path: Option<&Path>) -> Reply {
        match self {
            Self::Set(reply) => reply,
            Self::OfHost => match python_path.and_then(version) {
                Some(version) if version >= STRUCTURED_SINCE => Reply::Structured,
                // Every host takes an exception for a failure.
                _ => Reply::Exception,
            },
        }
    }
}

/// The version in `osbuild/__init__.py`: `__version__ = "190"`.
fn version(python_path: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(python_path.join("osbuild/__init__.py")).ok()?;
    text.lines().find_map(version_of_line)
}

fn version_of_line(line: &str) -> Option<u32> {
    let value = line
        .strip_prefix("__version__")?
        .trim_start()
        .strip_prefix('=')?
        .trim();
    let quoted = |quote: char| value.strip_prefix(quote)?.split(quote).next();
    let version = quoted('"').or_else(|| quoted('\''))?;
    version.split('.').next()?.parse().ok()
}
