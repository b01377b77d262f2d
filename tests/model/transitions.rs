//! The actions that are possible in a world, and the world after each.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use skopeo_index::os::best_effort;
use stateright::{Model, Property};

use crate::bounds::Registry;
use crate::call::{Answer, Call};
use crate::file_system::{FileSystem, truncated};
use crate::process::Status;
use crate::properties;
use crate::world::{CacheModel, Disturbance, Process, Schedule, World, object, run_skopeo};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The system performs a process's call.
    Perform(usize),
    /// skopeo answers a process's call.
    RemoteAnswer(usize, Answer),
    /// The system refuses a process's call.
    Refuse(usize),
    /// The system can't sync a whole file system for a process.
    Decline(usize),
    /// A process is killed before its call.
    Kill(usize),
    /// A process is killed while it writes.
    KillDuringWrite(usize),
    /// The power fails, and this is found after it.
    PowerFailure(FileSystem),
    Restart(usize),
    /// Another program removes the first digest's object.
    RemoveObject,
}

impl Model for CacheModel {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let bounds = &self.bounds;
        let object = object(self.first_digest());
        let names = 'A'..='Z';
        let processes = names.zip(&bounds.requested);
        let processes: Vec<_> = processes
            .map(|(name, document)| self.start(name, document, bounds.network))
            .collect();
        let initial = bounds.initial_disks.iter().map(|initial| World {
            initial: *initial,
            fs: initial.file_system(object, bounds.requested[0]),
            log: BTreeSet::new(),
            processes: processes.clone(),
            reported: BTreeSet::new(),
            faults: bounds.faults,
            crashes: bounds.crashes,
            power_failures: bounds.power_failures,
            restarts: bounds.restarts,
            removals: bounds.removals,
            schedule: bounds.context_switches.map(|switches| Schedule {
                running: 0,
                switches,
            }),
        });
        initial.collect()
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if let Some(action) = self.independent_action(world) {
            actions.push(action);
            return;
        }
        for (n, process) in world.processes.iter().enumerate() {
            match process {
                Process::Running { .. } if self.schedule(world, n).is_none() => {}
                Process::Running { .. } => self.actions_of(world, n, actions),
                Process::Crashed if world.restarts > 0 => actions.push(Action::Restart(n)),
                Process::Crashed | Process::Ended { .. } => {}
            }
        }
        if world.removals > 0 && world.fs.node(object(self.first_digest())).is_some() {
            actions.push(Action::RemoveObject);
        }
        if world.power_failures > 0 {
            let after = world.fs.after_power_failure();
            actions.extend(after.into_iter().map(Action::PowerFailure));
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        let call = |n: usize| {
            self.next_call(&last.processes[n])
                .expect("a running process")
        };
        match action {
            Action::Perform(n) => {
                world.schedule = self.schedule(last, n)?;
                let answer = self.perform(&mut world, n, &call(n))?;
                self.deliver(&mut world, n, answer, Disturbance::None);
            }
            Action::RemoteAnswer(n, answer) => {
                world.schedule = self.schedule(last, n)?;
                let call = call(n);
                let is_correct = self.remote_answers(&last.fs, &call).first() == Some(&answer);
                let disturbance = if is_correct {
                    Disturbance::None
                } else {
                    Disturbance::Failure
                };
                let answer = run_skopeo(&mut world.fs, &call, answer);
                self.deliver(&mut world, n, answer, disturbance);
            }
            Action::Refuse(n) => {
                world.faults -= 1;
                let answer = Answer::Error(ErrorKind::StorageFull);
                self.deliver(&mut world, n, answer, Disturbance::Failure);
            }
            Action::Decline(n) => {
                world.schedule = self.schedule(last, n)?;
                self.deliver(&mut world, n, Answer::Unavailable, Disturbance::None);
            }
            Action::Kill(n) => {
                world.crashes -= 1;
                world.processes[n] = Process::Crashed;
            }
            Action::KillDuringWrite(n) => {
                world.crashes -= 1;
                if let Call::Write(path, content) = call(n) {
                    // The file may have been removed.
                    best_effort(world.fs.write(path, truncated(content)));
                }
                world.processes[n] = Process::Crashed;
            }
            Action::PowerFailure(fs) => {
                world.power_failures -= 1;
                world.fs = fs;
                for process in &mut world.processes {
                    if let Process::Running { .. } = process {
                        *process = Process::Crashed;
                    }
                }
            }
            Action::RemoveObject => {
                world.removals -= 1;
                // Directories are not removed.
                world.fs.unlink(object(self.first_digest())).ok()?;
                world.reported.remove(&self.first_digest());
                for process in &mut world.processes {
                    if let Process::Running { disturbance, .. } = process {
                        *disturbance = Disturbance::ObjectRemoved;
                    }
                }
            }
            Action::Restart(n) => {
                let restarted = self.bounds.restarts - world.restarts;
                let name = char::from(b'a' + restarted);
                world.restarts -= 1;
                let document = self.bounds.requested[n];
                world.processes[n] = self.start(name, document, self.bounds.network);
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self)
    }
}

impl CacheModel {
    /// The actions on a running process.
    fn actions_of(&self, world: &World, n: usize, actions: &mut Vec<Action>) {
        let call = self.next_call(&world.processes[n]);
        let call = call.expect("a running process");
        let answers = self.remote_answers(&world.fs, &call);
        if answers.is_empty() {
            actions.push(Action::Perform(n));
            if world.faults > 0 && call != Call::Report {
                actions.push(Action::Refuse(n));
            }
            if let Call::SyncFileSystem { .. } = call {
                actions.push(Action::Decline(n));
            }
        }
        let answers = answers.into_iter();
        actions.extend(answers.map(|answer| Action::RemoteAnswer(n, answer)));
        if world.crashes > 0 {
            actions.push(Action::Kill(n));
            if let Call::Write(..) = call {
                actions.push(Action::KillDuringWrite(n));
            }
        }
    }

