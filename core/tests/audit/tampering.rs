//! Every single change to a log is found.

use crate::support::audit_log::sample::{
    Answer, LogSample, ONE_ATTEMPT, REFUSING, Run, logs, request, verifiers as verifiers_of,
};
use crate::support::audit_log::{lines, verify};
use crate::support::property::{assert_change_is_found, config, log_change};
use crate::support::samples;
use proptest::prelude::*;
use skopeo_index_core::audit::FindingKind;
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{FetchPolicy, Method, Network};
use skopeo_index_core::verifier::Verifiers;

#[test]
fn log_verifies_after_each_of_its_records() {
    let [log, _] = logs();
    let lines = lines(log);
    assert!(lines.len() > 40, "{}", lines.len());
    for n in 1..=lines.len() {
        let (_, found) = verify(&lines[..n].concat(), None);
        assert_eq!(found, [], "after {n} records");
    }
}

proptest! {
    #![proptest_config(config(600, "audit.txt"))]

    #[test]
    fn every_single_change_is_found(change in log_change()) {
        let [log, other] = logs();
        assert_change_is_found(log, other, &change)?;
    }

    #[test]
    fn verify_of_any_bytes_does_not_panic(bytes: Vec<u8>) {
        let _result = verify(&bytes, None);
    }
}

#[test]
fn replaced_log_is_found_only_with_a_checkpoint() {
    let [log, other] = logs();
    let (checkpoint, _) = verify(log, None);
    assert_eq!(verify(other, None).1, []);
    let found = verify(other, checkpoint).1;
    assert!(
        found
            .iter()
            .any(|finding| matches!(finding.kind, FindingKind::ForeignCheckpoint(_))),
        "{found:?}"
    );
}

/// What becomes of a fetch.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// The requested index, after so many transient failures.
    Index(u32),
    OtherIndex,
    NotAnIndex,
    NotFound,
    Crash,
}

/// A run of a log.
#[derive(Clone, Debug)]
struct AnyRun {
    fetches: Vec<(usize, Fate)>,
    policy: FetchPolicy,
    verifiers: Verifiers,
    jobs: usize,
    crash_after: Option<usize>,
    /// Length of the torn line that a crash leaves.
    torn: usize,
    /// Whether the first object is corrupt before the run.
    corrupt: bool,
}

fn any_run() -> impl Strategy<Value = AnyRun> {
    let fate = prop_oneof![
        4 => (0..3_u32).prop_map(Fate::Index),
        1 => Just(Fate::OtherIndex),
        1 => Just(Fate::NotAnIndex),
        1 => Just(Fate::NotFound),
        1 => Just(Fate::Crash),
    ];
    let method = prop_oneof![Just(Method::Raw), Just(Method::SkopeoCopy)];
    let network = prop_oneof![4 => Just(Network::Allowed), 1 => Just(Network::Offline)];
    let policy = (1..4_u32, method, network).prop_map(|(attempts, method, network)| FetchPolicy {
        attempts: attempts.try_into().unwrap_or(ONE_ATTEMPT.attempts),
        method,
        network,
    });
    let crash_after = prop_oneof![2 => Just(None), 1 => (0..30_usize).prop_map(Some)];
    let fetches = prop::collection::vec((0..4_usize, fate), 1..4);
    let verifiers = prop_oneof![
        4 => Just(vec![]),
        2 => Just(vec!["/bin/ask"]),
        1 => Just(vec!["/bin/ask", REFUSING]),
    ];
    let verifiers = verifiers.prop_map(|programs| {
        let commands: Vec<_> = programs
            .iter()
            .map(|it| vec![*it, "{file}", "{digest}"])
            .collect();
        verifiers_of(&commands.iter().map(Vec::as_slice).collect::<Vec<_>>())
    });
    let rest = (1..3_usize, crash_after, 0..300_usize, any::<bool>());
    (fetches, policy, verifiers, rest).prop_map(
        |(mut fetches, policy, verifiers, (jobs, crash_after, torn, corrupt))| {
            // An executor fetches each digest once.
            fetches.sort_by_key(|(n, _)| *n);
            fetches.dedup_by_key(|(n, _)| *n);
            AnyRun {
                fetches,
                policy,
                verifiers,
                jobs,
                crash_after,
                torn,
                corrupt,
            }
        },
    )
}

fn record(log: &mut LogSample, run: &AnyRun) {
    let digest = |n: &usize| Digest::of(&samples::distinct(*n));
    let requests: Vec<_> = run
        .fetches
        .iter()
        .map(|(n, _)| request(digest(n)))
        .collect();
    if run.corrupt {
        log.objects
            .insert(requests[0].digest(), b"corrupt".to_vec());
    }
    let mut attempts = std::collections::HashMap::<Digest, u32>::new();
    let mut registry = |requested| {
        let attempt = attempts.entry(requested).or_default();
        *attempt += 1;
        let fetch = run.fetches.iter().find(|(n, _)| digest(n) == requested);
        let (n, fate) = fetch.expect("a request of this run");
        match fate {
            Fate::Index(failures) if *attempt <= *failures => Answer::Error("connection refused"),
            Fate::Index(_) => Answer::Bytes(samples::distinct(*n)),
            Fate::OtherIndex => Answer::Bytes(samples::distinct(*n + 100)),
            Fate::NotAnIndex => Answer::Bytes(samples::single_image()),
            Fate::NotFound => Answer::Error("manifest unknown"),
            Fate::Crash => Answer::Crash,
        }
    };
    let ended = log.run(&mut Run {
        policy: run.policy,
        verifiers: run.verifiers.clone(),
        requests: &requests,
        jobs: run.jobs,
        registry: &mut registry,
        crash_after: run.crash_after,
    });
    if !ended && run.torn > 0 {
        // A recovery may have been interrupted.
        let torn = [vec![b'{'; run.torn], b"{\"entry\":{\"recovered".to_vec()];
        log.recovered(&torn[..1 + run.torn % 2]);
    }
}

proptest! {
    #![proptest_config(config(48, "audit-any-runs.txt"))]

    #[test]
    fn log_of_any_runs_verifies_and_every_change_to_it_is_found(
        runs in prop::collection::vec(any_run(), 1..5),
        changes in prop::collection::vec(log_change(), 8),
    ) {
        let mut log = LogSample::new(3);
        for run in &runs {
            record(&mut log, run);
        }
        // The last run ends, so that the log is complete.
        record(&mut log, &AnyRun {
            fetches: vec![(5, Fate::Index(0))],
            policy: ONE_ATTEMPT,
            verifiers: Verifiers::default(),
            jobs: 1,
            crash_after: None,
            torn: 0,
            corrupt: false,
        });
        prop_assert_eq!(verify(log.bytes(), None).1, []);
        for change in &changes {
            match assert_change_is_found(log.bytes(), &logs()[1], change) {
                // Rejected where it changes nothing.
                Ok(()) | Err(TestCaseError::Reject(_)) => {}
                Err(fail) => return Err(fail),
            }
        }
    }
}
