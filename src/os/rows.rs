//! Rows that are drawn below the lines of a terminal.

use std::os::fd::BorrowedFd;

/// Rows below the lines of a terminal.
pub trait Rows: Send + Sync {
    /// The rows for a terminal of this size, none of them wider than it.
    fn rows(&self, columns: usize, lines: usize) -> Vec<String>;
}

/// Erases the rows: the first line, then the others from its second column. tmux takes an
/// erasure from the top left corner for one of the whole screen, and keeps what it erases in
/// its scrollback.
pub(super) const ERASE: &[u8] = b"\r\x1b[K\x1b[C\x1b[J\r";

/// The rows, and the cursor back at the first.
pub(super) fn frame(fd: BorrowedFd<'_>, rows: &dyn Rows) -> Vec<u8> {
    let size = rustix::termios::tcgetwinsize(fd).ok();
    // A terminal that doesn't say has the size of a VT100.
    let size = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
    let (columns, lines) = size.map_or((80, 24), |size| (size.ws_col, size.ws_row));
    let rows = rows.rows(columns.into(), lines.into());
    let mut frame = rows.join("\r\n").into_bytes();
    if rows.len() > 1 {
        frame.extend(format!("\x1b[{}A", rows.len() - 1).bytes());
    }
    frame.push(b'\r');
    frame
}
