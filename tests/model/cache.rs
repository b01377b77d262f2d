//! The world that the checker explores: processes, a file system, a log, a
//! registry, and what may go wrong.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::Arc;

use skopeo_index_core::digest::Digest;
use skopeo_index_core::machine::{Method, Network, State};
use stateright::{Model, Property};

use crate::disk::File;
use crate::disk::Fs;
use crate::disk::Node;
use crate::disk::Text;
use crate::disk::kept;
use crate::disk::torn;
use crate::process::Answer;
use crate::process::At;
use crate::process::Broken;
use crate::process::Call;
use crate::process::Job;
use crate::process::Next;
use crate::process::Patience;
use crate::process::Processes;
use crate::process::ROOT;
use crate::process::Standing;
use crate::rules;

/// The documents that there are: two indexes and a single image.
pub const INDEXES: [Text; 2] = [
    r#"{"schemaVersion":2,"manifests":[]}"#,
    r#"{"schemaVersion":2,"manifests":[],"annotations":{}}"#,
];
pub const IMAGE: Text = r#"{"schemaVersion":2,"config":{},"layers":[]}"#;
const GARBAGE: Text = "<html>";

/// What the registry, or skopeo, brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registry {
    /// What was asked for.
    Honest,
    /// Anything: that, another index, an image, garbage, a failure that may pass
    /// and one that won't.
    Anything,
}

/// What stands at the name of the first digest before anybody comes, or above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Before {
    /// Not the cache, nor what it would lie in.
    Nowhere,
    /// The cache, as one who never syncs has made it.
    Fresh,
    Nothing,
    /// The index, as one who never syncs has left it.
    Index,
    /// Something else.
    Corrupt,
    /// A directory.
    Directory,
}

/// What is explored: who fetches what, and how much may go wrong on one path.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The documents that are asked for, one a process.
    pub wanted: Vec<Text>,
    pub method: Method,
    pub network: Network,
    pub attempts: u32,
    pub registry: Registry,
    pub before: Vec<Before>,
    /// Calls that the system refuses.
    pub faults: u8,
    /// Processes that are killed.
    pub crashes: u8,
    /// Failures of power.
    pub powers: u8,
    /// Dead processes that are started again.
    pub restarts: u8,
    /// Times that somebody else removes the first digest's object.
    pub removals: u8,
    /// How often one process is left in the midst for another; every order where
    /// there is no number.
    pub switches: Option<u8>,
    pub broken: Broken,
}

impl Bounds {
    /// One who fetches by `raw` in a world where all goes well.
    pub fn of(wanted: &[Text]) -> Self {
        Self {
            wanted: wanted.to_vec(),
            method: Method::Raw,
            network: Network::Allowed,
            attempts: 1,
            registry: Registry::Honest,
            before: vec![Before::Nothing],
            faults: 0,
            crashes: 0,
            powers: 0,
            restarts: 0,
            removals: 0,
            switches: None,
            broken: Broken::Nothing,
        }
    }

    /// How many processes may die.
    pub fn deaths(&self) -> usize {
        let by_power = usize::from(self.powers) * self.wanted.len();
        usize::from(self.crashes) + by_power
    }
}

pub struct Cache {
    pub bounds: Bounds,
    pub processes: Arc<Processes>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub before: Before,
    pub fs: Fs,
    /// What the log has for good.
    pub log: BTreeSet<(Digest, State)>,
    pub who: Vec<Who>,
    /// Whoever was told that a digest is there.
    pub promised: BTreeSet<Digest>,
    faults: u8,
    crashes: u8,
    powers: u8,
    pub restarts: u8,
    removals: u8,
    /// Whose turn it is, and how many switches are left, where these are counted.
    turn: Option<(usize, u8)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    Running { at: At, luck: Luck },
    Dead,
    Ended(At, Luck),
}

/// Whether a process may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Luck {
    /// All that it asked for went well.
    Good,
    /// Something didn't.
    Bad,
    /// Somebody removed an object under its hands.
    Robbed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A call goes as it should.
    Go(usize),
    /// skopeo answers so.
    Bring(usize, Answer),
    /// The system refuses a call.
    Fault(usize),
    /// A process is killed before its call.
    Kill(usize),
    /// A process is killed in the midst of writing.
    KillWriting(usize),
    /// The power fails, and this is found after it.
    PowerLoss(Fs),
    Restart(usize),
    /// Somebody else removes the first digest's object.
    Remove,
}

pub fn object(digest: Digest) -> Text {
    kept(&format!("{ROOT}/{digest}"))
}

impl Cache {
    pub fn new(bounds: Bounds) -> Self {
        let processes = Arc::default();
        Self { bounds, processes }
    }

