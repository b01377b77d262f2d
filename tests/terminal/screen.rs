//! A pseudo-terminal and an emulator of its screen.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Where the program's stdout goes; stderr always goes to the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdout {
    Terminal,
    /// By `cat` to the same terminal.
    Cat,
    File,
}

/// What is on a terminal after a run.
pub struct Screen {
    pub status: Option<i32>,
    /// Every line, also those above the top; a wrapped line is one.
    pub lines: Vec<String>,
    /// Everything the terminal received.
    pub received: String,
    size: Size,
}

/// Columns and rows.
pub type Size = (u16, u16);

/// Runs a command on a terminal, to its end. `type_after` is text that is on the terminal
/// before keys are typed, and the keys.
pub fn run(
    command: &Command,
    size: Size,
    stdout: Stdout,
    type_after: Option<(&str, &str)>,
) -> Screen {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).expect("a terminal");
    unlockpt(&terminal).expect("a terminal");
    let (columns, rows) = size;
    let winsize = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&terminal, winsize).expect("a terminal");
    let name = ptsname(&terminal, Vec::new()).expect("a name");
    let name = name.to_str().expect("UTF-8");
    let open = || {
        // It must not become the controlling terminal of this process.
        let noctty = OpenptFlags::NOCTTY.bits().cast_signed();
        let mut options = File::options();
        options.read(true).write(true).custom_flags(noctty);
        options.open(name).expect("the other side")
    };
    // It is the controlling terminal of the command, so that ^C is a signal.
    let script = match stdout {
        Stdout::Cat => "\"$@\" | cat; exit ${PIPESTATUS[0]}",
        Stdout::Terminal | Stdout::File => "\"$@\"",
    };
    let mut shell = Command::new("setsid");
    shell.args(["-c", "-w", "bash", "-c", script, "bash"]);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    if command.get_envs().all(|(name, _)| name != "TERM") {
        shell.env("TERM", "xterm");
    }
    shell.stdin(open()).stderr(open());
    shell.stdout(match stdout {
        Stdout::File => Stdio::null(),
        Stdout::Cat | Stdout::Terminal => open().into(),
    });
    let mut child = shell.spawn().expect("the binary");
    // `shell` keeps the other side open, so that reading would not end.
    drop(shell);
    let mut terminal = File::from(terminal);
    let mut parser = vt100::Parser::new(rows, columns, 10_000);
    let (mut received, mut buffer, mut keys) = (Vec::new(), [0; 65536], type_after);
    // Linux reports EIO once the other side is closed.
    while let Ok(count @ 1..) = terminal.read(&mut buffer) {
        received.extend_from_slice(&buffer[..count]);
        parser.process(&buffer[..count]);
        let shown = parser.screen().contents();
        // ^C makes the terminal discard what was not read (termios(3), NOFLSH), which could be
        // the rest of a frame.
        let is_whole = received.ends_with(b"\r");
        let is_shown = |(text, _): &mut (&str, _)| {
            // A prompt is the last thing on the terminal.
            is_whole && shown.contains(*text) || received.ends_with(text.as_bytes())
        };
        if let Some((_, typed)) = keys.take_if(is_shown) {
            terminal.write_all(typed.as_bytes()).expect("a terminal");
        }
    }
    Screen {
        status: child.wait().expect("an exit status").code(),
        lines: lines(&mut parser, rows, columns),
        received: String::from_utf8_lossy(&received).into_owned(),
        size,
    }
}

/// All lines of a terminal, from the first that scrolled off.
fn lines(parser: &mut vt100::Parser, rows: u16, columns: u16) -> Vec<String> {
    let screen = parser.screen_mut();
    screen.set_scrollback(usize::MAX);
    let mut above = screen.scrollback();
    let (mut lines, mut wrapped) = (Vec::<String>::new(), false);
    loop {
        // The part that is not seen again at the next offset.
        let height = if above == 0 {
            usize::from(rows)
        } else {
            above.min(rows.into())
        };
        for (row, at) in screen.rows(0, columns).zip(0..rows).take(height) {
            match lines.last_mut() {
                Some(line) if wrapped => line.push_str(&row),
                _ => lines.push(row),
            }
            wrapped = screen.row_wrapped(at);
        }
        if above == 0 {
            return lines;
        }
        above -= height;
        screen.set_scrollback(above);
    }
}

impl Screen {
    /// Asserts that no row of progress is left, and that nothing stands beside a line.
    #[track_caller]
    pub fn assert_no_stale_rows(&self) {
        self.assert_no_erasure_from_the_top_left_corner();
        let activities = [
            "starting ",
            "fetching ",
            "checking ",
            "verifying ",
            "storing ",
            "resolving ",
        ];
        let stale = self.lines.iter().filter(|line| {
            line.contains(['█', '░'])
                || activities.iter().any(|activity| line.starts_with(activity))
        });
        assert_eq!(stale.collect::<Vec<_>>(), [""; 0], "{:#?}", self.lines);
    }

    /// Asserts what keeps rows out of the scrollback of tmux, whose `scroll-on-clear` moves the
    /// screen there at such an erasure.
    #[track_caller]
    fn assert_no_erasure_from_the_top_left_corner(&self) {
        let mut parser = vt100::Parser::new(self.size.1, self.size.0, 0);
        for part in self.received.split_inclusive("\u{1b}[J") {
            let before = part.trim_end_matches("\u{1b}[J");
            parser.process(before.as_bytes());
            let is_erasure = before.len() < part.len();
            let is_home = parser.screen().cursor_position() == (0, 0);
            assert!(!is_erasure || !is_home, "{part:?}");
            parser.process(&part.as_bytes()[before.len()..]);
        }
    }

    /// How often a line is on the terminal.
    pub fn count(&self, line: &str) -> usize {
        self.lines.iter().filter(|shown| *shown == line).count()
    }
}
