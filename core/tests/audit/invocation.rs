//! `audit::invocation`: labels, and who started a run.

use crate::support::audit_log::sample::{ONE_ATTEMPT, invocation, run_info};
use proptest::prelude::*;
use skopeo_index_core::audit::{
    Entry, Label, LabelError, Labels, LogId, MAX_LABEL_KEY_LEN, MAX_LABEL_VALUE_LEN, MAX_LABELS,
    MAX_RECORD_LEN, Record, RunId, RunInfo, Schema,
};

fn labels(texts: &[&str]) -> Result<Labels, LabelError> {
    let labels: Result<Vec<Label>, _> = texts.iter().map(|text| text.parse()).collect();
    Labels::new(labels?)
}

#[test]
fn label_outside_its_grammar_is_refused() {
    let (key, value) = (
        "k".repeat(MAX_LABEL_KEY_LEN),
        "v".repeat(MAX_LABEL_VALUE_LEN),
    );
    for text in [
        "a=b",
        "a=",
        "1=2",
        "ci.example/job_id-2=a b=c\"\\~",
        &format!("{key}={value}"),
    ] {
        assert!(text.parse::<Label>().is_ok(), "{text}");
    }
    for (text, error) in [
        ("", LabelError::Form),
        ("a", LabelError::Form),
        ("=b", LabelError::Key),
        (" a=b", LabelError::Key),
        (".a=b", LabelError::Key),
        ("a\u{e9}=b", LabelError::Key),
        (&format!("{key}k=b"), LabelError::Key),
        ("a=b,c", LabelError::Value),
        ("a=\n", LabelError::Value),
        ("a=\t", LabelError::Value),
        ("a=\u{7f}", LabelError::Value),
        ("a=\u{e9}", LabelError::Value),
        ("a=\u{1b}[31m", LabelError::Value),
        (&format!("a={value}v"), LabelError::Value),
    ] {
        assert_eq!(text.parse::<Label>(), Err(error), "{text:?}");
    }
}

#[test]
fn labels_with_a_duplicate_key_or_beyond_the_limit_are_refused() {
    let duplicate = LabelError::Duplicate("a".to_owned());
    assert_eq!(labels(&["a=1", "b=2", "a=1"]), Err(duplicate));
    // Keys are told apart by case.
    let both = labels(&["a=1", "A=2"]).expect("distinct keys");
    assert_eq!(both.iter().collect::<Vec<_>>(), [("A", "2"), ("a", "1")]);
    let many: Vec<_> = (0..=MAX_LABELS).map(|n| format!("k{n}=")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert!(labels(&many[1..]).is_ok());
    assert_eq!(labels(&many), Err(LabelError::TooMany));
}

fn line(info: RunInfo) -> String {
    let record = Record {
        entry: Entry::Run(info),
        log: LogId::from_random([0; 16]),
        prev: [0; 32],
        run: RunId::from_random([0; 8]),
        schema: Schema,
        seq: u64::MAX,
        time: std::time::SystemTime::UNIX_EPOCH.into(),
    };
    record.to_line()
}

/// With the longest user and host names, and paths of 4,096 ordinary characters.
#[test]
fn record_of_a_run_with_the_longest_labels_fits_in_a_line() {
    let value = "\"".repeat(MAX_LABEL_VALUE_LEN);
    let label = |n| format!("{n:063}={value}").parse().expect("a label");
    let mut info = run_info(ONE_ATTEMPT);
    info.cache = format!("/{}", "c".repeat(4095));
    info.invocation.labels = Labels::new((0..MAX_LABELS).map(label)).expect("distinct keys");
    info.invocation.user = Some("\\".repeat(255));
    info.invocation.host = Some("\"".repeat(64));
    let line = line(info.clone());
    assert!(line.len() < MAX_RECORD_LEN / 2, "{}", line.len());
    let read = Record::parse(line.as_bytes()).expect("a record");
    assert_eq!(read.entry, Entry::Run(info));
}

#[test]
fn record_without_what_the_system_does_not_tell_has_no_such_members() {
    let mut info = run_info(ONE_ATTEMPT);
    info.invocation.host = None;
    info.invocation.labels = Labels::default();
    info.invocation.login_uid = None;
    info.invocation.machine = None;
    info.invocation.user = None;
    let line = line(info);
    assert!(
        line.contains(r#""invocation":{"pid":4242,"uid":0},"#),
        "{line}"
    );
    // No second form of the same record.
    for member in [r#""host":null,"pid""#, r#""labels":{},"pid""#] {
        let other = line.replace(r#""pid""#, member);
        assert!(Record::parse(other.as_bytes()).is_err(), "{other}");
    }
}

proptest! {
    #![proptest_config(crate::support::property::config(512, "audit-invocation.txt"))]

    #[test]
    fn label_is_accepted_if_and_only_if_it_has_the_grammar(
        text in "[A-Za-z0-9._/=, \u{e9}\n-]{0,12}|[a-z0-9._/-]{0,70}=[ -~]{0,260}",
    ) {
        let expected = text.split_once('=').is_some_and(|(key, value)| {
            let key: Vec<char> = key.chars().collect();
            matches!(key[..], [first, ..] if first.is_ascii_alphanumeric())
                && key.len() < 64
                && key.iter().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(*c))
                && value.chars().count() < 256
                && value.chars().all(|c| (' '..='~').contains(&c) && c != ',')
        });
        prop_assert_eq!(text.parse::<Label>().is_ok(), expected);
    }

    #[test]
    fn labels_are_read_back_from_their_record(
        pairs in prop::collection::btree_map("[a-z0-9][A-Za-z0-9._/-]{0,9}", "[ -+.-~]{0,20}", 0..6),
    ) {
        let labels = pairs.iter().map(|(key, value)| format!("{key}={value}").parse());
        let labels: Result<Vec<Label>, _> = labels.collect();
        let mut info = run_info(ONE_ATTEMPT);
        info.invocation = invocation();
        info.invocation.labels = Labels::new(labels.expect("labels")).expect("distinct keys");
        let read = Record::parse(line(info.clone()).as_bytes()).expect("a record");
        prop_assert_eq!(read.entry, Entry::Run(info));
    }
}
