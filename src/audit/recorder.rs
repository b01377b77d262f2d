//! Writes what the executor's fetches do.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::log::{Log, LogError};
use super::names::RunId;
use super::record::{Command, Op, Run, SkopeoIdentity};
use crate::executor::{Id, Report, Step, Unrecorded, Witness};
use crate::machine::{Cause, Event, Plan, State, Trouble};
use crate::perform::CommandRecord;
use crate::request::Request;
use crate::skopeo::Exit;

/// Records one run.
#[derive(Debug)]
pub struct Recorder<'l> {
    log: &'l Log<'l>,
    run: RunId,
    committed: AtomicU64,
    failed: AtomicU64,
    /// Fetches with a record that could not be written: what they do after it
    /// has no place in the log.
    unrecorded: Mutex<HashSet<Id>>,
}

/// Where a run's bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Supply<'a> {
    /// skopeo brings them.
    Skopeo(SkopeoIdentity),
    /// They are copied from this cache.
    Cache(&'a Path),
}

impl<'l> Recorder<'l> {
    /// Begins a run.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn begin(
        log: &'l Log<'l>,
        cache: &Path,
        plan: Plan,
        supply: Supply<'_>,
    ) -> Result<Self, LogError> {
        let during = |error| LogError::during("name a run of", cache)(error);
        let run = RunId::random().map_err(during)?;
        let absolute = |path: &Path| {
            let path = std::path::absolute(path).map_err(during)?;
            Ok::<_, LogError>(path.display().to_string())
        };
        let (skopeo, from) = match supply {
            Supply::Skopeo(identity) => (Some(identity), None),
            Supply::Cache(from) => (None, Some(absolute(from)?)),
        };
        let op = Op::Run(Run {
            cache: absolute(cache)?,
            from,
            plan,
            skopeo,
            uid: rustix::process::getuid().as_raw(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        });
        log.append(&run, op)?;
        Ok(Self {
            log,
            run,
            committed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            unrecorded: Mutex::default(),
        })
    }

    /// Ends the run.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn end(self) -> Result<(), LogError> {
        let (committed, failed) = (self.committed.into_inner(), self.failed.into_inner());
        let unrecorded = self
            .unrecorded
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .len() as u64;
        self.log.append(
            &self.run,
            Op::End {
                committed,
                failed,
                unrecorded,
            },
        )?;
        self.log.sync()
    }
}

impl Recorder<'_> {
    fn unrecorded(&self) -> MutexGuard<'_, HashSet<Id>> {
        self.unrecorded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Witness for Recorder<'_> {
    fn transition(&self, of: Id, request: &Request, step: &Step) -> Result<(), Unrecorded> {
        if self.unrecorded().contains(&of) {
            return Err(Unrecorded("an earlier record is missing".to_owned()));
        }
        let op = Op::Transition {
            command: step.command.as_ref().map(command),
            event: step.event.clone(),
            fetch: of.0 as u64,
            request: request.clone(),
        };
        self.log.append(&self.run, op).map_err(|error| {
            self.unrecorded().insert(of);
            Unrecorded(error.to_string())
        })?;
        if must_be_durable(&step.event) {
            // One that can't be synced is in the log all the same, and so is what follows.
            self.log
                .sync()
                .map_err(|error| Unrecorded(error.to_string()))?;
        }
        Ok(())
    }

    fn ended(&self, _: Id, report: &Report) {
        let count = if report.result.is_ok() {
            &self.committed
        } else {
            &self.failed
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether an event's record has to be durable before it is acted on: published,
/// or reported. Of those that were told to stop, as many may be at once, the run's
/// end makes the records durable.
#[must_use]
pub const fn must_be_durable(event: &Event) -> bool {
    let stopped = matches!(
        event.cause,
        Some(Cause::Trouble {
            trouble: Trouble::Stopped { .. }
        })
    );
    match event.to {
        State::Verified | State::Committed => true,
        State::Failed => !stopped,
        State::Pending | State::Staged | State::Copied | State::Inspected => false,
    }
}

fn command(command: &CommandRecord) -> Command {
    let (exit, signal) = match command.exit {
        Some(Exit::Status(status)) => (Some(status), None),
        Some(Exit::Signal(signal)) => (None, Some(signal)),
        None => (None, None),
    };
    Command {
        argv: command
            .argv
            .iter()
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect(),
        exit,
        milliseconds: u64::try_from(command.took.as_millis()).unwrap_or(u64::MAX),
        signal,
    }
}
