//! Secrets that are typed on the terminal.

use std::fs::File;
use std::io::{self, ErrorKind, Write};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::file::is_readable;
use super::{CancelToken, best_effort};

/// Longest line of a terminal (termios(3), canonical mode).
const MAX_LINE: usize = 4096;

/// Asks for a line on the controlling terminal, which doesn't show it.
///
/// # Errors
/// Where the process has no terminal, reading it fails, or the wait is cancelled.
pub fn prompt_secret(prompt: &str, cancel: &CancelToken) -> io::Result<String> {
    let mut terminal = File::options().read(true).write(true).open("/dev/tty")?;
    let shown = tcgetattr(&terminal)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&terminal, OptionalActions::Flush, &hidden)?;
    let line = write!(terminal, "{prompt}").and_then(|()| read_line(&terminal, cancel));
    tcsetattr(&terminal, OptionalActions::Flush, &shown)?;
    // The newline that was typed was not shown, either.
    best_effort(writeln!(terminal));
    line
}

/// Reads the line of one read(2), without its newline.
fn read_line(terminal: &File, cancel: &CancelToken) -> io::Result<String> {
    let mut buffer = [0; MAX_LINE];
    while !is_readable(terminal, Some(cancel))? {
        if let Some(reason) = cancel.cancelled() {
            return Err(io::Error::new(ErrorKind::Interrupted, reason.to_string()));
        }
    }
    let count = rustix::io::read(terminal, &mut buffer)?;
    let line = str::from_utf8(&buffer[..count]).map_err(io::Error::other)?;
    Ok(line.strip_suffix('\n').unwrap_or(line).to_owned())
}
