//! The service: answers calls until the host closes the connection.

use std::error::Error;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use skopeo_index_core::audit::{Labels, LogId};
use skopeo_index_core::escape::truncate;
use skopeo_index_core::machine::{CancelReason, FetchPolicy, Method, Network, Provenance};
use skopeo_index_core::osbuild::{Call, FILES, ItemBatch, ItemResult, ItemResults, exception};
use skopeo_index_core::request::{Items, TlsVerify};

use super::{Channel, ChannelError, ReplyFormat};
use crate::audit_log::LogWriter;
use crate::fetch::{ByteSource, EngineChoice, FetchId, FetchReport, Observer, Performer};
use crate::os::{CancelToken, best_effort};
use crate::registry::{GateInputs, RegistryClient};
use crate::session::{Session, SessionConfig};
use crate::skopeo::Skopeo;
use crate::store::Store;
use crate::units::DecimalBytes;
use crate::verifier::VerifierRunner;

/// An osbuild source, and how it fetches.
pub struct Service<'a> {
    /// skopeo.
    pub skopeo: Skopeo<'a>,
    /// The engines that it may use.
    pub engine: EngineChoice,
    /// What decides about the registry client.
    pub gate: &'a GateInputs<'a>,
    /// The programs that must approve the bytes.
    pub verifiers: Option<&'a dyn VerifierRunner>,
    /// Delay before the first retry.
    pub retry_delay: Duration,
    /// The rules of every fetch.
    pub policy: FetchPolicy,
    /// TLS verification of items that don't set it.
    pub tls_verify: TlsVerify,
    /// Number of concurrent fetches.
    pub jobs: NonZeroUsize,
    /// Timeout of each call.
    pub deadline: Option<Duration>,
    /// How a failure is reported.
    pub reply: ReplyFormat,
    /// The audit log. It is opened for each call, so that it can be renamed between
    /// calls.
    pub audit_log: Option<&'a Path>,
    /// Origin of a new audit log.
    pub origin: Option<&'a LogId>,
    /// What the log calls each run.
    pub labels: &'a Labels,
}

/// Name of the exception for a failed `download`.
const FETCH_FAILED: &str = "FetchFailed";

/// Name of the exception for a failed `copy`.
const COPY_FAILED: &str = "CopyFailed";

/// Name of the exception for a message that is not a call.
const PROTOCOL_ERROR: &str = "ProtocolError";

impl Service<'_> {
    /// Answers calls until the host closes the connection.
    ///
    /// # Errors
    /// Where the socket breaks.
    pub fn serve(&self, channel: &Channel) -> Result<(), ChannelError> {
        loop {
            let reply = match channel.receive() {
                Ok(None) | Err(ChannelError::HungUp) => return Ok(()),
                Ok(Some(message)) => {
                    let call = Call::parse(message.json(), || message.attached());
                    // The call has what it needs of up to 64 MiB.
                    drop(message);
                    match call {
                        Ok(call) => self.answer(call, channel),
                        Err(error) => exception(PROTOCOL_ERROR, &error.to_string()),
                    }
                }
                Err(error @ ChannelError::Socket(_)) => return Err(error),
                Err(error) => exception(PROTOCOL_ERROR, &error.to_string()),
            };
            match channel.send(&reply) {
                // The host may close before it reads the reply.
                Err(ChannelError::HungUp) => return Ok(()),
                sent => sent?,
            }
        }
    }

    fn answer(&self, call: Call, channel: &Channel) -> Vec<u8> {
        let (results, failed, reply) = match call {
            Call::Download(call) => {
                let results = self.fetch(call.items, &call.cache, None, self.policy, channel);
                (results, FETCH_FAILED, self.reply)
            }
            Call::Copy(call) => {
                let from = Store::at(call.cache.join(FILES));
                let policy = FetchPolicy {
                    method: Method::Raw,
                    network: Network::Allowed,
                    ..self.policy
                };
                let results = self.fetch(call.items, &call.dst_cache, Some(&from), policy, channel);
                // Every host understands an exception; none reads the results of a copy.
                (results, COPY_FAILED, ReplyFormat::Exception)
            }
        };
        match (results, reply) {
            (Ok(results), ReplyFormat::Structured) => results.reply(),
            (Ok(results), ReplyFormat::Exception) if results.success() => results.short_reply(),
            (Ok(results), ReplyFormat::Exception) => exception(failed, &results.output()),
            (Err(error), _) => exception(failed, &error.to_string()),
        }
    }

    /// Fetches items into a cache, from registries or another cache, until the host hangs up.
    fn fetch(
        &self,
        items: Items,
        cache: &Path,
        from: Option<&Store>,
        policy: FetchPolicy,
        channel: &Channel,
    ) -> Result<ItemResults, Box<dyn Error>> {
        let ItemBatch {
            requests,
            mut results,
        } = ItemBatch::parse(&items, self.tls_verify);
        drop(items);
        let fetched_word = match from {
            None => "fetched",
            Some(_) => "copied",
        };
        let deadline = self
            .deadline
            .and_then(|time| Instant::now().checked_add(time));
        let cancel = Arc::new(CancelToken::new(deadline)?);
        let registry = RegistryClient::new(self.gate, &cancel, self.skopeo.command_timeout);
        let source = match from {
            Some(cache) => ByteSource::Cache(cache),
            None => self.engine.source(&registry, self.skopeo, policy.attempts),
        };
        let store = Store::at(cache.join(FILES));
        until_hung_up(channel, &cancel, || {
            store.create()?;
            let log = self.audit_log.map(|log| LogWriter::open(log, &cancel));
            let log = log
                .transpose()?
                .map(|log| log.with_origin(self.origin.cloned()));
            let display = StatusLines {
                total: requests.len(),
                done: AtomicUsize::new(0),
                fetched_word,
            };
            let session = Session::begin(SessionConfig {
                performer: Performer {
                    store: &store,
                    source,
                    verifiers: self.verifiers,
                    retry_delay: self.retry_delay,
                    cancel: &cancel,
                },
                policy,
                jobs: self.jobs,
                log: log.as_ref(),
                labels: self.labels,
                display: &display,
                warn: &print_status,
            })?;
            session.fetch_and_record_names(&requests, |report| {
                results.push(ItemResult::of_fetch(
                    report.request.digest(),
                    &report.result,
                ));
            });
            session.end()?;
            Ok(results)
        })
    }
}

