//! Errors of running skopeo as effect errors.

use std::time::Duration;

use skopeo_index::command::RunError;
use skopeo_index_core::machine::{CancelReason, EffectError, FailureKind};

#[test]
fn run_error_becomes_an_effect_error_of_its_kind() {
    let table = [
        (RunError::NotFound("x".into()), FailureKind::SkopeoNotFound),
        (
            RunError::Io {
                program: "x".into(),
                error: std::io::ErrorKind::PermissionDenied.into(),
            },
            FailureKind::SkopeoNotStarted,
        ),
        (
            RunError::TimedOut {
                after: Duration::from_secs(1),
                stderr: b"it may yet come".to_vec(),
            },
            FailureKind::Timeout,
        ),
        (RunError::OutputTooLarge(1), FailureKind::TooLarge),
        (RunError::StagingTooLarge(1, "bytes"), FailureKind::TooLarge),
    ];
    for (error, kind) in table {
        let message = error.to_string();
        assert_eq!(
            EffectError::from(error),
            EffectError::Command { kind, message }
        );
    }
    let reason = CancelReason::HungUp;
    assert_eq!(
        EffectError::from(RunError::Cancelled(reason)),
        EffectError::Cancelled { reason }
    );
}
