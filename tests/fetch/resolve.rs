//! Resolving a tag, with the retries of a fetch.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use skopeo_index::fetch::{RetryPolicy, resolve};
use skopeo_index::os::CancelToken;
use skopeo_index_core::machine::{CancelReason, Cause, EffectError, FailureKind};
use skopeo_index_core::request::{Location, TlsVerify};
use skopeo_index_core::skopeo::{SkopeoCommand, SkopeoOptions};
use test_support::loopback::samples;
use test_support::program::fakes::{MockSkopeo, failed, never_cancelled, printed, skopeo};

/// The result of three attempts, and the attempts that were retried.
fn resolve_with(mock: &MockSkopeo, cancel: &CancelToken) -> (Result<Vec<u8>, Cause>, Vec<u32>) {
    let options = SkopeoOptions::default();
    let location = Location::Docker {
        tls_verify: TlsVerify::Unset,
    };
    let retry = RetryPolicy {
        attempts: NonZeroU32::new(3).expect("three"),
        delay: Duration::ZERO,
    };
    let retried = Mutex::new(Vec::new());
    let on_retry = |attempt, _: &EffectError| {
        retried.lock().expect("no panic").push(attempt);
    };
    let name = "localhost/app:tag".parse().expect("a name");
    let result = resolve(
        &skopeo(mock, &options),
        &location,
        &name,
        retry,
        cancel,
        &on_retry,
    );
    (result, retried.into_inner().expect("no panic"))
}

#[test]
fn resolve_transient_failure_is_retried() {
    let mut mock = MockSkopeo::new();
    mock.expect_run()
        .times(1)
        .returning(|_, _, _, _| failed("connection refused"));
    mock.expect_run()
        .times(1)
        .withf(|command, _, _, _| matches!(command, SkopeoCommand::InspectTag { .. }))
        .returning(|_, _, _, _| printed(samples::empty()));
    let (result, retried) = resolve_with(&mock, &never_cancelled());
    assert_eq!((result, retried), (Ok(samples::empty()), vec![1]));
}

#[test]
fn resolve_retries_are_bounded_and_permanent_failure_is_not_retried() {
    for (message, kind, attempts) in [
        ("connection refused", FailureKind::Network, 3),
        ("manifest unknown", FailureKind::NotFound, 1),
    ] {
        let mut mock = MockSkopeo::new();
        mock.expect_run()
            .times(attempts)
            .returning(move |_, _, _, _| failed(message));
        let (result, retried) = resolve_with(&mock, &never_cancelled());
        let cause = result.expect_err("a failure");
        let (error, made) = match &cause {
            Cause::EffectFailed { error } => (error, 1),
            Cause::RetriesExhausted { attempts, error } => (error, *attempts),
            _ => panic!("{cause}"),
        };
        assert!(
            matches!(error, EffectError::Command { kind: of, .. } if *of == kind),
            "{error}"
        );
        assert_eq!(usize::try_from(made), Ok(attempts));
        assert_eq!(retried.len(), attempts - 1);
    }
}

#[test]
fn resolve_cancelled_during_backoff_returns_the_reason() {
    let mut mock = MockSkopeo::new();
    mock.expect_run().times(1).returning(|_, _, _, cancel| {
        cancel.cancel(CancelReason::Interrupted);
        failed("connection refused")
    });
    let (result, _) = resolve_with(&mock, &never_cancelled());
    let error = CancelReason::Interrupted.into();
    assert_eq!(result, Err(Cause::EffectFailed { error }));
}
