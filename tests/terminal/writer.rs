//! The line writer: what is dropped, what waits, and for how long.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::pipe::{PipeFlags, pipe_with};
use skopeo_index::os::{
    CancelToken, LineWriter, MAX_PROGRESS_QUEUE, MAX_QUEUE, NotWritten, Priority, WriteError,
};
use skopeo_index_core::machine::CancelReason;

const LINE: usize = 1024;

/// A writer to a pipe, and the pipe's other end.
fn writer(flags: PipeFlags) -> (LineWriter, OwnedFd) {
    let (reader, writer) = pipe_with(flags).expect("a pipe");
    let writer: &'static OwnedFd = Box::leak(Box::new(writer));
    let fd: BorrowedFd<'static> = writer.as_fd();
    (LineWriter::new(fd), reader)
}

fn line(first: char) -> Vec<u8> {
    format!("{first:x<width$}\n", width = LINE - 1).into_bytes()
}

#[test]
fn progress_is_dropped_first_then_messages_and_results_wait_until_cancelled() {
    let (writer, _reader) = writer(PipeFlags::CLOEXEC);
    let cancel = Arc::new(CancelToken::new(None).expect("a pipe"));
    writer.cancel_with(&cancel);
    let push = |priority, count: usize| {
        for _ in 0..count {
            writer.push(priority, line('a')).expect("no error");
        }
    };
    push(Priority::Progress, MAX_PROGRESS_QUEUE / LINE);
    assert_eq!(writer.dropped(), 0);
    push(Priority::Progress, 200);
    let progress = writer.dropped();
    assert!(progress > 0);
    push(Priority::Message, 100);
    assert_eq!(writer.dropped(), progress, "messages are kept longer");
    push(Priority::Message, MAX_QUEUE / LINE);
    assert!(writer.dropped() > progress);
    let started = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| push(Priority::Result, 10));
        std::thread::sleep(Duration::from_millis(300));
        cancel.cancel(CancelReason::Interrupted);
    });
    assert!(
        started.elapsed() >= Duration::from_millis(300),
        "results wait"
    );
    let lost = writer.flush().expect_err("lost results");
    assert!(matches!(lost, WriteError::Stalled(1..=10)), "{lost:?}");
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn slow_reader_of_a_non_blocking_pipe_gets_every_line() {
    let (writer, reader) = writer(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK);
    rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::empty()).expect("a flag");
    for n in 0..1000 {
        let priority = [Priority::Progress, Priority::Message, Priority::Result][n % 3];
        writer.push(priority, line('b')).expect("no error");
    }
    let read = std::thread::spawn(move || {
        let (mut reader, mut bytes) = (File::from(reader), vec![0; 1000 * LINE]);
        let (early, late) = bytes.split_at_mut(100 * LINE);
        reader.read_exact(early).expect("bytes");
        std::thread::sleep(Duration::from_millis(200));
        reader.read_exact(late).expect("bytes");
        bytes
    });
    writer.flush().expect("everything written");
    let bytes = read.join().expect("a reader");
    assert_eq!(bytes, line('b').repeat(1000));
}

#[test]
fn failed_write_refuses_results_and_flush_returns_its_error_once() {
    let (writer, reader) = writer(PipeFlags::CLOEXEC);
    drop(reader);
    writer
        .push(Priority::Message, line('c'))
        .expect("not a result");
    writer.flush().expect("no result was lost");
    for _ in 0..2 {
        let pushed = writer.push(Priority::Result, line('c'));
        assert_eq!(pushed, Err(NotWritten));
    }
    writer
        .push(Priority::Message, line('c'))
        .expect("not a result");
    let lost = writer.flush().expect_err("EPIPE");
    assert!(
        matches!(&lost, WriteError::Io(error, 2) if error.kind() == std::io::ErrorKind::BrokenPipe),
        "{lost:?}"
    );
    writer.flush().expect("reported before");
}
