//! Replay of a run: each outcome is given to the state machine again, and compared with what
//! the run recorded.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::command_rules::Evidence;
use super::content_rules::{ClassificationHash, Contents, VersionHash, version_hash};
use super::contradiction::Contradiction;
use super::finding::FindingKind;
use super::id::Timestamp;
use super::names::{check_quarantine, parse_staging};
use super::record::{RunInfo, SourceInfo, TransitionRecord};
use super::verify::CLOCK_SKEW_TOLERANCE;
use crate::machine::{ContentInfo, Fetch, Outcome, Placement, State, Task};
use crate::skopeo::{MAX_COMMAND_TIMEOUT, ParsedArgv};

/// A run without an `end` record so far.
#[derive(Debug)]
pub(super) struct OpenRun {
    pub(super) info: RunInfo,
    version: VersionHash,
    /// The time of its first record; `None` once the clock was set back, after which times
    /// say nothing about durations.
    pub(super) begun: Option<Timestamp>,
    /// Whether its skopeo is identified.
    pub(super) is_identified: bool,
    open_fetches: HashMap<u64, Fetch<ContentInfo>>,
    ended_fetches: HashSet<u64>,
    /// The directory of its staging names.
    staging_dir: Option<String>,
    /// Their numbers: each fetch gets its own.
    staging_numbers: HashSet<u64>,
    /// The timeout of its commands.
    command_timeout: Option<Duration>,
    committed: u64,
}

impl OpenRun {
    pub(super) fn new(info: &RunInfo, begun: &Timestamp) -> Self {
        Self {
            info: info.clone(),
            version: version_hash(&info.version),
            begun: Some(begun.clone()),
            is_identified: matches!(info.source, SourceInfo::Skopeo(_)),
            open_fetches: HashMap::new(),
            ended_fetches: HashSet::new(),
            staging_dir: None,
            staging_numbers: HashSet::new(),
            command_timeout: None,
            committed: 0,
        }
    }

    /// Whether the numbers of an `end` record fit the run's records. An unrecorded fetch may
    /// have some records, but not its last one. A fetch whose `Committed` record could not
    /// be fsynced has all of its records and counts as failed.
    pub(super) fn can_end(&self, committed: u64, failed: u64, unrecorded: u64) -> bool {
        let all = (self.ended_fetches.len() as u64).checked_add(unrecorded);
        self.open_fetches.len() as u64 <= unrecorded
            && all.is_some()
            && all == committed.checked_add(failed)
            && committed <= self.committed
    }

    /// Repeats a transition, and compares it with its record. Returns the new state, if the
    /// state machine makes the transition.
    pub(super) fn replay(
        &mut self,
        transition: &TransitionRecord,
        time: &Timestamp,
        classification: Option<ClassificationHash>,
        contents: &mut Contents,
        kinds: &mut Vec<FindingKind>,
    ) -> Option<State> {
        let fetch = transition.fetch;
        let mut report = |contradiction| {
            kinds.push(FindingKind::Contradiction {
                fetch,
                contradiction,
            });
        };
        if self.ended_fetches.contains(&fetch) {
            report(Contradiction::EndedFetch);
            return None;
        }
        let state = self.open_fetches.remove(&fetch).unwrap_or_else(|| {
            Fetch::new(Task {
                request: transition.request.clone(),
                policy: self.info.policy,
                verifiers: self.info.verifiers.count(),
            })
        });
        let checks = [
            self.check_command(&state, transition),
            self.check_timeout(transition),
            self.check_names(transition),
            contents.check_outcome(&transition.event.outcome, classification, self.version),
        ];
        checks.into_iter().filter_map(Result::err).for_each(report);
        kinds.extend(self.check_duration(transition, time));
        match step(state, transition) {
            Ok(next) => {
                let state = next.state();
                if next.wants().is_none() {
                    self.ended_fetches.insert(fetch);
                } else {
                    self.open_fetches.insert(fetch, next);
                }
                self.committed += u64::from(state == State::Committed);
                Some(state)
            }
            Err(reason) => {
                kinds.push(FindingKind::Replay { fetch, reason });
                None
            }
        }
    }

