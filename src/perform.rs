//! Does what a fetch wants: the one place that knows how bytes are copied.
//!
//! ```text
//!  Effect ──▶ Performer ──▶ Outcome, and the command that was run for it
//!                ├── Store: look up, quarantine, stage, publish
//!                └── CommandRunner: copy, reread, opinion
//! ```

use std::ffi::OsString;
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::index::MANIFEST_MAX;
use crate::machine::{Bytes, Class, Effect, Method, Outcome, Staging, Trouble};
use crate::request::Request;
use crate::skopeo::{
    Command, CommandRunner, Exit, Limits, Options, Ran, failure, storage_is_there,
};
use crate::store::{Aside, Disk, Fault, Seen, Store};
use crate::text;

/// Performs effects against a cache, by means of skopeo.
pub struct Performer<'a, R, D> {
    /// The cache.
    pub store: &'a Store<D>,
    /// Where bytes come from.
    pub engine: Engine<'a, R, D>,
    /// The pause after the first failed attempt.
    pub retry_delay: Duration,
    /// Ends every wait.
    pub cancel: &'a Cancel,
}

/// Where bytes come from.
pub enum Engine<'a, R, D> {
    /// skopeo brings them.
    Skopeo {
        /// Runs it.
        runner: &'a R,
        /// What goes with every command.
        options: &'a Options,
        /// Time for one command.
        command_timeout: Duration,
    },
    /// They are in another cache of this machine (method raw only).
    Cache(&'a Store<D>),
}

/// What came of an effect.
#[derive(Debug)]
pub struct Performed {
    /// The outcome that the machine takes.
    pub outcome: Outcome<Bytes>,
    /// The command that was run.
    pub command: Option<CommandRecord>,
}

/// A command that was run, as a record tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRecord {
    /// Its arguments, without the program.
    pub argv: Vec<OsString>,
    /// How it ended, if it did by itself.
    pub exit: Option<Exit>,
    /// How long it took.
    pub took: Duration,
}

/// The process is gone: only tests that crash it say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halt;

/// Why there is no outcome of the hoped-for kind.
enum Miss {
    Trouble(Trouble),
    Halt,
}

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The longest of what skopeo prints as a digest that is kept.
const OPINION_MAX: usize = 256;

impl<R: CommandRunner, D: Disk> Performer<'_, R, D> {
    /// Performs an effect.
    ///
    /// # Errors
    /// [`Halt`], from the stand-ins of tests only: an ordinary failure is an
    /// outcome.
    pub fn perform(&self, effect: &Effect<'_, Bytes>) -> Result<Performed, Halt> {
        let mut command = None;
        let outcome = match self.outcome(effect, &mut command) {
            Ok(outcome) => outcome,
            Err(Miss::Trouble(trouble)) => Outcome::Trouble { trouble },
            Err(Miss::Halt) => return Err(Halt),
        };
        Ok(Performed { outcome, command })
    }

    fn outcome(
        &self,
        effect: &Effect<'_, Bytes>,
        record: &mut Option<CommandRecord>,
    ) -> Result<Outcome<Bytes>, Miss> {
        if let (Some(why), true) = (self.cancel.stopped(), can_stop_before(effect)) {
            return Err(Miss::Trouble(Trouble::Stopped { why }));
        }
        Ok(match effect {
            Effect::LookUp { digest } => seen(self.store.look_up(*digest)?),
            Effect::Quarantine { digest } => match self.store.quarantine(*digest, self.cancel)? {
                Aside::Moved(name) => Outcome::Quarantined { name },
                Aside::Left(found) => seen(found),
            },
            Effect::Stage => Outcome::Staged {
                at: self.store.stage()?,
            },
            Effect::Copy {
                request,
                method,
                at,
                attempt,
            } => {
                let content = match (&self.engine, method) {
                    (Engine::Cache(from), _) => from_cache(from, request)?,
                    (Engine::Skopeo { .. }, Method::Raw) => {
                        storage_is_there(request.source()).map_err(Miss::Trouble)?;
                        self.run(&Command::InspectRaw(request), record)?.stdout
                    }
                    (Engine::Skopeo { .. }, Method::Copy) => {
                        storage_is_there(request.source()).map_err(Miss::Trouble)?;
                        self.copy_index(request, at, *attempt, record)?
                    }
                };
                Outcome::Copied {
                    content: content.into(),
                }
            }
            Effect::Reread { at, attempt } => {
                let from = &self.store.attempt_dir(at, *attempt);
                let ran = self.run(&Command::InspectDir { from }, record)?;
                Outcome::Reread {
                    content: ran.stdout.into(),
                }
            }
            Effect::Opinion { at, attempt } => {
                let file = &self.store.attempt_dir(at, *attempt).join(MANIFEST);
                let ran = self.run(&Command::ManifestDigest { file }, record)?;
                let kept = &ran.stdout[..ran.stdout.len().min(OPINION_MAX)];
                Outcome::Opinion {
                    digest: String::from_utf8_lossy(kept).trim_end().to_owned(),
                }
            }
            Effect::Pause { attempt } => {
                match self.cancel.wait(pause(self.retry_delay, *attempt)) {
                    None => Outcome::Paused,
                    Some(why) => return Err(Miss::Trouble(Trouble::Stopped { why })),
                }
            }
            Effect::Proceed => Outcome::Proceed,
            Effect::Publish {
                digest,
                content,
                at,
            } => {
                let placed = {
                    let bytes = content.as_slice();
                    self.store.publish(*digest, bytes, at, self.cancel)?
                };
                match self.store.read(*digest)? {
                    Seen::Bytes(bytes) => Outcome::Published {
                        content: bytes.into(),
                        placed,
                    },
                    // Gone, or something else: not what was put there.
                    _ => Outcome::Published {
                        content: Vec::new().into(),
                        placed,
                    },
                }
            }
        })
    }

    /// `skopeo copy` writes an index, and `version`, into a directory of its own.
    fn copy_index(
        &self,
        request: &Request,
        at: &Staging,
        attempt: u32,
        record: &mut Option<CommandRecord>,
    ) -> Result<Vec<u8>, Miss> {
        if attempt > 1 {
            // Many attempts take no more room than one.
            let before = self.store.attempt_dir(at, attempt - 1);
            self.store.disk().remove(&before)?;
        }
        let to = &self.store.attempt_dir(at, attempt);
        self.store.disk().make_dir(to)?;
        self.run(&Command::CopyIndex { request, to }, record)?;
        match self.store.disk().read(&to.join(MANIFEST), MANIFEST_MAX)? {
            Seen::Bytes(bytes) => Ok(bytes),
            Seen::Oversized { size, .. } => Err(trouble(
                Class::TooLarge,
                format!("it copied a manifest of {size} bytes"),
            )),
            Seen::Absent | Seen::NotAFile => Err(trouble(
                Class::Other,
                format!("it ended well and left no {MANIFEST}"),
            )),
        }
    }

    fn run(&self, command: &Command<'_>, record: &mut Option<CommandRecord>) -> Result<Ran, Miss> {
        let writes_to = match command {
            Command::CopyIndex { to, .. } => Some(*to),
            _ => None,
        };
        let Engine::Skopeo {
            runner,
            options,
            command_timeout: time,
        } = self.engine
        else {
            return Err(trouble(Class::Other, "no skopeo is asked here".to_owned()));
        };
        let limits = Limits { time, writes_to };
        let started = Instant::now();
        let ran = runner.run(command, options, &limits, self.cancel);
        *record = Some(CommandRecord {
            argv: command.argv(options, time),
            exit: ran.as_ref().ok().map(|ran| ran.exit),
            took: started.elapsed(),
        });
        match ran {
            Ok(ran) if ran.exit == Exit::Status(0) => Ok(ran),
            Ok(ran) => Err(Miss::Trouble(failure::explain(&ran))),
            Err(error) => Err(failure::explain_run(&error).map_or(Miss::Halt, Miss::Trouble)),
        }
    }
}

