//! The world that the checker explores: processes, a file system, a log, a
//! registry, and what may go wrong.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::Arc;

use skopeo_index::digest::Digest;
use skopeo_index::index::Index;
use skopeo_index::machine::{Method, State};
use stateright::{Model, Property};

use crate::disk::{Fs, Node, Text, kept, torn};
use crate::process::{
    Answer, At, Broken, Call, Job, Next, Patience, Processes, ROOT, Standing, Success,
};

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

/// What stands at the name of the first digest before anybody comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Before {
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
            attempts: 1,
            registry: Registry::Honest,
            before: vec![Before::Nothing],
            faults: 0,
            crashes: 0,
            powers: 0,
            restarts: 0,
            switches: None,
            broken: Broken::Nothing,
        }
    }
}

pub struct Cache {
    bounds: Bounds,
    pub processes: Arc<Processes>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    before: Before,
    fs: Fs,
    /// What the log has for good.
    log: BTreeSet<(Digest, State)>,
    who: Vec<Who>,
    /// Whoever was told that a digest is there.
    promised: BTreeSet<Digest>,
    faults: u8,
    crashes: u8,
    powers: u8,
    restarts: u8,
    /// Whose turn it is, and how many switches are left, where these are counted.
    turn: Option<(usize, u8)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Who {
    Running { at: At, luck: Luck },
    Dead,
    Ended(At, Luck),
}

/// Whether a process may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Luck {
    /// All that it asked for went well.
    Good,
    /// Something didn't.
    Bad,
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
}

/// What is so in some state of the world.
type Holds = fn(&Cache, &World) -> bool;

/// Where corrupt objects are kept.
const QUARANTINE: Text = "/cache/.skopeo-index/quarantine";

fn object(digest: Digest) -> Text {
    kept(&format!("{ROOT}/{digest}"))
}

impl Cache {
    pub fn new(bounds: Bounds) -> Self {
        let processes = Arc::default();
        Self { bounds, processes }
    }

    fn job(&self, name: char, wanted: Text) -> Job {
        Job {
            name,
            digest: Digest::of(wanted.as_bytes()),
            method: self.bounds.method,
            attempts: self.bounds.attempts,
            broken: self.bounds.broken,
        }
    }

    fn start(&self, name: char, wanted: Text) -> Who {
        let at = self.processes.start(&self.job(name, wanted));
        let luck = if INDEXES.contains(&wanted) {
            Luck::Good
        } else {
            Luck::Bad
        };
        self.arrived(at, luck)
    }