    /// The first digest's object.
    fn first(&self) -> Text {
        object(Digest::of(self.bounds.wanted[0].as_bytes()))
    }

    fn job(&self, name: char, wanted: Text, network: Network) -> Job {
        Job {
            name,
            digest: Digest::of(wanted.as_bytes()),
            method: self.bounds.method,
            network,
            attempts: self.bounds.attempts,
            broken: self.bounds.broken,
        }
    }

    pub fn start(&self, name: char, wanted: Text, network: Network) -> Who {
        let at = self.processes.start(&self.job(name, wanted, network));
        let luck = if INDEXES.contains(&wanted) && network == Network::Allowed {
            Luck::Good
        } else {
            Luck::Bad
        };
        self.arrived(at, luck)
    }

    fn arrived(&self, at: At, luck: Luck) -> Who {
        match self.processes.standing(at).next {
            Next::Wants(_) => Who::Running { at, luck },
            Next::Succeeded(_) | Next::Failed(..) => Who::Ended(at, luck),
        }
    }

    fn wanted(&self, digest: Digest) -> Text {
        let all = INDEXES.iter().chain([&IMAGE]);
        let found = all
            .copied()
            .find(|text| Digest::of(text.as_bytes()) == digest);
        found.expect("one of the documents")
    }

    /// What skopeo may answer to a call, and whether the process is to blame
    /// nobody for what follows.
    pub fn answers(&self, fs: &Fs, call: &Call) -> Vec<Answer> {
        let honest = match call {
            Call::Inspect(digest) | Call::Copy(digest, _) => Answer::Bytes(self.wanted(*digest)),
            Call::InspectDir(dir) => seen(fs, kept(&format!("{dir}/manifest.json"))),
            Call::Opinion(file) => match seen(fs, file) {
                Answer::Bytes(bytes) => {
                    Answer::Bytes(kept(&Digest::of(bytes.as_bytes()).to_string()))
                }
                other => other,
            },
            _ => return Vec::new(),
        };
        let honest = match honest {
            Answer::Bytes(_) => honest,
            _ => Answer::Failed("no such file or directory"),
        };
        if self.bounds.registry == Registry::Honest {
            return vec![honest];
        }
        let lies = match call {
            Call::Opinion(_) => vec![GARBAGE, kept(&Digest::of(b"").to_string())],
            _ => vec![INDEXES[0], INDEXES[1], IMAGE, GARBAGE, ""],
        };
        let failures = [
            "manifest unknown",
            "dial tcp 10.0.0.1:443: connect: connection refused",
        ];
        let mut all = vec![honest.clone()];
        all.extend(
            lies.into_iter()
                .map(Answer::Bytes)
                .filter(|lie| *lie != honest),
        );
        all.extend(failures.map(Answer::Failed));
        all
    }

    /// Who has a lock. Whoever takes one twice waits for himself.
    fn holder(&self, world: &World, file: File) -> Option<usize> {
        world.who.iter().position(|who| match who {
            Who::Running { at, .. } => self.processes.standing(*at).holds.contains(&file),
            Who::Dead | Who::Ended(..) => false,
        })
    }

    /// Whom a process waits for; `None` for one who can go on, or has ended.
    pub fn waits_for(&self, world: &World, who: usize) -> Option<usize> {
        let Who::Running { at, .. } = world.who[who] else {
            return None;
        };
        match &self.processes.standing(at).next {
            Next::Wants(Call::TryLock(file, Patience::Some)) => self.holder(world, *file),
            _ => None,
        }
    }

    /// Does a call, as the system does it; `None` while it has to wait.
    pub fn done(&self, world: &mut World, who: usize, call: &Call) -> Option<Answer> {
        let fs = &mut world.fs;
        let done = |result: Result<(), ErrorKind>| match result {
            Ok(()) => Answer::Done,
            Err(kind) => Answer::Refused(kind),
        };
        Some(match call {
            Call::MakeDir(dir) => done(fs.make_dir(dir)),
            Call::OpenLock(path) => match fs.node(path) {
                Some(Node::File(file)) => Answer::Opened(file),
                Some(Node::Dir) => Answer::Refused(ErrorKind::IsADirectory),
                None => match fs.create(path) {
                    Ok(file) => Answer::Opened(file),
                    Err(kind) => Answer::Refused(kind),
                },
            },
            Call::TryLock(file, patience) => match (self.holder(world, *file), patience) {
                (Some(_), Patience::Some) => return None,
                (Some(_), Patience::None) => Answer::Theirs,
                (None, _) if world.fs.is_linked(*file) => Answer::Locked,
                (None, _) => Answer::Gone,
            },
            Call::Create(path) => done(fs.create(path).map(drop)),
            Call::Write(path, bytes) => done(fs.write(path, bytes)),
            Call::Read(path) => seen(fs, path),
            Call::SyncFile(path) => done(fs.sync_file(path)),
            Call::SyncDir(dir) => done(fs.sync_dir(dir)),
            Call::Rename(from, to) => done(fs.rename(from, to)),
            Call::List(dir) => Answer::Names(
                fs.list(dir)
                    .map(|(path, _)| path.rsplit('/').next().expect("a name"))
                    .collect(),
            ),
            Call::Unlink(path) => done(fs.unlink(path)),
            Call::RemoveDir(path) => done(fs.remove_dir(path)),
            Call::Record(state) => {
                let Who::Running { at, .. } = world.who[who] else {
                    unreachable!("only who runs has a call")
                };
                world.log.insert((self.processes.job(at).digest, *state));
                Answer::Done
            }
            // skopeo answers it, and nobody has to wait.
            Call::Inspect(_) | Call::Copy(..) | Call::InspectDir(_) | Call::Opinion(_) => {
                Answer::Done
            }
        })
    }

