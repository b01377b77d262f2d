//! Decoding of skopeo's log lines.

use proptest::prelude::*;
use skopeo_index_core::machine::{EffectError, FailureKind};
use skopeo_index_core::redact::Redactor;
use skopeo_index_core::skopeo::stderr::{classify_exit, fatal_message};
use skopeo_index_core::skopeo::{CommandOutput, Exit};

use crate::{failed, quoted};

#[test]
fn last_fatal_line_is_decoded() {
    let stderr = "time=\"x\" level=warning msg=\"careful\"\ntime=\"x\" level=fatal msg=\"a \\\"b\\\" \\x1b[31m\\u00e4\\n\"\n";
    assert_eq!(
        fatal_message(stderr).as_deref(),
        Some("a \"b\" \u{1b}[31mä\n")
    );
    let EffectError::Command { message, .. } = classify_exit(&failed(stderr), &Redactor::default())
    else {
        panic!("not a command error")
    };
    assert_eq!(message, "a \"b\" \u{1b}[31mä\n");
}

#[test]
fn unquoted_message_is_read() {
    let bare = fatal_message("level=fatal msg=EOF");
    assert_eq!(bare.as_deref(), Some("EOF"));
}

#[test]
fn go_escapes_are_decoded_to_text() {
    let line = r#"level=fatal msg="\xc3\xa4 \xff \u00e4 \U0001f600 \a\b\f\n\r\t\v \q \xg""#;
    let read = "\u{e4} \u{fffd} \u{e4} \u{1f600} \u{7}\u{8}\u{c}\n\r\t\u{b} q \\xg";
    assert_eq!(fatal_message(line).as_deref(), Some(read));
}

#[track_caller]
fn classified(output: &CommandOutput) -> (FailureKind, String) {
    match classify_exit(output, &Redactor::new(["correct horse"])) {
        EffectError::Command { kind, message } => (kind, message),
        other => panic!("{other}"),
    }
}

#[test]
fn stderr_without_a_fatal_line_is_shown_by_its_reason_and_the_exit() {
    let debug = "time=\"x\" level=debug msg=\"GET https://h/v2/\"\n";
    let warning = "time=\"x\" level=warning msg=\"failing \\\"soon\\\"\"\n";
    let panicked = "panic: oh\n\ngoroutine 1 [running]:\nmain.main()\n\t/x.go:1\n";
    let usage = "Error: unknown flag: --x\nUsage:\n  skopeo inspect\n\n";
    let nothing = "exited with status 3 and no error output";
    let killed = "killed by signal 9";
    for (exit, stderr, message) in [
        (Exit::Status(2), panicked, "panic: oh (exit status 2)"),
        (
            Exit::Status(1),
            usage,
            "Error: unknown flag: --x (exit status 1)",
        ),
        (
            Exit::Status(3),
            "cannot start\n",
            "cannot start (exit status 3)",
        ),
        (
            Exit::Status(3),
            "no correct horse",
            "no *** (exit status 3)",
        ),
        (Exit::Status(3), "", nothing),
        (Exit::Signal(9), "", killed),
        (
            Exit::Signal(9),
            warning,
            "killed by signal 9: failing \"soon\"",
        ),
    ] {
        for stderr in [
            stderr.to_owned(),
            format!("{debug}{stderr}\n{}", debug.repeat(50)),
        ] {
            let (stdout, stderr) = (Vec::new(), stderr.into_bytes());
            let output = CommandOutput {
                exit,
                stdout,
                stderr,
            };
            assert_eq!(
                classified(&output),
                (FailureKind::Other, message.to_owned())
            );
        }
    }
}

/// The start of a line of which the rest was too long to be kept.
fn cut_line(text: &str) -> String {
    let line = format!("time=\"x\" level=fatal msg={}", quoted(text));
    line[..32 << 10].to_owned() + "\n"
}

