//! The service: calls are answered until the host closes.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::DecimalBytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};

use super::channel::{Channel, ChannelError};
use super::era::Reply;
use super::items::{self, Plan};
use super::protocol::{Call, Results, exception};
use super::{FILES, protocol};
use crate::audit::{Log, Recorder, Supply};
use crate::cancel::Cancel;
use crate::executor::{Executor, Id, Report, Step, Unrecorded, Witness};
use crate::machine::{self, Method, Network, Provenance, Stop};
use crate::perform::{Engine, Performer};
use crate::request::{Items, TlsVerify};
use crate::skopeo::{self, Options, Process};
use crate::store::{RealDisk, Store};
use crate::text;

/// An osbuild source, and how it fetches.
pub struct Service<'a> {
    /// Runs skopeo.
    pub runner: &'a Process,
    /// What goes with every command.
    pub options: &'a Options,
    /// Time for one command.
    pub command_timeout: Duration,
    /// The pause after the first failed attempt.
    pub retry_delay: Duration,
    /// The rules of every fetch.
    pub plan: machine::Plan,
    /// Whether registries have to prove who they are, where an item doesn't say it.
    pub tls_verify: TlsVerify,
    /// How many at once.
    pub jobs: NonZeroUsize,
    /// Time for one call.
    pub deadline: Option<Duration>,
    /// How a failure is told.
    pub failure: Reply,
    /// The log in which every fetch is recorded; opened for each call, so that it
    /// may be moved between them.
    pub audit: Option<&'a Path>,
}

/// The name of the exception that a failed call ends with.
const FETCH_FAILED: &str = "FetchFailed";

/// The name of the exception that a message gets which is no call.
const PROTOCOL_ERROR: &str = "ProtocolError";

impl Service<'_> {
    /// Answers calls until the host closes.
    ///
    /// # Errors
    /// Where the socket breaks.
    pub fn serve(&self, channel: &Channel) -> Result<(), ChannelError> {
        loop {
            let reply = match channel.receive() {
                Ok(None) | Err(ChannelError::HungUp) => return Ok(()),
                Ok(Some(message)) => match Call::parse(message.json(), || message.attached()) {
                    Ok(call) => self.answer(&call, channel),
                    Err(error) => exception(PROTOCOL_ERROR, &error.to_string()),
                },
                Err(error @ ChannelError::Socket(_)) => return Err(error),
                Err(error) => exception(PROTOCOL_ERROR, &error.to_string()),
            };
            match channel.send(reply.to_string().as_bytes()) {
                // Before the answer: an end like any other.
                Err(ChannelError::HungUp) => return Ok(()),
                sent => sent?,
            }
        }
    }

    fn answer(&self, call: &Call, channel: &Channel) -> serde_json::Value {
        let results = match call {
            Call::Download(call) => {
                self.fetch(&call.items, &call.cache, channel, |cancel, items, store| {
                    let engine = Engine::Skopeo {
                        runner: self.runner,
                        options: self.options,
                        command_timeout: self.command_timeout,
                    };
                    self.run(cancel, items, store, engine, self.plan)
                })
            }
            Call::Copy(call) => {
                let from = Store::new(call.cache.join(FILES), RealDisk);
                // Only from that cache, and only once: it has it or it hasn't.
                let plan = machine::Plan {
                    method: Method::Raw,
                    network: Network::Allowed,
                    ..self.plan
                };
                self.fetch(
                    &call.items,
                    &call.dst_cache,
                    channel,
                    |cancel, items, store| {
                        self.run(cancel, items, store, Engine::Cache(&from), plan)
                    },
                )
            }
        };
        match (results, self.failure) {
            (Ok(results), Reply::Structured) => results.reply(),
            (Ok(results), Reply::Exception) if results.success() => results.short_reply(),
            (Ok(results), Reply::Exception) => exception(FETCH_FAILED, &results.output()),
            (Err(error), _) => exception(FETCH_FAILED, &error.to_string()),
        }
    }

    /// Brings items into a cache, until the host hangs up.
    fn fetch(
        &self,
        items: &Items,
        cache: &Path,
        channel: &Channel,
        run: impl FnOnce(&Cancel, &Plan, &Store<RealDisk>) -> io::Result<Vec<protocol::ItemResult>>,
    ) -> io::Result<Results> {
        let plan = Plan::of(items, self.tls_verify);
        let deadline = self
            .deadline
            .and_then(|time| Instant::now().checked_add(time));
        let cancel = Cancel::new(deadline)?;
        let store = Store::new(cache.join(FILES), RealDisk);
        let reports = until_hung_up(channel, &cancel, || {
            store.make().map_err(io::Error::other)?;
            if let Err(fault) = store.sweep() {
                say(&format!("cannot sweep what dead processes left: {fault}"));
            }
            let reports = run(&cancel, &plan, &store);
            if let Err(fault) = store.close() {
                say(&fault.to_string());
            }
            reports
        })??;
        Ok(plan.results(reports))
    }

    fn run(
        &self,
        cancel: &Cancel,
        plan: &Plan,
        store: &Store<RealDisk>,
        engine: Engine<'_, Process, RealDisk>,
        rules: machine::Plan,
    ) -> io::Result<Vec<protocol::ItemResult>> {
        let log = self.audit.map(|log| Log::open(log, cancel)).transpose();
        let log = log.map_err(io::Error::other)?;
        let recorder = log.as_ref().map(|log| {
            let supply = match engine {
                Engine::Skopeo { runner, .. } => {
                    Supply::Skopeo(skopeo::identify(runner, cancel).into())
                }
                Engine::Cache(from) => Supply::Cache(from.root()),
            };
            Recorder::begin(log, store.root(), rules, supply)
        });
        let recorder = recorder.transpose().map_err(io::Error::other)?;
        let lines = Lines {
            total: plan.requests.len(),
            done: AtomicUsize::new(0),
        };
        let mut witnesses: Vec<&dyn Witness> = Vec::new();
        witnesses.extend(recorder.as_ref().map(|recorder| recorder as &dyn Witness));
        witnesses.push(&lines);
        let performer = Performer {
            store,
            engine,
            retry_delay: self.retry_delay,
            cancel,
        };
        let executor = Executor {
            performer,
            plan: rules,
            jobs: self.jobs,
            witnesses: &witnesses,
        };
        let mut results = Vec::with_capacity(plan.requests.len());
        // A halt comes from the stand-ins of tests only.
        let _halt = executor.run(&plan.requests, |report| results.push(items::result(report)));
        recorder
            .map_or(Ok(()), Recorder::end)
            .map_err(io::Error::other)?;
        Ok(results)
    }
}

