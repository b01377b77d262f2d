//! Verifiers as child processes.
//!
//! ```text
//! verified bytes ──▶ a copy ──▶ file, stdin ──▶ program ──▶ exit status ──▶ Outcome
//! ```
//!
//! What a verifier does to its copy changes nothing: the bytes in memory are committed.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use skopeo_index_core::audit::{CommandRecord, VerifierRecord};
use skopeo_index_core::digest::Digest;
use skopeo_index_core::escape::json_text;
use skopeo_index_core::layout::VERIFIER_COPY;
use skopeo_index_core::machine::{EffectError, ManifestBytes, Outcome};
use skopeo_index_core::request::Request;
use skopeo_index_core::skopeo::{CommandOutput, Exit, SkopeoOptions};
use skopeo_index_core::verifier::{NO_OUTPUT, VerifierCommand, Verifiers, verifier_message};

use crate::command::{
    self, CommandLimits, CommandLine, RunError, Stderr, find_program, hash_program,
};
use crate::os::{CancelToken, PathContext};
use crate::skopeo::redactor;

/// Runs the verifiers of a run. Tests replace it.
pub trait VerifierRunner: Sync {
    /// The verifiers, in their order.
    fn verifiers(&self) -> &Verifiers;

    /// Runs a verifier on a copy of the bytes in `dir`, an empty private directory, and
    /// returns its exit. `record` is set if it was run.
    ///
    /// # Errors
    /// Where it did not exit by itself.
    fn run(
        &self,
        verifier: u8,
        request: &Request,
        content: &ManifestBytes,
        dir: &Path,
        cancel: &CancelToken,
        record: &mut Option<VerifierRecord>,
    ) -> Result<Outcome<ManifestBytes>, EffectError>;
}

/// Verifiers that are programs on this machine.
#[derive(Debug)]
pub struct VerifierPrograms {
    verifiers: Verifiers,
    programs: Vec<Program>,
    timeout: Duration,
    options: SkopeoOptions,
}

/// The program of a verifier.
#[derive(Debug)]
struct Program {
    path: PathBuf,
    /// The file's state when it was hashed, and its SHA-256.
    hashed: Mutex<Option<(FileState, Digest)>>,
}

/// What changes with a file: device, inode, size, and the time of its last change.
type FileState = (u64, u64, u64, i64, i64);

impl VerifierPrograms {
    /// Finds the programs, each of which has `timeout` for a run. Credentials that `options`
    /// name are removed from messages.
    ///
    /// # Errors
    /// Where a program isn't found, or is not an executable file.
    pub fn find(
        verifiers: Verifiers,
        timeout: Duration,
        options: SkopeoOptions,
    ) -> Result<Self, RunError> {
        let find = |command: &VerifierCommand| {
            let program = Path::new(command.program());
            let path = find_program(program)?;
            Ok(Program {
                path: std::path::absolute(&path).map_err(|error| RunError::Io {
                    program: path,
                    error,
                })?,
                hashed: Mutex::default(),
            })
        };
        let programs: Result<_, RunError> = verifiers.as_slice().iter().map(find).collect();
        Ok(Self {
            programs: programs?,
            verifiers,
            timeout,
            options,
        })
    }

    fn outcome(
        &self,
        program: &Path,
        result: Result<CommandOutput, RunError>,
    ) -> Result<Outcome<ManifestBytes>, EffectError> {
        let no_verdict = match result {
            Ok(CommandOutput {
                exit: Exit::Status(status),
                stdout,
                ..
            }) => {
                let message = match status {
                    0 => String::new(),
                    _ => verifier_message(&json_text(program), &self.last_line(&stdout)),
                };
                return Ok(Outcome::VerifierExited { message, status });
            }
            Ok(CommandOutput {
                exit: Exit::Signal(signal),
                ..
            }) => format!("killed by signal {signal}"),
            Err(RunError::Cancelled(reason)) => return Err(reason.into()),
            Err(RunError::NotFound(_)) => "command not found".to_owned(),
            Err(RunError::Io { error, .. }) => error.to_string(),
            Err(error) => error.to_string(),
        };
        Err(EffectError::Verifier {
            message: verifier_message(&json_text(program), &no_verdict),
        })
    }

    /// The last line of an output that isn't empty, without credentials.
    fn last_line(&self, output: &[u8]) -> String {
        let lines = output.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let last = lines.rev().find(|line| !line.is_empty());
        last.map_or_else(
            || NO_OUTPUT.to_owned(),
            |line| redactor(&self.options).redact(&String::from_utf8_lossy(line)),
        )
    }
}

impl VerifierRunner for VerifierPrograms {
    fn verifiers(&self) -> &Verifiers {
        &self.verifiers
    }

    fn run(
        &self,
        verifier: u8,
        request: &Request,
        content: &ManifestBytes,
        dir: &Path,
        cancel: &CancelToken,
        record: &mut Option<VerifierRecord>,
    ) -> Result<Outcome<ManifestBytes>, EffectError> {
        let mut verifiers = self.verifiers.as_slice().iter().zip(&self.programs);
        let found = verifiers.nth(usize::from(verifier));
        let (command, program) = found.ok_or_else(|| EffectError::Verifier {
            message: format!("the run has no verifier {verifier}"),
        })?;
        let copy = dir.join(VERIFIER_COPY);
        let stdin = write_copy(&copy, content.as_slice()).context("write", &copy)?;
        let argv = command.arguments(request, copy.as_os_str());
        let recorded = command.arguments(request, json_text(&copy).as_ref());
        let (sha256, started) = (program.sha256(cancel), Instant::now());
        let line = CommandLine {
            program: &program.path,
            argv: &argv,
            variable: None,
            stdin: Some(stdin),
            stderr: Stderr::Merged,
        };
        let limits = CommandLimits {
            timeout: self.timeout,
            output_dir: None,
        };
        let result = command::run(line, &limits, cancel);
        let output = result.as_ref().ok();
        let exit = output.map(|output| output.exit);
        *record = Some(VerifierRecord {
            command: CommandRecord::new(&recorded, exit, started.elapsed()),
            output: output.map(|output| Digest::of(&output.stdout)),
            path: json_text(&program.path),
            sha256,
        });
        self.outcome(&program.path, result)
    }
}

impl Program {
    /// SHA-256 of the file, which is hashed again only once it has changed; `None` if it
    /// can't be read.
    fn sha256(&self, cancel: &CancelToken) -> Option<Digest> {
        let state = file_state(&self.path.metadata().ok()?);
        let mut hashed = self.hashed.lock().unwrap_or_else(PoisonError::into_inner);
        match *hashed {
            Some((known, digest)) if known == state => Some(digest),
            _ => {
                let digest = hash_program(&self.path, cancel).ok()?;
                *hashed = Some((state, digest));
                Some(digest)
            }
        }
    }
}

fn file_state(file: &Metadata) -> FileState {
    (
        file.dev(),
        file.ino(),
        file.size(),
        file.ctime(),
        file.ctime_nsec(),
    )
}

/// Writes a file that only its owner can read, and opens it.
fn write_copy(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let mut copy = options
        .write(true)
        .create_new(true)
        .mode(0o400)
        .open(path)?;
    copy.write_all(bytes)?;
    File::open(path)
}
