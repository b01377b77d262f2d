//! `audit::line`: a log's lines, in bounded memory.

use std::io::{self, Read};

use skopeo_index_core::audit::{
    LineReader, LogLine, LongLine, MAX_RECORD_LEN, TornLine, leaf_hash,
};

#[test]
fn line_reader_returns_lines_of_every_length_and_the_torn_line() {
    let longest = vec![b'x'; MAX_RECORD_LEN];
    let too_long = [&longest[..], b"yz"].concat();
    let log = [
        &b"\na\n"[..],
        &longest,
        b"\n",
        &too_long,
        b"\nb\n",
        &longest,
    ]
    .concat();
    let mut found = Vec::new();
    let mut lines = LineReader::new(io::BufReader::with_capacity(7, &log[..]));
    while let Some(line) = lines.next_line().expect("memory can be read") {
        found.push(match line {
            LogLine::Line(line) => ("line", leaf_hash(line)),
            LogLine::TooLong(line) => {
                assert_eq!(line.torn, TornLine::of(&too_long));
                ("too long", line.leaf_hash)
            }
            LogLine::Torn(torn) => ("torn", leaf_hash(torn)),
            LogLine::TornTooLong(line) => ("torn and too long", line.leaf_hash),
        });
    }
    let expected = [
        ("line", leaf_hash(b"")),
        ("line", leaf_hash(b"a")),
        ("line", leaf_hash(&longest)),
        ("too long", leaf_hash(&too_long)),
        ("line", leaf_hash(b"b")),
        ("torn", leaf_hash(&longest)),
    ];
    assert_eq!(found, expected);
}

/// Is interrupted by a signal before each read.
struct Interrupted<R>(R, bool);

impl<R: Read> Read for Interrupted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        match self.1 {
            true => Err(io::ErrorKind::Interrupted.into()),
            false => self.0.read(into),
        }
    }
}

#[test]
fn line_longer_than_any_record_is_read_on_after_a_signal() {
    let log = [&vec![b'x'; 2 * MAX_RECORD_LEN][..], b"\na\n"].concat();
    let interrupted = Interrupted(&log[..], false);
    let mut lines = LineReader::new(io::BufReader::with_capacity(1 << 10, interrupted));
    let line = lines.next_line().expect("a line");
    let torn = TornLine::of(&log[..2 * MAX_RECORD_LEN]);
    assert!(matches!(line, Some(LogLine::TooLong(line)) if line.torn == torn));
    let next = lines.next_line().expect("a line");
    assert_eq!(next, Some(LogLine::Line(b"a")));
}

#[test]
fn torn_line_longer_than_any_record_is_hashed() {
    let log = vec![b'x'; MAX_RECORD_LEN + 1];
    let mut lines = LineReader::new(&log[..]);
    let too_long = Some(LogLine::TornTooLong(LongLine {
        leaf_hash: leaf_hash(&log),
        torn: TornLine::of(&log),
    }));
    assert_eq!(lines.next_line().expect("memory can be read"), too_long);
    assert_eq!(lines.next_line().expect("memory can be read"), None);
}