/// Does `work`, and cancels it when the host closes its socket.
fn until_hung_up<T>(
    channel: &Channel,
    cancel: &CancelToken,
    work: impl FnOnce() -> Result<T, Box<dyn Error>>,
) -> Result<T, Box<dyn Error>> {
    let (working, done) = io::pipe()?;
    let watch = || {
        loop {
            // Only a hang-up wakes the thread, not a call that waits in the socket.
            let mut fds = [
                PollFd::new(channel, PollFlags::RDHUP),
                PollFd::new(&working, PollFlags::IN),
            ];
            if poll(&mut fds, None).is_err() {
                continue;
            }
            if !fds[0].revents().is_empty() {
                return cancel.cancel(CancelReason::HungUp);
            }
            if !fds[1].revents().is_empty() {
                return;
            }
        }
    };
    thread::scope(|scope| {
        thread::Builder::new().spawn_scoped(scope, watch)?;
        let result = work();
        drop(done);
        result
    })
}

/// A line for each item, on the host's progress display.
struct StatusLines {
    total: usize,
    done: AtomicUsize,
    /// What an object is that was not in the cache.
    fetched_word: &'static str,
}

impl Observer for StatusLines {
    fn ended(&self, _: FetchId, report: &FetchReport) {
        let done = 1 + self.done.fetch_add(1, Ordering::Relaxed);
        let (name, digest) = (report.request.name(), report.request.digest().to_string());
        // Enough of a digest to recognise it.
        let short = &digest[.."sha256:".len() + 12];
        let result = match &report.result {
            Err(failed) => failed.cause().to_string(),
            Ok(committed) => {
                let word = match committed.provenance() {
                    Provenance::Hit => committed.provenance().as_str(),
                    Provenance::Fetched { .. } => self.fetched_word,
                };
                format!("{word}, {}", DecimalBytes(committed.size()))
            }
        };
        let took = report.took.as_secs_f64();
        print_status(&format!(
            "{done}/{} {name}@{short}… {result}, {took:.1} s",
            self.total
        ));
    }
}

/// Maximum length of a line on the host's display.
const MAX_STATUS_LINE: usize = 1024;

/// Writes a line to the host's display. Non-blocking: drops the line if the pipe is full,
/// so a host that does not read stdout still gets its reply.
fn print_status(line: &str) {
    let line = truncate(line, MAX_STATUS_LINE);
    let mut out = io::stdout().lock();
    let mut fds = [PollFd::new(&out, PollFlags::OUT)];
    // A writable pipe takes `PIPE_BUF` bytes, four times a line, at once.
    if matches!(poll(&mut fds, Some(&Timespec::default())), Ok(1)) {
        best_effort(writeln!(out, "{line}"));
    }
}