    /// Partial-order reduction: an action whose effect no other process can observe, so
    /// that its order among theirs need not be explored. None while a disturbance may come.
    fn independent_action(&self, world: &World) -> Option<Action> {
        let disturbances = world.faults + world.crashes + world.power_failures + world.removals;
        if disturbances > 0 || self.bounds.bug.is_some() {
            return None;
        }
        world.processes.iter().enumerate().find_map(|(n, process)| {
            let Process::Running { history, .. } = process else {
                return None;
            };
            // It must not cost a context switch.
            if world.schedule.is_some_and(|schedule| schedule.running != n) {
                return None;
            }
            let snapshot = self.histories.snapshot(*history);
            let Status::Calling(call) = &snapshot.status else {
                return None;
            };
            let own = format!("/staging-{}", self.histories.job(*history).name);
            let is_own = |path: &str| path.contains(&own) && !snapshot.locks.is_empty();
            match call {
                Call::Request(_) | Call::InspectRaw(_)
                    if self.bounds.registry == Registry::Correct =>
                {
                    let answer = self.remote_answers(&world.fs, call).pop()?;
                    Some(Action::RemoteAnswer(n, answer))
                }
                Call::Record(_) | Call::Report => Some(Action::Perform(n)),
                Call::Create(path) | Call::Write(path, _) | Call::SyncFile(path)
                    if is_own(path) =>
                {
                    Some(Action::Perform(n))
                }
                Call::Unlink(path) if is_own(path) && path.ends_with(".object") => {
                    Some(Action::Perform(n))
                }
                _ => None,
            }
        })
    }

    /// The schedule once process `n` runs; `None` where no context switch is left for it.
    #[allow(clippy::option_option, reason = "a schedule is optional itself")]
    fn schedule(&self, world: &World, n: usize) -> Option<Option<Schedule>> {
        let Some(Schedule { running, switches }) = world.schedule else {
            return Some(None);
        };
        let can_continue = |n: usize| {
            let is_running = matches!(world.processes[n], Process::Running { .. });
            is_running && self.waits_for(world, n).is_none()
        };
        let switches = if running == n || !can_continue(running) {
            switches
        } else {
            switches.checked_sub(1)?
        };
        Some(Some(Schedule {
            running: n,
            switches,
        }))
    }
}
