//! Running a command: its outputs, its exit, its process group.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use skopeo_index::command::RunError;
use skopeo_index_core::machine::CancelReason;
use skopeo_index_core::skopeo::Exit;
use test_support::program::fakes::never_cancelled;

use crate::{LONG, Script, run_script, wait_until_gone};

#[test]
fn command_outputs_and_exit_are_collected() {
    let output = run_script("printf out; printf err >&2; exit 3").expect("it ran");
    assert_eq!(output.exit, Exit::Status(3));
    assert_eq!(
        (&output.stdout[..], &output.stderr[..]),
        (&b"out"[..], &b"err"[..])
    );
    let output = run_script("kill -TERM $$").expect("it ran");
    assert_eq!(output.exit, Exit::Signal(15));
}

#[test]
fn command_not_executable_is_io_error_and_missing_is_not_found() {
    let script = Script::new("");
    fs::set_permissions(script.path(), fs::Permissions::from_mode(0o644)).expect("a file");
    let cancel = never_cancelled();
    let result = script.run(LONG, &cancel);
    assert!(matches!(result, Err(RunError::Io { .. })), "{result:?}");
    fs::remove_file(script.path()).expect("the script");
    let result = script.run(LONG, &cancel);
    assert!(matches!(result, Err(RunError::NotFound(_))), "{result:?}");
}

#[test]
fn command_timeout_kills_its_process_group_and_keeps_stderr() {
    let script = Script::new("cd \"${0%/*}\"; sleep 1000 & echo $! > child; echo slow >&2; wait");
    let result = script.run(Duration::from_secs(3), &never_cancelled());
    // What it wrote before may explain the timeout.
    assert!(
        matches!(&result, Err(RunError::TimedOut { stderr, .. }) if stderr == b"slow\n"),
        "{result:?}"
    );
    wait_until_gone(&script.beside("child"));
}

#[test]
fn command_exited_is_not_waited_for_while_descendants_hold_its_outputs() {
    for descendant in ["exec sleep 1000", "exec sleep 1000 >&- 2>&-"] {
        let script = Script::new(&format!(
            "cd \"${{0%/*}}\"; printf out; sh -c '{descendant}' & echo $! > child; exit 3"
        ));
        let output = script.run(LONG, &never_cancelled()).expect("it ran");
        assert_eq!(output.exit, Exit::Status(3));
        assert_eq!(output.stdout, b"out");
        // The descendants are killed.
        wait_until_gone(&script.beside("child"));
    }
}

#[test]
fn command_that_closes_its_outputs_and_lives_on_has_its_whole_timeout() {
    let script = Script::new("exec >&- 2>&-; exec sleep 1000");
    let timeout = Duration::from_millis(200);
    let result = script.run(timeout, &never_cancelled());
    assert!(
        matches!(result, Err(RunError::TimedOut { after, .. }) if after == timeout),
        "{result:?}"
    );
}

#[test]
fn command_cancelled_is_killed_or_not_started() {
    let cancel = never_cancelled();
    let script = Script::new("touch \"${0%/*}/begun\"; exec sleep 1000");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !script.beside("begun").exists() {
                std::thread::yield_now();
            }
            cancel.cancel(CancelReason::Interrupted);
        });
        let reason = match script.run(LONG, &cancel) {
            Err(RunError::Cancelled(reason)) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason, CancelReason::Interrupted);
    });
    let not_started = Script::new("touch \"${0%/*}/begun\"");
    let result = not_started.run(LONG, &cancel);
    assert!(matches!(result, Err(RunError::Cancelled(_))), "{result:?}");
    assert!(!not_started.beside("begun").exists());
}

#[test]
fn command_gogc_is_400_unless_set_in_the_environment() {
    let output = run_script("printf %s \"$GOGC\"").expect("it ran");
    let expected = std::env::var("GOGC").unwrap_or("400".to_owned());
    assert_eq!(String::from_utf8(output.stdout), Ok(expected));
}
