//! The commands that fetch indexes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use test_support::loopback::samples::OCI_INDEX;

use crate::measure::{Contender, SLOW_TURNS, Times, Workspace, time};
use crate::table::{ms, row};

/// Numbers of processes of `xargs -P` that are tried.
pub const PROCESSES: [usize; 4] = [4, 8, 16, 32];

/// Candidates for the default number of jobs.
const JOBS: [&str; 5] = ["4", "8", "16", "32", "64"];

/// Indexes of one registry.
pub struct Images<'a> {
    pub workspace: &'a Workspace,
    pub registry: &'a str,
    pub digests: &'a [String],
    pub tls: Tls,
}

/// How a registry is reached.
pub enum Tls {
    Off,
    CertDir(PathBuf),
}

impl Images<'_> {
    fn references(&self) -> impl Iterator<Item = String> {
        let digests = self.digests.iter();
        digests.map(|digest| format!("{}/app@{digest}", self.registry))
    }

    fn tls_arguments(&self) -> Vec<String> {
        match &self.tls {
            Tls::Off => vec!["--tls-verify=false".to_owned()],
            Tls::CertDir(dir) => vec!["--cert-dir".to_owned(), dir.display().to_string()],
        }
    }

    /// Our command, into a new cache.
    pub fn fetch(&self, more: &[&str]) -> Command {
        let mut command = skopeo_index();
        command.args(["fetch", "--quiet", "--cache"]);
        command.arg(self.workspace.path()).args(more);
        command.args(self.tls_arguments()).args(self.references());
        command
    }

    /// skopeo-index, with other arguments than the default.
    pub fn ours<'c>(&'c self, name: &str, more: &'c [&'c str]) -> Contender<'c> {
        Contender::new(name, move || time(self.fetch(more)))
    }

    /// skopeo-index as it is. A first run, untimed, fails unless the registry client is
    /// what is measured.
    pub fn ours_by_client(&self) -> Contender<'_> {
        time(self.fetch(&["--engine", "registry"]));
        self.ours("skopeo-index", &[])
    }

    /// skopeo-index with each of [`JOBS`], for [`row_by_jobs`].
    pub fn ours_by_jobs<'c>(&'c self, engine: &'c str) -> [Contender<'c>; JOBS.len()] {
        JOBS.map(|jobs| {
            let arguments = ["--engine", engine, "--jobs", jobs];
            let run = move || time(self.fetch(&arguments));
            Contender::new(format!("jobs {jobs}:"), run).turns(SLOW_TURNS)
        })
    }

    /// curl in one process, with 8 connections. Keeps nothing.
    pub fn curl(&self) -> Contender<'_> {
        let request = |digest| {
            let registry = self.registry;
            format!(
                "url = \"http://{registry}/v2/app/manifests/{digest}\"\n\
                 header = \"Accept: {OCI_INDEX}\"\noutput = \"/dev/null\"\n"
            )
        };
        let config: String = self.digests.iter().map(request).collect();
        let config = self.workspace.file(&config);
        Contender::new("curl `--parallel`", move || {
            let mut command = Command::new("curl");
            command.args(["-sS", "--fail", "--parallel", "--parallel-max", "8", "-K"]);
            command.arg(&config);
            // Older versions draw a progress meter in spite of `-s`.
            command.stderr(Stdio::null());
            time(command)
        })
    }

    /// Plain skopeo, a process an index.
    pub fn skopeo(&self, processes: usize) -> Contender<'_> {
        self.skopeo_with(&format!("skopeo, `-P{processes}`"), processes, &[])
    }

    /// Plain skopeo with the value of `GOGC` that we set.
    pub fn skopeo_with_gogc(&self, processes: usize) -> Contender<'_> {
        let name = format!("skopeo with `GOGC=400`, `-P{processes}`");
        self.skopeo_with(&name, processes, &[("GOGC", "400")])
    }

    fn skopeo_with(
        &self,
        name: &str,
        processes: usize,
        variables: &'static [(&str, &str)],
    ) -> Contender<'_> {
        let mut command = vec![
            "skopeo".to_owned(),
            "inspect".to_owned(),
            "--raw".to_owned(),
        ];
        command.extend(self.tls_arguments());
        self.by_xargs(name, "docker://", command, processes, variables)
    }

    /// Other clients that are installed, by plain HTTP.
    pub fn other_clients(&self) -> Vec<Contender<'_>> {
        let clients: [&[&str]; 2] = [
            &["crane", "manifest", "--insecure"],
            &["oras", "manifest", "fetch", "--plain-http"],
        ];
        let installed = clients.iter().filter(|client| is_installed(client[0]));
        let contenders = installed.flat_map(|client| {
            PROCESSES.map(|processes| {
                let command = client.iter().map(|&word| word.to_owned()).collect();
                let name = format!("{}, `-P{processes}`", client[0]);
                self.by_xargs(&name, "", command, processes, &[])
            })
        });
        contenders.collect()
    }

    fn by_xargs(
        &self,
        name: &str,
        prefix: &str,
        words: Vec<String>,
        processes: usize,
        variables: &'static [(&str, &str)],
    ) -> Contender<'_> {
        let references = self.references();
        let list: String = references
            .map(|reference| format!("{prefix}{reference}\n"))
            .collect();
        let list = self.workspace.file(&list);
        let contender = Contender::new(name, move || {
            let mut command = Command::new("xargs");
            command.args(["-P", &processes.to_string(), "-n1"]);
            command.args(&words).envs(variables.iter().copied());
            command.stdin(File::open(&list).expect("the file"));
            time(command)
        });
        contender.turns(SLOW_TURNS)
    }
}

/// The number of processes with which plain skopeo was fastest.
pub fn best_processes(times: &Times) -> usize {
    let (best, _) = times.best("skopeo, ").expect("plain skopeo's time");
    let processes = PROCESSES.into_iter();
    let mut named = processes.filter(|processes| best.ends_with(&format!("-P{processes}`")));
    named.next().expect("a number of processes")
}

/// The times of [`Images::ours_by_jobs`].
pub fn row_by_jobs(times: &Times) {
    let time = |jobs| times.best(&format!("jobs {jobs}:"));
    let times = JOBS.iter().filter_map(|jobs| {
        let (_, time) = time(jobs)?;
        Some(format!("{jobs}: {}", ms(time)))
    });
    let times: Vec<String> = times.collect();
    row("… by `--jobs`", &times.join(", "), "", "", "");
}

/// The binary, without variables that configure it.
pub fn skopeo_index() -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SKOPEO_INDEX_") {
            command.env_remove(name);
        }
    }
    command
}

pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_skopeo-index"))
}

/// Whether a program is on PATH.
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| fs::metadata(dir.join(program)).is_ok())
}
