//! Checkpoints.

use skopeo_index_core::audit::{Checkpoint, FindingKind};
use test_support::audit_log::sample::logs;
use test_support::audit_log::{lines, verify};

#[test]
fn checkpoint_round_trips_and_ignores_signatures() {
    let (checkpoint, _) = verify(&logs()[0], None);
    let checkpoint = checkpoint.expect("records");
    let text = checkpoint.to_string();
    assert_eq!(text.lines().count(), 3);
    assert_eq!(text.parse(), Ok(checkpoint.clone()));
    assert_eq!(
        format!("{text}\n— name signature\n").parse(),
        Ok(checkpoint)
    );
    for wrong in [
        "",
        "a\n",
        "a\n1\n",
        "a\n01\nFITsVzEIo3QkJRcq7CVtqNQ5PBGyPZ5oxGggDJxLSY=\n",
        "a\n1\nx\n",
    ] {
        assert!(wrong.parse::<Checkpoint>().is_err(), "{wrong:?}");
    }
}

#[test]
fn checkpoint_holds_for_every_extension_of_its_log() {
    let [log, _] = logs();
    let lines = lines(log);
    let whole = verify(log, None).0.expect("records");
    let kinds = |log: &[u8], checkpoint: Checkpoint| {
        let found = verify(log, Some(checkpoint)).1;
        found
            .into_iter()
            .map(|finding| finding.kind)
            .collect::<Vec<_>>()
    };
    for n in [1, lines.len() / 2, lines.len()] {
        let then = verify(&lines[..n].concat(), None).0.expect("records");
        assert_eq!(kinds(log, then.clone()), [], "{n}");
        let root = [7; 32];
        assert_eq!(
            kinds(log, Checkpoint { root, ..then }),
            [FindingKind::RewrittenLog(n as u64)]
        );
    }
    let empty = Checkpoint {
        size: 0,
        ..whole.clone()
    };
    assert_eq!(kinds(log, empty.clone()), []);
    assert_eq!(kinds(b"", empty), [FindingKind::EmptyLog]);
    let (expected, found) = (whole.size, whole.size - 1);
    let shorter = lines[..lines.len() - 1].concat();
    assert_eq!(
        kinds(&shorter, whole),
        [FindingKind::TruncatedLog { expected, found }]
    );
}