/// Does `work`, and stops it when the host closes its socket meanwhile.
fn until_hung_up<T>(channel: &Channel, cancel: &Cancel, work: impl FnOnce() -> T) -> io::Result<T> {
    let (working, done) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok(thread::scope(|scope| {
        scope.spawn(|| {
            let (host, working) = (channel.as_fd(), working);
            loop {
                // Calls that wait in the socket are no reason to wake up.
                let mut fds = [
                    PollFd::new(&host, PollFlags::RDHUP),
                    PollFd::new(&working, PollFlags::IN),
                ];
                if poll(&mut fds, None).is_err() {
                    continue;
                }
                if !fds[0].revents().is_empty() {
                    return cancel.stop(Stop::HungUp);
                }
                if !fds[1].revents().is_empty() {
                    return;
                }
            }
        });
        let result = work();
        drop(done);
        result
    }))
}

/// A line for each item, on the host's progress display.
struct Lines {
    total: usize,
    done: AtomicUsize,
}

impl Witness for Lines {
    fn transition(&self, _: Id, _: &crate::request::Request, _: &Step) -> Result<(), Unrecorded> {
        Ok(())
    }

    fn ended(&self, _: Id, report: &Report) {
        let done = 1 + self.done.fetch_add(1, Ordering::Relaxed);
        let (name, digest) = (report.request.name(), report.request.digest().to_string());
        // Enough of a digest to find it by.
        let short = &digest[.."sha256:".len() + 12];
        let how = match &report.result {
            Err(failure) => failure.to_string(),
            Ok(committed) => {
                let how = match committed.provenance() {
                    Provenance::Hit => "cached",
                    Provenance::Fetched { .. } => "fetched",
                };
                format!("{how}, {}", DecimalBytes(committed.size()))
            }
        };
        let took = report.took.as_secs_f64();
        say(&format!(
            "{done}/{} {name}@{short}… {how}, {took:.1} s",
            self.total
        ));
    }
}

/// The longest line on the host's display.
const LINE_MAX: usize = 1024;

/// Writes a line to the host's display. One that doesn't read must not keep us
/// from answering it, so what has no room is dropped: the reply says it all.
fn say(line: &str) {
    let line = text::cut(line, LINE_MAX);
    let mut out = io::stdout().lock();
    let mut fds = [PollFd::new(&out, PollFlags::OUT)];
    // A pipe that takes anything takes `PIPE_BUF`, four times a line, at once.
    if matches!(poll(&mut fds, Some(&Timespec::default())), Ok(1)) {
        let _closed = writeln!(out, "{line}");
    }
}