    /// A call that no other process can tell from one made earlier or later: its
    /// order among theirs needs no exploring, once nothing more can go wrong.
    fn private(&self, world: &World) -> Option<Action> {
        let may_go_wrong = world.faults + world.crashes + world.powers + world.removals > 0;
        if may_go_wrong || self.bounds.broken != Broken::Nothing {
            return None;
        }
        world.who.iter().enumerate().find_map(|(n, who)| {
            let Who::Running { at, .. } = who else {
                return None;
            };
            // Where switches are counted, it costs none.
            if world.turn.is_some_and(|(turn, _)| turn != n) {
                return None;
            }
            let standing = self.processes.standing(*at);
            let Next::Wants(call) = &standing.next else {
                return None;
            };
            let own = format!("/staging-{}", self.processes.job(*at).name);
            let in_own = |path: &str| path.contains(&own) && !standing.holds.is_empty();
            match call {
                Call::Inspect(_) if self.bounds.registry == Registry::Honest => {
                    let answer = self.answers(&world.fs, call).pop()?;
                    Some(Action::Bring(n, answer))
                }
                Call::Record(_) => Some(Action::Go(n)),
                Call::Create(path) | Call::Write(path, _) | Call::SyncFile(path)
                    if in_own(path) =>
                {
                    Some(Action::Go(n))
                }
                Call::Unlink(path) if in_own(path) && path.ends_with(".object") => {
                    Some(Action::Go(n))
                }
                _ => None,
            }
        })
    }

    /// Whose turn it is once `who` goes on; `None` where it may not.
    fn after_switch(&self, world: &World, who: usize) -> Option<Option<(usize, u8)>> {
        let Some((turn, left)) = world.turn else {
            return Some(None);
        };
        let goes_on = |who: usize| {
            let runs = matches!(world.who[who], Who::Running { .. });
            runs && self.waits_for(world, who).is_none()
        };
        if turn == who || !goes_on(turn) {
            return Some(Some((who, left)));
        }
        left.checked_sub(1).map(|left| Some((who, left)))
    }

    pub fn takes(&self, world: &mut World, who: usize, answer: Answer, luck: Luck) {
        let Who::Running { at, luck: before } = world.who[who] else {
            unreachable!("only who runs takes answers")
        };
        let luck = luck.max(before);
        let at = self.processes.after(at, answer);
        world.who[who] = self.arrived(at, luck);
        let kept = luck < Luck::Robbed;
        if let (Next::Succeeded(_), true) = (&self.processes.standing(at).next, kept) {
            world.promised.insert(self.processes.job(at).digest);
        }
    }

    pub fn standing(&self, who: &Who) -> Option<Arc<Standing>> {
        match who {
            Who::Running { at, .. } | Who::Ended(at, _) => Some(self.processes.standing(*at)),
            Who::Dead => None,
        }
    }
}

fn seen(fs: &Fs, path: Text) -> Answer {
    match fs.node(path) {
        None => Answer::Absent,
        Some(Node::Dir) => Answer::NotAFile,
        Some(Node::File(file)) => Answer::Bytes(fs.bytes(file)),
    }
}

/// What skopeo leaves on the disk, and what it says.
pub fn brought(fs: &mut Fs, call: &Call, answer: Answer) -> Answer {
    let (Call::Copy(_, dir), Answer::Bytes(bytes)) = (call, &answer) else {
        return answer;
    };
    let path = kept(&format!("{dir}/manifest.json"));
    match fs.create(path).and_then(|_| fs.write(path, bytes)) {
        Ok(()) => Answer::Done,
        Err(_) => Answer::Failed("no such file or directory"),
    }
}