#[test]
fn cut_line_has_the_kind_of_skopeos_own_words() {
    // Redaction takes most of the time, and has no part in it.
    let redactor = Redactor::withholding(String::new());
    let kind_of = |line: &str| match classify_exit(&failed(line), &redactor) {
        EffectError::Command { kind, .. } => kind,
        other => panic!("{other}"),
    };
    for repeated in [
        "level=fatal msg=EOF ",
        "]): a/x: reading manifest a in b: toomanyrequests: x",
        ": EOF",
        "\": connection refused",
    ] {
        // The text is cut at each of its bytes.
        for length in 0..repeated.len() {
            let text = "y".repeat(length) + &repeated.repeat((33 << 10) / repeated.len());
            for (own, kind) in [
                (
                    "reading manifest a in b: manifest unknown: ",
                    FailureKind::NotFound,
                ),
                (
                    "reading manifest a in b: denied: ",
                    FailureKind::Authentication,
                ),
                (
                    "reading manifest a in b: manifest invalid: ",
                    FailureKind::Other,
                ),
                (
                    "(Mirrors also failed: [b/x: reading manifest a in b: toomanyrequests: ",
                    FailureKind::Other,
                ),
                (
                    "pinging container registry a: Get \"https://a/",
                    FailureKind::Other,
                ),
            ] {
                let text = match own.ends_with('/') {
                    true => text.replace('"', "%22"),
                    false => text.clone(),
                };
                let line = cut_line(&format!("{own}{text}"));
                assert_eq!(kind_of(&line), kind, "{own}{repeated}");
            }
        }
    }
}

#[test]
fn cut_line_shows_its_start_and_no_part_of_a_secret() {
    let own = "reading manifest a in b: manifest unknown: ";
    let start = "reading manifest: manifest unknown: ";
    let only_redacted = |text: &str| {
        assert_eq!(text.trim_start_matches('y').trim_start_matches('*'), "…");
    };
    for length in 0..14 {
        let text = "y".repeat(length) + &"correct horse".repeat(5000);
        let (_, message) = classified(&failed(&cut_line(&format!("{own}{text}"))));
        only_redacted(message.strip_prefix(start).expect("its start"));
        let (_, message) = classified(&failed(&text[..32 << 10]));
        only_redacted(message.strip_suffix(" (exit status 1)").expect("its exit"));
    }
    let line = cut_line(&format!("{own}{}", "A".repeat(100_000)));
    let (_, message) = classified(&failed(&line));
    assert!(message.starts_with(&format!("{start}AAAA")), "{message}");
    assert!(
        message.len() <= 2048 && message.ends_with("A…"),
        "{message}"
    );
}

#[test]
fn message_is_classified_although_it_is_withheld() {
    let line = "level=fatal msg=\"reading manifest a in b: manifest unknown: correct horse\"";
    let withholding = Redactor::withholding("cannot read the secrets in x: y".to_owned());
    let EffectError::Command { kind, message } = classify_exit(&failed(line), &withholding) else {
        panic!("not a command error")
    };
    assert_eq!(kind, FailureKind::NotFound);
    assert_eq!(message, "message withheld: cannot read the secrets in x: y");
    let EffectError::Command { message, .. } = classify_exit(&failed(""), &withholding) else {
        panic!("not a command error")
    };
    assert_eq!(message, "exited with status 1 and no error output");
}

/// Go's net/http logs a line of its own, in which the registry chooses some text.
#[test]
fn registry_text_within_a_line_is_not_a_log_line() {
    let unsolicited = "2026/11/23 22:28:40 Unsolicited response received on idle HTTP channel \
                       starting with \"HTTP/1.1 200 level=fatal msg=EOF\"; err=<nil>";
    assert_eq!(fatal_message(unsolicited), None);
    let stderr = format!("time=\"x\" level=fatal msg=\"denied\"\n{unsolicited}\n");
    assert_eq!(fatal_message(&stderr).as_deref(), Some("denied"));
}

proptest! {
    #![proptest_config(crate::support::property::config(2000, "skopeo-log-line.txt"))]

    #[test]
    fn go_quoted_message_round_trips(text: String) {
        let line = format!("time=\"now\" level=fatal msg={}", quoted(&text));
        prop_assert_eq!(fatal_message(&line), Some(text));
    }
}
