//! Which replies a host understands.

use std::path::Path;

use crate::os::read_config_file;

/// The first version of osbuild that reads the reply of `download`. Earlier ones take
/// every reply for a success.
const STRUCTURED_SINCE: u32 = 186;

/// How a failure is reported to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ReplyFormat {
    /// A result for each item, which hosts before v186 ignore.
    Structured,
    /// An exception.
    Exception,
}

impl ReplyFormat {
    /// The format for the host that started this process. `python_path` is the host's
    /// `PYTHONPATH`: the directory of its `osbuild` package.
    #[must_use]
    pub fn of_host(python_path: Option<&Path>) -> Self {
        match python_path.and_then(version) {
            Some(version) if version >= STRUCTURED_SINCE => Self::Structured,
            // Every host understands an exception.
            _ => Self::Exception,
        }
    }
}

/// The version in `osbuild/__init__.py`: `__version__ = "190"`.
fn version(python_path: &Path) -> Option<u32> {
    let text = read_config_file(&python_path.join("osbuild/__init__.py")).ok()?;
    str::from_utf8(&text).ok()?.lines().find_map(parse_version)
}

fn parse_version(line: &str) -> Option<u32> {
    let value = line
        .strip_prefix("__version__")?
        .trim_start()
        .strip_prefix('=')?
        .trim();
    let unquote = |quote: char| value.strip_prefix(quote)?.split(quote).next();
    let version = unquote('"').or_else(|| unquote('\''))?;
    version.split('.').next()?.parse().ok()
}