impl Model for Cache {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let first = self.first();
        let with_root = || Fs::with_dir(ROOT);
        let fs = |before| match before {
            Before::Nowhere => Fs::with_dir("/"),
            Before::Fresh => Fs::with_dir("/srv").and_dir(ROOT),
            Before::Nothing => with_root(),
            Before::Index => with_root().and_file(first, self.bounds.wanted[0]),
            Before::Corrupt => with_root().and_file(first, "corrupt"),
            Before::Directory => with_root().and_dir(first),
        };
        let names = 'A'..='Z';
        let who = || {
            names
                .clone()
                .zip(&self.bounds.wanted)
                .map(|(name, wanted)| self.start(name, wanted, self.bounds.network))
        };
        self.bounds
            .before
            .iter()
            .map(|before| World {
                before: *before,
                fs: fs(*before),
                log: BTreeSet::new(),
                who: who().collect(),
                promised: BTreeSet::new(),
                faults: self.bounds.faults,
                crashes: self.bounds.crashes,
                powers: self.bounds.powers,
                restarts: self.bounds.restarts,
                removals: self.bounds.removals,
                turn: self.bounds.switches.map(|switches| (0, switches)),
            })
            .collect()
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if let Some(alone) = self.private(world) {
            actions.push(alone);
            return;
        }
        for (n, who) in world.who.iter().enumerate() {
            match who {
                Who::Running { .. } if self.after_switch(world, n).is_none() => {}
                Who::Running { at, .. } => {
                    let standing = self.processes.standing(*at);
                    let Next::Wants(call) = &standing.next else {
                        unreachable!("who runs wants something")
                    };
                    let answers = self.answers(&world.fs, call);
                    if answers.is_empty() {
                        actions.push(Action::Go(n));
                        if world.faults > 0 {
                            actions.push(Action::Fault(n));
                        }
                    }
                    actions.extend(answers.into_iter().map(|answer| Action::Bring(n, answer)));
                    if world.crashes > 0 {
                        actions.push(Action::Kill(n));
                        if let Call::Write(..) = call {
                            actions.push(Action::KillWriting(n));
                        }
                    }
                }
                Who::Dead if world.restarts > 0 => actions.push(Action::Restart(n)),
                Who::Dead | Who::Ended(..) => {}
            }
        }
        if world.removals > 0 && world.fs.node(self.first()).is_some() {
            actions.push(Action::Remove);
        }
        if world.powers > 0 {
            let after = world.fs.after_power_loss();
            actions.extend(after.into_iter().map(Action::PowerLoss));
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        let call = |who: usize| match self.standing(&last.who[who]).map(|s| s.next.clone()) {
            Some(Next::Wants(call)) => call,
            _ => unreachable!("only who runs acts"),
        };
        match action {
            Action::Go(who) => {
                world.turn = self.after_switch(last, who)?;
                let answer = self.done(&mut world, who, &call(who))?;
                self.takes(&mut world, who, answer, Luck::Good);
            }
            Action::Bring(who, answer) => {
                world.turn = self.after_switch(last, who)?;
                let call = call(who);
                let honest = self.answers(&last.fs, &call).first() == Some(&answer);
                let luck = if honest { Luck::Good } else { Luck::Bad };
                let answer = brought(&mut world.fs, &call, answer);
                self.takes(&mut world, who, answer, luck);
            }
            Action::Fault(who) => {
                world.faults -= 1;
                let answer = Answer::Refused(ErrorKind::StorageFull);
                self.takes(&mut world, who, answer, Luck::Bad);
            }
            Action::Kill(who) => {
                world.crashes -= 1;
                world.who[who] = Who::Dead;
            }
            Action::KillWriting(who) => {
                world.crashes -= 1;
                if let Call::Write(path, bytes) = call(who) {
                    let _as_far_as_it_came = world.fs.write(path, torn(bytes));
                }
                world.who[who] = Who::Dead;
            }
            Action::PowerLoss(fs) => {
                world.powers -= 1;
                world.fs = fs;
                for who in &mut world.who {
                    if let Who::Running { .. } = who {
                        *who = Who::Dead;
                    }
                }
            }
            Action::Remove => {
                world.removals -= 1;
                // A directory stays.
                world.fs.unlink(self.first()).ok()?;
                world
                    .promised
                    .remove(&Digest::of(self.bounds.wanted[0].as_bytes()));
                for who in &mut world.who {
                    if let Who::Running { luck, .. } = who {
                        *luck = Luck::Robbed;
                    }
                }
            }
            Action::Restart(who) => {
                // A name that nobody has had.
                let past = self.bounds.restarts - world.restarts;
                let name = char::from(b'a' + past);
                world.restarts -= 1;
                world.who[who] = self.start(name, self.bounds.wanted[who], self.bounds.network);
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        rules::all(self)
    }
}
