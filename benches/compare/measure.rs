//! Times of programs that take turns, peak memory, and flushes of a device.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Turns of a program that takes milliseconds.
const TURNS: usize = 9;

/// Turns of a program that starts a process for each index.
pub const SLOW_TURNS: usize = 5;

/// The directory of the whole run.
pub struct Workspace {
    root: TempDir,
    used: Cell<usize>,
}

impl Workspace {
    pub fn new() -> Self {
        Self {
            root: tempfile::tempdir().expect("a directory"),
            used: Cell::new(0),
        }
    }

    /// A path that doesn't exist yet.
    pub fn path(&self) -> PathBuf {
        self.used.set(self.used.get() + 1);
        self.root.path().join(self.used.get().to_string())
    }

    /// A new directory.
    pub fn dir(&self) -> PathBuf {
        let dir = self.path();
        fs::create_dir(&dir).expect("a directory");
        dir
    }

    /// A new file.
    pub fn file(&self, text: &str) -> PathBuf {
        let file = self.path();
        fs::write(&file, text).expect("a file");
        file
    }
}

/// A program of a row.
pub struct Contender<'a> {
    name: String,
    turns: usize,
    run: Box<dyn FnMut() -> Duration + 'a>,
}

impl<'a> Contender<'a> {
    pub fn new(name: impl Into<String>, run: impl FnMut() -> Duration + 'a) -> Self {
        Self {
            name: name.into(),
            turns: TURNS,
            run: Box::new(run),
        }
    }

    pub fn run_once(mut self) -> Duration {
        (self.run)()
    }

    /// Takes fewer turns than [`TURNS`].
    pub fn turns(self, turns: usize) -> Self {
        Self { turns, ..self }
    }
}

/// The median times of a row's programs.
pub struct Times(Vec<(String, Duration)>);

impl Times {
    /// Runs the programs in turns.
    pub fn measure(mut contenders: Vec<Contender<'_>>) -> Self {
        let mut times = vec![Vec::new(); contenders.len()];
        for turn in 0..TURNS {
            for (contender, times) in contenders.iter_mut().zip(&mut times) {
                if turn < contender.turns {
                    times.push((contender.run)());
                }
            }
        }
        let median = |mut times: Vec<Duration>| {
            times.sort_unstable();
            times[times.len() / 2]
        };
        let names = contenders.into_iter().map(|contender| contender.name);
        Self(names.zip(times.into_iter().map(median)).collect())
    }

    /// The time of the row's first program.
    pub fn first(&self) -> Duration {
        self.0[0].1
    }

    /// The fastest program whose name begins so, if there is one.
    pub fn best(&self, prefix: &str) -> Option<(&str, Duration)> {
        let named = self.0.iter().filter(|(name, _)| name.starts_with(prefix));
        let fastest = named.min_by_key(|(_, time)| *time);
        fastest.map(|(name, time)| (name.as_str(), *time))
    }
}

/// The time of one program, alone.
pub fn median(name: &str, run: impl FnMut() -> Duration) -> Duration {
    Times::measure(vec![Contender::new(name, run)]).first()
}

/// Runs a command to its end.
pub fn time(mut command: Command) -> Duration {
    command.stdout(Stdio::null());
    let started = Instant::now();
    let status = command.status().expect("the command");
    let took = started.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    took
}

/// Peak memory of a command, measured with GNU time.
pub fn memory(command: &Command) -> String {
    let gnu_time = Path::new("/usr/bin/time");
    if !gnu_time.exists() {
        return "memory not measured: no /usr/bin/time".to_owned();
    }
    let output = tempfile::NamedTempFile::new().expect("a file");
    let mut timed = Command::new(gnu_time);
    timed.args(["-f", "%M", "-o"]).arg(output.path());
    timed.arg(command.get_program()).args(command.get_args());
    time(timed);
    let kib = fs::read_to_string(output.path()).expect("GNU time's output");
    let kib = kib.trim().parse::<f64>().expect("a number");
    format!("{:.1} MiB", kib / 1024.0)
}

/// Cache flushes that a directory's device has completed, for any process; `None` where the
/// kernel doesn't say.
pub fn flushes(dir: &Path) -> Option<u64> {
    /// The field of `/sys/block/*/stat` (Linux 5.5).
    const FLUSHES: usize = 15;
    let device = fs::metadata(dir).ok()?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let device = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    // Flushes count for the disk, not for its partitions.
    let is_partition = device.join("partition").exists();
    let disk = if is_partition {
        device.parent()?
    } else {
        &device
    };
    let stat = fs::read_to_string(disk.join("stat")).ok()?;
    stat.split_whitespace().nth(FLUSHES)?.parse().ok()
}
