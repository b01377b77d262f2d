//! Descendants that left their process group.
//!
//! skopeo's process group is killed when a command ends. A descendant that called
//! setsid(2) is not in it: as a subreaper (prctl(2)) this process adopts it when its
//! parent ends, and kills it at the end of the run.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid,
};

use super::best_effort;

/// How long to wait for killed descendants: one in uninterruptible sleep can't be reaped.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// Adopts descendants, and kills them on drop. Only for a process that starts no other
/// children.
pub struct Descendants {
    /// Children that this process had before: those of the program that executed it.
    inherited: Vec<Pid>,
}

impl Descendants {
    /// Becomes a subreaper. Where the kernel refuses, nothing is adopted.
    #[must_use]
    pub fn adopt() -> Self {
        best_effort(set_child_subreaper(Some(getpid())));
        Self {
            inherited: children(),
        }
    }
}

impl Drop for Descendants {
    fn drop(&mut self) {
        let until = Instant::now() + KILL_TIMEOUT;
        // A killed child's own children are adopted in turn.
        while Instant::now() < until {
            let mut children = children();
            children.retain(|child| !self.inherited.contains(child));
            if children.is_empty() {
                return;
            }
            for child in children {
                // It may have ended by itself.
                best_effort(kill_process(child, Signal::KILL));
                best_effort(waitpid(Some(child), WaitOptions::NOHANG));
            }
        }
    }
}

/// The children of all threads (proc(5), `/proc/PID/task/TID/children`).
fn children() -> Vec<Pid> {
    let tasks = fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| {
            let pids = list.split_whitespace();
            pids.filter_map(|pid| pid.parse().ok().and_then(Pid::from_raw))
                .collect::<Vec<_>>()
        })
        .collect()
}
