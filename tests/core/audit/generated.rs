//! Whatever runs do and wherever they die, their log verifies, and no change of
//! it goes unnoticed.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use test_support::loopback::samples;
use proptest::prelude::*;
use skopeo_index::audit_log::{LogWriter, Recorder};
use skopeo_index::fetch::Observer;
use skopeo_index::os::CancelToken;
use skopeo_index::skopeo::RunError;
use skopeo_index::store::{RealDisk, Store};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{FetchPolicy, Method, Network};
use skopeo_index_core::skopeo::SkopeoCommand;

use super::changes::{change, noticed};
use super::{logs, supply, verify};
use crate::stand_in::Faulty;
use crate::stand_in::Injected;
use crate::stand_in::MockSkopeo;
use crate::stand_in::PLAN;
use crate::stand_in::failed;
use crate::stand_in::fetch;
use crate::stand_in::printed;
use crate::stand_in::request;

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// The index that was asked for, after so many refusals.
    Index(u32),
    /// Another one.
    Other,
    NotAnIndex,
    Missing,
    /// The process dies meanwhile.
    Halt,
}

/// Where a run dies.
#[derive(Clone, Copy, Debug)]
enum Death {
    Never,
    /// Before so manyth call of the disk.
    AtCall(usize),
    /// After its fetches, before its end is recorded.
    BeforeEnd,
}

#[derive(Clone, Debug)]
struct Run {
    fetches: Vec<(usize, Answer)>,
    plan: FetchPolicy,
    jobs: usize,
    death: Death,
    /// What it had written of one more record when it died.
    torn: usize,
    /// Objects that somebody has damaged before.
    damaged: bool,
}

fn run() -> impl Strategy<Value = Run> {
    let answer = prop_oneof![
        4 => (0..3_u32).prop_map(Answer::Index),
        1 => Just(Answer::Other),
        1 => Just(Answer::NotAnIndex),
        1 => Just(Answer::Missing),
        1 => Just(Answer::Halt),
    ];
    let death = prop_oneof![
        2 => Just(Death::Never),
        2 => (1..40_usize).prop_map(Death::AtCall),
        1 => Just(Death::BeforeEnd),
    ];
    let method = prop_oneof![Just(Method::Raw), Just(Method::SkopeoCopy)];
    let network = prop_oneof![4 => Just(Network::Allowed), 1 => Just(Network::Offline)];
    let plan = (1..4_u32, method, network).prop_map(|(attempts, method, network)| FetchPolicy {
        attempts: attempts.try_into().unwrap_or(PLAN.attempts),
        method,
        network,
    });
    let fetches = prop::collection::vec((0..4_usize, answer), 1..4);
    (
        fetches,
        plan,
        1..3_usize,
        death,
        0..300_usize,
        any::<bool>(),
    )
        .prop_map(|(fetches, plan, jobs, death, torn, damaged)| Run {
            fetches,
            plan,
            jobs,
            death,
            torn,
            damaged,
        })
}

/// A skopeo that answers so.
fn skopeo(fetches: &[(usize, Answer)]) -> MockSkopeo {
    let answers: HashMap<Digest, (usize, Answer)> = fetches
        .iter()
        .map(|(n, answer)| (Digest::of(&samples::distinct(*n)), (*n, *answer)))
        .collect();
    let asked = Mutex::new(HashMap::<Digest, u32>::new());
    let brought = move |digest: Digest| {
        let (n, answer) = answers[&digest];
        let mut asked = asked.lock().expect("no panic");
        let times = asked.entry(digest).or_default();
        *times += 1;
        match answer {
            Answer::Index(refusals) if *times <= refusals => failed("connection refused"),
            Answer::Index(_) => printed(samples::distinct(n)),
            Answer::Other => printed(samples::distinct(n + 100)),
            Answer::NotAnIndex => printed(samples::single_image()),
            Answer::Missing => failed("manifest unknown"),
            Answer::Halt => Err(RunError::Halt),
        }
    };
    let mut skopeo = MockSkopeo::new();
    skopeo
        .expect_run()
        .returning(move |command, _, _, _| match command {
            SkopeoCommand::InspectRaw(request) => brought(request.digest()),
            SkopeoCommand::CopyIndex { request, to } => {
                let mut ran = brought(request.digest())?;
                let bytes = std::mem::take(&mut ran.stdout);
                fs::write(to.join("manifest.json"), bytes).expect("a file");
                Ok(ran)
            }
            SkopeoCommand::InspectDir { from } => {
                printed(fs::read(from.join("manifest.json")).expect("it"))
            }
            SkopeoCommand::ManifestDigest { file } => {
                printed(format!("{}\n", Digest::of(&fs::read(file).expect("it"))))
            }
            other => panic!("{other:?}"),
        });
    skopeo
}

fn done(run: &Run, log: &Path, cache: &Path) {
    let requests: Vec<_> = run
        .fetches
        .iter()
        .map(|(n, _)| request(Digest::of(&samples::distinct(*n))))
        .collect();
    if run.damaged {
        let object = cache.join(requests[0].digest().to_string());
        fs::create_dir_all(cache).expect("a directory");
        fs::write(object, "damaged").expect("an object");
    }
    let cancel = CancelToken::new(None).expect("a pipe");
    let (at, plan) = (LogWriter::open(log, &cancel).expect("a log"), run.plan);
    let recorder = Recorder::begin(&at, cache, plan, supply()).expect("a record");
    let witnesses: [&dyn Observer; 1] = [&recorder];
    let (skopeo, rest) = (skopeo(&run.fetches), (run.jobs, &cancel, &witnesses[..]));
    let lived = match run.death {
        Death::AtCall(n) => {
            let store = Store::new(cache.to_owned(), Faulty::new(n, Injected::Halt));
            fetch(&store, &skopeo, plan, &requests, rest)
        }
        Death::Never | Death::BeforeEnd => {
            let store = Store::new(cache.to_owned(), RealDisk);
            fetch(&store, &skopeo, plan, &requests, rest)
        }
    };
    match (lived, run.death) {
        (Ok(_), Death::Never | Death::AtCall(_)) => recorder.end().expect("a record"),
        _ => {
            // As far as it came with the record that follows.
            let mut bytes = fs::read(log).expect("a log");
            let half = vec![b'{'; run.torn];
            bytes.extend(half);
            fs::write(log, bytes).expect("a log");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..crate::regressions("proptest-regressions/audit-generated.txt") })]

    #[test]
    fn a_log_of_any_runs_verifies_and_any_change_of_it_is_found(
        runs in prop::collection::vec(run(), 1..5),
        changes in prop::collection::vec(change(), 8),
    ) {
        let dir = tempfile::tempdir().expect("a directory");
        let (log, cache) = (dir.path().join("log"), dir.path().join("cache"));
        for run in &runs {
            done(run, &log, &cache);
        }
        // One that comes to its end, and finds what the last has left.
        let last = Run {
            fetches: vec![(5, Answer::Index(0))],
            plan: PLAN,
            jobs: 1,
            death: Death::Never,
            torn: 0,
            damaged: false,
        };
        done(&last, &log, &cache);
        let log = fs::read(log).expect("a log");
        prop_assert_eq!(verify(&log, None).1, []);
        for change in &changes {
            match noticed(&log, &logs()[1], change) {
                // It changes nothing.
                Ok(()) | Err(TestCaseError::Reject(_)) => {}
                Err(fail) => return Err(fail),
            }
        }
    }
}