    fn check_command(
        &self,
        state: &Fetch<ContentInfo>,
        transition: &TransitionRecord,
    ) -> Result<(), Contradiction> {
        let Some(effect) = state.wants() else {
            return Ok(());
        };
        let evidence = Evidence {
            run: &self.info,
            is_identified: self.is_identified,
            transition,
            effect: &effect,
        };
        evidence.check()
    }

    /// A run has one timeout for all commands of skopeo. How long they took is not compared with
    /// it: a machine that is suspended, or a process that is stopped, ends no command in time.
    fn check_timeout(&mut self, transition: &TransitionRecord) -> Result<(), Contradiction> {
        let command = transition.command.as_ref();
        let Some(parsed) = command.and_then(|command| ParsedArgv::parse(&command.argv)) else {
            return Ok(());
        };
        let known = *self.command_timeout.get_or_insert(parsed.timeout);
        match parsed.timeout == known && known <= MAX_COMMAND_TIMEOUT {
            true => Ok(()),
            false => Err(Contradiction::OtherArguments),
        }
    }

    fn check_names(&mut self, transition: &TransitionRecord) -> Result<(), Contradiction> {
        match &transition.event.outcome {
            Outcome::Staged { staging } => {
                let name = staging.as_str();
                let is_possible = parse_staging(name).is_some_and(|(dir, number)| {
                    let known = self.staging_dir.get_or_insert_with(|| dir.to_owned());
                    known == dir && self.staging_numbers.insert(number)
                });
                let invalid = || Contradiction::StagingName(name.to_owned());
                is_possible.then_some(()).ok_or_else(invalid)
            }
            Outcome::Quarantined { name }
            | Outcome::Published {
                placement: Placement::Replaced(name),
                ..
            } => check_quarantine(name, transition.request.digest()),
            _ => Ok(()),
        }
    }

    /// A command or an exchange takes no longer than its run so far, unless the clock is set back
    /// while it runs, which no other record shows.
    fn check_duration(
        &mut self,
        transition: &TransitionRecord,
        time: &Timestamp,
    ) -> Option<FindingKind> {
        let (command, verifier) = (&transition.command, &transition.verifier);
        let by_verifier = || verifier.as_ref().map(|verifier| &verifier.command);
        let command = command.as_ref().or_else(by_verifier);
        let exchange = transition.registry.as_ref();
        let milliseconds = command
            .map(|command| command.milliseconds)
            .max(exchange.map(|exchange| exchange.milliseconds))?;
        let (duration, begun) = (Duration::from_millis(milliseconds), self.begun.as_ref()?);
        let elapsed = time.duration_since(begun).unwrap_or_default();
        if duration <= elapsed.saturating_add(CLOCK_SKEW_TOLERANCE) {
            return None;
        }
        let begun = self.begun.take()?;
        let (fetch, time) = (transition.fetch, time.clone());
        Some(match begun.after(duration) {
            Some(previous) => FindingKind::Clock { previous, time },
            None => FindingKind::Contradiction {
                fetch,
                contradiction: Contradiction::Duration {
                    milliseconds,
                    begun,
                },
            },
        })
    }
}

/// The next state, if the machine gets there as recorded.
fn step(
    state: Fetch<ContentInfo>,
    transition: &TransitionRecord,
) -> Result<Fetch<ContentInfo>, String> {
    let event = &transition.event;
    if state.task().request != transition.request {
        return Err("its request differs from that of its earlier records".to_owned());
    }
    let (next, expected) = state
        .step(event.outcome.clone())
        .map_err(|refusal| refusal.to_string())?;
    if (event.from, event.to) != (expected.from, expected.to) {
        return Err(format!(
            "transition is {} to {}, expected {} to {}",
            event.from, event.to, expected.from, expected.to
        ));
    }
    if *event != expected {
        return Err("its attempt or cause is not what the state machine concludes".to_owned());
    }
    Ok(next)
}