    fn arrived(&self, at: At, luck: Luck) -> Who {
        match self.processes.standing(at).next {
            Next::Wants(_) => Who::Running { at, luck },
            Next::Succeeded(_) | Next::Failed(_) => Who::Ended(at, luck),
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
    fn answers(&self, fs: &Fs, call: &Call) -> Vec<Answer> {
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

    /// Does a call, as the system does it; `None` while it has to wait.
    fn done(&self, world: &mut World, who: usize, call: &Call) -> Option<Answer> {
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
            Call::TryLock(file, patience) => {
                let holds = |other: &Who| match other {
                    Who::Running { at, .. } => self.processes.standing(*at).holds.contains(file),
                    Who::Dead | Who::Ended(..) => false,
                };
                let mut others = world.who.iter().enumerate();
                match (others.any(|(n, other)| n != who && holds(other)), patience) {
                    (true, Patience::Some) => return None,
                    (true, Patience::None) => Answer::Theirs,
                    (false, _) if world.fs.is_linked(*file) => Answer::Locked,
                    (false, _) => Answer::Gone,
                }
            }
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
        let may_go_wrong = world.faults + world.crashes + world.powers > 0;
        if may_go_wrong || self.bounds.broken != Broken::Nothing {
            return None;
        }
        world.who.iter().enumerate().find_map(|(n, who)| {
            let Who::Running { at, .. } = who else {
                return None;
            };
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
        let goes_on = |who: usize| match world.who[who] {
            Who::Running { at, .. } => match &self.processes.standing(at).next {
                Next::Wants(call) => self.done(&mut world.clone(), who, call).is_some(),
                _ => false,
            },
            Who::Dead | Who::Ended(..) => false,
        };
        if turn == who || !goes_on(turn) {
            return Some(Some((who, left)));
        }
        left.checked_sub(1).map(|left| Some((who, left)))
    }

    fn takes(&self, world: &mut World, who: usize, answer: Answer, luck: Luck) {
        let Who::Running { at, luck: before } = world.who[who] else {
            unreachable!("only who runs takes answers")
        };
        let luck = if before == Luck::Bad { before } else { luck };
        let at = self.processes.after(at, answer);
        world.who[who] = self.arrived(at, luck);
        if let Next::Succeeded(_) = self.processes.standing(at).next {
            world.promised.insert(self.processes.job(at).digest);
        }
    }

    fn standing(&self, who: &Who) -> Option<Arc<Standing>> {
        match who {
            Who::Running { at, .. } | Who::Ended(at, _) => Some(self.processes.standing(*at)),
            Who::Dead => None,
        }
    }

    /// Whether nothing but an index with that SHA-256 is at a digest's name,
    /// except what was there before anybody came.
    fn only_what_belongs(&self, world: &World) -> bool {
        world.fs.list(ROOT).all(|(path, node)| {
            let name = path.rsplit('/').next().expect("a name");
            let Ok(digest) = name.parse::<Digest>() else {
                return true;
            };
            match node {
                Node::Dir => world.before == Before::Directory,
                Node::File(file) if world.before != Before::Nothing && file == (path, 0) => true,
                Node::File(file) => belongs(digest, world.fs.bytes(file)),
            }
        })
    }

    fn is_there(world: &World, digest: Digest) -> bool {
        match world.fs.node(object(digest)) {
            Some(Node::File(file)) => belongs(digest, world.fs.bytes(file)),
            _ => false,
        }
    }

    /// Whether one more process, in a world where all goes well, fetches each
    /// digest and leaves nothing behind.
    fn next_run_is_well(&self, world: &World) -> bool {
        let indexes = self.bounds.wanted.iter().filter(|w| INDEXES.contains(w));
        let mut world = world.clone();
        for (n, wanted) in indexes.chain([&INDEXES[1]]).enumerate() {
            let name = char::from(b'Z' - u8::try_from(n).expect("few"));
            world.who = vec![self.start(name, wanted)];
            while let Who::Running { at, luck } = world.who[0] {
                let Next::Wants(call) = &self.processes.standing(at).next else {
                    unreachable!("who runs wants something")
                };
                let honest = self.answers(&world.fs, call).into_iter().next();
                let answer = match honest {
                    Some(honest) => brought(&mut world.fs, call, honest),
                    None => match self.done(&mut world, 0, call) {
                        Some(answer) => answer,
                        None => return false,
                    },
                };
                self.takes(&mut world, 0, answer, luck);
            }
            if !self.keeps_promises(&world)
                || !Self::is_there(&world, Digest::of(wanted.as_bytes()))
            {
                return false;
            }
        }
        let ours = kept(&format!("{ROOT}/.skopeo-index"));
        let left = |path: &str| path.contains("/staging-");
        world.fs.list(ours).all(|(path, _)| !left(path)) && self.only_what_belongs(&world)
    }

    fn keeps_promises(&self, world: &World) -> bool {
        world.promised.iter().all(|digest| {
            let recorded = world.log.contains(&(*digest, State::Committed));
            recorded && Self::is_there(world, *digest)
        })
    }

    /// Whether every object that wasn't there before was recorded as verified.
    fn is_recorded(&self, world: &World) -> bool {
        self.bounds.wanted.iter().all(|wanted| {
            let digest = Digest::of(wanted.as_bytes());
            let there = match world.fs.node(object(digest)) {
                Some(Node::File(file)) => {
                    world.before == Before::Nothing || file != (object(digest), 0)
                }
                _ => false,
            };
            !there || world.log.contains(&(digest, State::Verified))
        })
    }
}

fn belongs(digest: Digest, bytes: Text) -> bool {
    Digest::of(bytes.as_bytes()) == digest && Index::parse(bytes.as_bytes()).is_ok()
}

fn seen(fs: &Fs, path: Text) -> Answer {
    match fs.node(path) {
        None => Answer::Absent,
        Some(Node::Dir) => Answer::NotAFile,
        Some(Node::File(file)) => Answer::Bytes(fs.bytes(file)),
    }
}

/// What skopeo leaves on the disk, and what it says.
fn brought(fs: &mut Fs, call: &Call, answer: Answer) -> Answer {
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
        let first = object(Digest::of(self.bounds.wanted[0].as_bytes()));
        let fs = |before| {
            let mut fs = Fs::with_dir(ROOT);
            match before {
                Before::Nothing => {}
                Before::Index => fs = fs.and_file(first, self.bounds.wanted[0]),
                Before::Corrupt => fs = fs.and_file(first, "corrupt"),
                Before::Directory => fs.make_dir(first).expect("a directory"),
            }
            fs
        };
        let names = 'A'..='Z';
        let who = || {
            names
                .clone()
                .zip(&self.bounds.wanted)
                .map(|(name, wanted)| self.start(name, wanted))
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
            Action::Restart(who) => {
                // A name that nobody has had.
                let past = self.bounds.restarts - world.restarts;
                let name = char::from(b'a' + past);
                world.restarts -= 1;
                world.who[who] = self.start(name, self.bounds.wanted[who]);
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn succeeded(cache: &Cache, world: &World, how: Success) -> bool {
            let ended = world.who.iter().filter_map(|who| cache.standing(who));
            ended
                .into_iter()
                .any(|standing| matches!(standing.next, Next::Succeeded(s) if s == how))
        }
        fn failed(cache: &Cache, world: &World, at: State) -> bool {
            let mut ended = world.who.iter().filter_map(|who| cache.standing(who));
            ended.any(|standing| matches!(standing.next, Next::Failed(state) if state == at))
        }
        let mut all = vec![
            Property::always(
                "1: only what belongs there is at a digest's name",
                |cache: &Self, world: &World| cache.only_what_belongs(world),
            ),
            Property::always(
                "2: what was promised is there and recorded, whatever comes",
                |cache: &Self, world: &World| cache.keeps_promises(world),
            ),
            Property::always(
                "3: after any crash the next run is well, and leaves nothing",
                |cache: &Self, world: &World| {
                    let runs = |who: &Who| matches!(who, Who::Running { .. });
                    world.who.iter().any(runs) || cache.next_run_is_well(world)
                },
            ),
            Property::always(
                "8: nothing is there without its record",
                |cache: &Self, world: &World| cache.is_recorded(world),
            ),
            Property::always(
                "nobody fails without a cause of his own",
                |cache: &Self, world: &World| {
                    world.who.iter().all(|who| match who {
                        Who::Ended(at, Luck::Good) => {
                            matches!(cache.processes.standing(*at).next, Next::Succeeded(_))
                        }
                        _ => true,
                    })
                },
            ),
        ];
        if self.bounds.registry == Registry::Honest
            && self.bounds.faults == 0
            && INDEXES.contains(&self.bounds.wanted[0])
        {
            all.push(Property::eventually(
                "a fetch commits in the end",
                |_: &Self, world: &World| {
                    !world.promised.is_empty() || world.who.contains(&Who::Dead)
                },
            ));
        }
        fn reached(cache: &Cache, world: &World, state: State) -> bool {
            let mut standing = world.who.iter().filter_map(|who| cache.standing(who));
            standing.any(|standing| standing.reached.contains(&state))
        }
        let before = |what| self.bounds.before.contains(&what);
        let anything = self.bounds.registry == Registry::Anything;
        let index = INDEXES.contains(&self.bounds.wanted[0]);
        let twice = self.bounds.wanted[1..].contains(&self.bounds.wanted[0]);
        let sometimes: [(bool, &'static str, Holds); 15] = [
            (true, "staged", |c, w| reached(c, w, State::Staged)),
            (true, "copied", |c, w| reached(c, w, State::Copied)),
            (index, "inspected", |c, w| reached(c, w, State::Inspected)),
            (index, "verified", |c, w| reached(c, w, State::Verified)),
            (index, "committed", |c, w| reached(c, w, State::Committed)),
            (anything || !index, "failed", |c, w| {
                reached(c, w, State::Failed)
            }),
            (index, "published", |c, w| {
                succeeded(c, w, Success::Published)
            }),
            (before(Before::Index), "a hit", |c, w| {
                succeeded(c, w, Success::Hit)
            }),
            (twice, "already there", |c, w| {
                succeeded(c, w, Success::AlreadyThere)
            }),
            (anything, "failed in staged", |c, w| {
                failed(c, w, State::Staged)
            }),
            (anything || !index, "failed in copied", |c, w| {
                failed(c, w, State::Copied)
            }),
            (anything, "failed in inspected", |c, w| {
                failed(c, w, State::Inspected)
            }),
            (self.bounds.faults > 0, "failed in pending", |c, w| {
                failed(c, w, State::Pending)
            }),
            (
                self.bounds.faults > 0 && index,
                "failed in verified",
                |c, w| failed(c, w, State::Verified),
            ),
            (twice && before(Before::Corrupt), "moved aside", |_, w| {
                w.fs.list(QUARANTINE).next().is_some()
            }),
        ];
        all.extend(
            sometimes
                .into_iter()
                .filter(|(may, ..)| *may)
                .map(|(_, name, condition)| Property::sometimes(name, condition)),
        );
        all
    }
}
