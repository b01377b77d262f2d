//! Decoding of skopeo's log lines.

use proptest::prelude::*;
use skopeo_index_core::machine::{EffectError, FailureKind};
use skopeo_index_core::skopeo::stderr::{classify_exit, fatal_message};

use crate::{failed, quoted};

#[test]
fn last_fatal_line_is_decoded() {
    let stderr = "time=\"x\" level=warning msg=\"careful\"\ntime=\"x\" level=fatal msg=\"a \\\"b\\\" \\x1b[31m\\u00e4\\n\"\n";
    assert_eq!(
        fatal_message(stderr).as_deref(),
        Some("a \"b\" \u{1b}[31mä\n")
    );
    let EffectError::Command { message, .. } = classify_exit(&failed(stderr)) else {
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

#[test]
fn stderr_without_a_log_line_is_kept_whole() {
    let EffectError::Command { kind, message } = classify_exit(&failed("panic: oh\ngoroutine 1\n"))
    else {
        panic!("not a command error")
    };
    assert_eq!(
        (kind, message.as_str()),
        (FailureKind::Other, "panic: oh\ngoroutine 1")
    );
    let EffectError::Command { message, .. } = classify_exit(&failed("")) else {
        panic!("not a command error")
    };
    assert!(message.contains("status 1"), "{message}");
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
