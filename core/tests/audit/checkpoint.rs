//! Checkpoints, signed or not, and their origins.

use crate::support::audit_log::sample::logs;
use crate::support::audit_log::{lines, verify};
use skopeo_index_core::audit::{
    Checkpoint, CheckpointError, FindingKind, LogId, MAX_NEW_ORIGIN_LEN, MAX_ORIGIN_LEN, NoteError,
    SavedCheckpoint, SignatureError, VerifierKey, VerifierKeys,
};
use skopeo_index_core::digest::Digest;

use crate::note::{is_valid, sign};

#[test]
fn checkpoint_signed_or_not_is_written_back_unchanged() {
    let checkpoint = verify(&logs()[0], None).0.expect("records");
    let text = checkpoint.to_string();
    assert_eq!(text.parse(), Ok(checkpoint.clone()));
    let key = VerifierKey::new("example.com/a".parse().expect("a name"), [1; 32]);
    let signed = SavedCheckpoint::signed(checkpoint.clone(), sign(&key, &text));
    let signed = signed.expect("a note");
    let unsigned = SavedCheckpoint::unsigned(checkpoint.clone());
    for saved in [signed.clone(), unsigned.clone()] {
        let text = saved.to_string();
        assert_eq!(saved.checkpoint(), &checkpoint);
        assert_eq!(SavedCheckpoint::parse(text.as_bytes()), Ok(saved));
    }
    let keys = VerifierKeys::new([key.clone()]).expect("a key");
    assert_eq!(signed.verify(&keys, is_valid), Ok(vec![&key]));
    assert_eq!(
        unsigned.verify(&keys, is_valid),
        Err(SignatureError::Unsigned)
    );
}

#[test]
fn malformed_checkpoint_gives_the_reason() {
    let text = "example.com/a\n21\nYO+E9qMX9lQeovm9Lz3vbXR1FWIBXEFYlzaFWGTzExM=\n";
    let error = |text: &str| SavedCheckpoint::parse(text.as_bytes()).expect_err("malformed");
    let note = |error| CheckpointError::Note(error);
    assert!(SavedCheckpoint::parse(text.as_bytes()).is_ok());
    for lines in [
        "",
        "\n",
        "a\n1\n",
        text.trim_end(),
        &format!("{text}more\n"),
    ] {
        assert_eq!(error(lines), CheckpointError::Lines, "{lines:?}");
    }
    assert_eq!(
        error(&text.replace('\n', "\r\n")),
        note(NoteError::CarriageReturn)
    );
    assert_eq!(
        error(&format!("{text}— a AAAAAAA=\n")),
        note(NoteError::NoBlankLine)
    );
    assert_eq!(error(&format!("{text}\n")), note(NoteError::NoSignatures));
    assert_eq!(
        error(&format!("{text}\nmore\n")),
        note(NoteError::SignatureLine(1))
    );
    let extension = format!("{text}more\n\n— a AAAAAAA=\n");
    assert_eq!(error(&extension), CheckpointError::Lines);
    assert_eq!(
        error(&format!("{text}\n\n— a AAAAAAA=\n")),
        CheckpointError::Lines
    );
    for size in ["021", "+21", "-1", "x", "18446744073709551616"] {
        assert_eq!(
            error(&text.replace("21", size)),
            CheckpointError::Size,
            "{size:?}"
        );
    }
    for root in ["M=\n", "N=\n", "\n"] {
        let other = text.replace("M=\n", root);
        assert_eq!(
            SavedCheckpoint::parse(other.as_bytes()).is_ok(),
            root == "M=\n",
            "{root:?}"
        );
    }
}

#[test]
fn origin_is_a_url_without_scheme_or_a_random_id() {
    let is_valid = |text: &str| LogId::try_from(text.to_owned()).is_ok();
    let long = format!("example.com/{}", "a".repeat(MAX_ORIGIN_LEN - 12));
    for origin in [
        "example.com",
        "example.com/builds",
        "example.com:8443/a/B_c-d.e~f",
        "1.2.3.4/log",
        &long,
        &format!("skopeo-index/{}", "0f".repeat(16)),
    ] {
        assert!(is_valid(origin), "{origin}");
    }
    for origin in [
        "",
        "builds",
        "localhost/builds",
        "https://example.com/builds",
        "example.com/",
        "example.com//a",
        "example.com/..",
        "example.com/a b",
        "example.com/a+b",
        "example.com/a%20b",
        "example.com/\u{e9}",
        "example.com/a\n",
        "example.com:/a",
        "example.com:070/a",
        "example.com:65536",
        "-example.com",
        "example-.com",
        "example..com",
        "Example.com",
        &format!("{long}a"),
        "skopeo-index/1",
        &format!("skopeo-index/{}", "0F".repeat(16)),
    ] {
        assert!(!is_valid(origin), "{origin}");
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
    let empty = Checkpoint {
        size: 0,
        root: *Digest::of(b"").as_bytes(),
        ..whole.clone()
    };
    for n in [0, 1, lines.len() / 2, lines.len()] {
        let then = verify(&lines[..n].concat(), None).0;
        let then = then.unwrap_or_else(|| empty.clone());
        assert_eq!(kinds(log, then.clone()), [], "{n}");
        let root = [7; 32];
        assert_eq!(
            kinds(log, Checkpoint { root, ..then }),
            [FindingKind::RewrittenLog(n as u64)]
        );
    }
    assert_eq!(kinds(b"", empty), [FindingKind::EmptyLog]);
    let (expected, found) = (whole.size, whole.size - 1);
    let shorter = lines[..lines.len() - 1].concat();
    assert_eq!(
        kinds(&shorter, whole),
        [FindingKind::TruncatedLog { expected, found }]
    );
}

#[test]
fn rotated_log_has_an_origin_of_its_own_that_the_first_one_is_known_by() {
    let id = |text: &str| LogId::try_from(text.to_owned()).expect("an origin");
    let first = id("example.com/builds");
    let mut log = first.clone();
    for n in 2..12 {
        log = log.next([7; 16]).expect("an origin");
        assert_eq!(log.as_str(), format!("example.com/builds/rotation-{n}"));
        assert!(log.is_of_origin(&first) && !log.is_first());
        assert!(!first.is_of_origin(&log));
    }
    for other in [
        "example.com/builds/2",
        "example.com/builds/rotation-1",
        "example.com/builds/rotation-02",
        "example.com/builds/rotation-",
        "example.com/other/rotation-2",
    ] {
        assert!(!id(other).is_of_origin(&first), "{other}");
    }
    let random = LogId::from_random([1; 16]);
    assert_eq!(random.next([2; 16]), Ok(LogId::from_random([2; 16])));
    assert!(random.is_first());
    let of_length = |length| id(&format!("example.com/{}", "a".repeat(length - 12)));
    assert!(of_length(MAX_ORIGIN_LEN).next([0; 16]).is_err());
    let last = format!(
        "{}/rotation-{}",
        of_length(MAX_NEW_ORIGIN_LEN).as_str(),
        u64::MAX
    );
    assert_eq!(id(&last).as_str().len(), MAX_ORIGIN_LEN);
}
