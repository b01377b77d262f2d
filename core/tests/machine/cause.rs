//! Texts and JSON of causes.

use insta::assert_snapshot;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::index::Index;
use skopeo_index_core::machine::{CancelReason, Cause, EffectError, FailureKind};

#[test]
fn every_cause_has_a_message_and_round_trips_through_json() {
    let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
    let command = |kind| EffectError::Command {
        kind,
        message: "what \u{1b}[31mskopeo said".into(),
    };
    let cancelled = |reason| Cause::EffectFailed {
        error: EffectError::Cancelled { reason },
    };
    let causes = [
        Cause::NotAnIndex {
            reason: Index::parse(b"[]").expect_err("not an index"),
        },
        Cause::DigestMismatch {
            expected: one,
            actual: two,
            not_an_index: None,
        },
        Cause::DigestMismatch {
            expected: one,
            actual: two,
            not_an_index: Index::parse(b"[]").err().map(Box::new),
        },
        Cause::SkopeoDigestMismatch {
            sha256: one,
            skopeo: "\u{7}".into(),
        },
        Cause::CopyMismatch {
            copied: one,
            read: two,
        },
        Cause::ReadBackMismatch { read: Some(two) },
        Cause::ReadBackMismatch { read: None },
        Cause::Offline { quarantined: None },
        Cause::Offline {
            quarantined: Some("q.1".into()),
        },
        Cause::EffectFailed {
            error: command(FailureKind::NotFound),
        },
        Cause::RetriesExhausted {
            attempts: 1,
            error: command(FailureKind::Network),
        },
        Cause::RetriesExhausted {
            attempts: 3,
            error: command(FailureKind::Timeout),
        },
        Cause::EffectFailed {
            error: EffectError::Disk {
                operation: "write".into(),
                path: "/x".into(),
                error: "full".into(),
            },
        },
        cancelled(CancelReason::Interrupted),
        cancelled(CancelReason::Deadline),
        cancelled(CancelReason::HungUp),
        Cause::EffectFailed {
            error: EffectError::AuditLog {
                error: "full".into(),
            },
        },
    ];
    assert_snapshot!(
        "messages",
        causes.each_ref().map(Cause::to_string).join("\n")
    );
    let json = causes.map(|cause| {
        crate::assert_sorted_keys(&cause);
        let json = serde_json::to_string(&cause).expect("JSON");
        let read: Cause = serde_json::from_str(&json).expect("a cause");
        assert_eq!(read, cause);
        json
    });
    assert_snapshot!("json", json.join("\n"));
}

#[test]
fn only_a_command_failure_of_a_transient_kind_is_transient() {
    let command = |kind| EffectError::Command {
        kind,
        message: String::new(),
    };
    assert!(command(FailureKind::Network).is_transient());
    assert!(!command(FailureKind::NotFound).is_transient());
    let disk = EffectError::Disk {
        error: String::new(),
        operation: String::new(),
        path: String::new(),
    };
    let audit_log = EffectError::AuditLog {
        error: String::new(),
    };
    let cancelled = EffectError::Cancelled {
        reason: CancelReason::Deadline,
    };
    for error in [disk, audit_log, cancelled] {
        assert!(!error.is_transient(), "{error:?}");
    }
}