/// The pause after a failed attempt: twice as long as the one before, at random
/// between a half and the whole of it, so that many who failed at once don't
/// come back at once.
#[must_use]
pub fn pause(first: Duration, attempt: u32) -> Duration {
    let doubled = 1_u32
        .checked_shl(attempt.saturating_sub(1))
        .unwrap_or(u32::MAX);
    let whole = first.saturating_mul(doubled).min(PAUSE_MAX);
    whole.mul_f64(f64::midpoint(1.0, fastrand::f64()))
}

/// The file of a `dir:` that holds the manifest.
const MANIFEST: &str = "manifest.json";

/// What is verified is a moment from being there: it is finished.
const fn can_stop_before(effect: &Effect<'_, Bytes>) -> bool {
    !matches!(effect, Effect::Publish { .. } | Effect::Proceed)
}

/// The bytes of another cache's object; what they are is yet to be seen.
fn from_cache<D: Disk>(from: &Store<D>, request: &Request) -> Result<Vec<u8>, Miss> {
    match from.read(request.digest())? {
        Seen::Bytes(bytes) => Ok(bytes),
        Seen::Absent => {
            let message = format!("it is not in {}", from.root().display());
            Err(trouble(Class::NotFound, message))
        }
        Seen::Oversized { size, .. } => Err(trouble(Class::TooLarge, format!("{size} bytes"))),
        Seen::NotAFile => Err(trouble(Class::Other, "it is not a file".to_owned())),
    }
}

fn seen(seen: Seen) -> Outcome<Bytes> {
    match seen {
        Seen::Absent => Outcome::Absent,
        Seen::Bytes(bytes) => Outcome::Found {
            content: bytes.into(),
        },
        Seen::Oversized { digest, size } => Outcome::FoundOversized { digest, size },
        Seen::NotAFile => Outcome::FoundNotAFile,
    }
}

fn trouble(class: Class, message: String) -> Miss {
    Miss::Trouble(Trouble::Command { class, message })
}

impl From<Fault> for Miss {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Io { doing, path, error } => Self::Trouble(Trouble::Disk {
                doing: doing.to_owned(),
                path: text::shortened(&path.to_string_lossy()),
                error: error.to_string(),
            }),
            Fault::Stopped(why) => Self::Trouble(Trouble::Stopped { why }),
            Fault::Halt => Self::Halt,
        }
    }
}
