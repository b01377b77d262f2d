//! An abstract file system of two layers: what processes see, and what has
//! surely reached the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::{LazyLock, Mutex, PoisonError};

/// A path or a file's bytes; both are few and short.
pub type Text = &'static str;

/// A text that is kept for good.
pub fn kept(text: &str) -> Text {
    static KEPT: LazyLock<Mutex<BTreeSet<Text>>> = LazyLock::new(Mutex::default);
    let mut all = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    all.get(text).copied().unwrap_or_else(|| {
        let text = Box::leak(text.to_owned().into_boxed_str());
        all.insert(text);
        text
    })
}

/// A file, whatever its name is by now: the name it was made under, and the how
/// manyth it was.
pub type File = (Text, u8);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    Dir,
    File(File),
}

/// What a file holds, and what of it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Bytes {
    now: Text,
    durable: Text,
}

type Names = BTreeMap<Text, Node>;

/// The file system.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fs {
    now: Names,
    durable: Names,
    files: BTreeMap<File, Bytes>,
}

/// An error without its text.
pub type Refused = ErrorKind;

/// What is always there.
const TOP: Text = "/";

fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) if path != TOP => TOP,
        Some((parent, _)) => parent,
        None => "",
    }
}

/// A file whose writing was cut off.
pub fn torn(bytes: Text) -> Text {
    kept(&bytes[..bytes.len() / 2])
}

impl Fs {
    /// One with a directory in it, and those above it, durably.
    pub fn with_dir(dir: Text) -> Self {
        let above = std::iter::successors(Some(dir), |dir| Some(parent(dir)));
        let all = above.take_while(|dir| !dir.is_empty());
        let now: Names = all.map(|dir| (dir, Node::Dir)).collect();
        Self {
            durable: now.clone(),
            now,
            files: BTreeMap::new(),
        }
    }

    /// The same with a directory in it that nobody has synced.
    pub fn and_dir(mut self, path: Text) -> Self {
        self.make_dir(path).expect("a directory for it");
        self
    }

    /// The same with a file in it that was there before anybody came, never
    /// synced.
    pub fn and_file(mut self, path: Text, bytes: Text) -> Self {
        self.create(path).expect("a directory for it");
        self.write(path, bytes).expect("a file");
        self
    }

    fn has_parent(&self, path: &str) -> Result<(), Refused> {
        match self.now.get(parent(path)) {
            Some(Node::Dir) => Ok(()),
            _ => Err(ErrorKind::NotFound),
        }
    }

    fn file(&self, path: &str) -> Result<File, Refused> {
        match self.now.get(path) {
            Some(Node::File(file)) => Ok(*file),
            Some(Node::Dir) => Err(ErrorKind::IsADirectory),
            None => Err(ErrorKind::NotFound),
        }
    }

    pub fn node(&self, path: &str) -> Option<Node> {
        self.now.get(path).copied()
    }

    pub fn bytes(&self, file: File) -> Text {
        self.files[&file].now
    }

    /// What stands at every name in a directory.
    pub fn list(&self, dir: Text) -> impl Iterator<Item = (Text, Node)> {
        self.now
            .iter()
            .filter(move |(path, _)| parent(path) == dir)
            .map(|(path, node)| (*path, *node))
    }

    pub fn make_dir(&mut self, path: Text) -> Result<(), Refused> {
        self.has_parent(path)?;
        match self.now.get(path) {
            Some(_) => Err(ErrorKind::AlreadyExists),
            None => {
                self.now.insert(path, Node::Dir);
                Ok(())
            }
        }
    }

    pub fn create(&mut self, path: Text) -> Result<File, Refused> {
        self.has_parent(path)?;
        if self.now.contains_key(path) {
            return Err(ErrorKind::AlreadyExists);
        }
        let file = (0..)
            .map(|n| (path, n))
            .find(|file| !self.files.contains_key(file));
        let file = file.expect("a number");
        self.now.insert(path, Node::File(file));
        let (now, durable) = ("", "");
        self.files.insert(file, Bytes { now, durable });
        Ok(file)
    }

    pub fn write(&mut self, path: Text, bytes: Text) -> Result<(), Refused> {
        let file = self.file(path)?;
        self.files.entry(file).and_modify(|is| is.now = bytes);
        Ok(())
    }

    pub fn sync_file(&mut self, path: Text) -> Result<(), Refused> {
        let file = self.file(path)?;
        self.files.entry(file).and_modify(|is| is.durable = is.now);
        Ok(())
    }

    pub fn sync_dir(&mut self, dir: Text) -> Result<(), Refused> {
        if self.now.get(dir) != Some(&Node::Dir) {
            return Err(ErrorKind::NotFound);
        }
        self.durable.retain(|path, _| parent(path) != dir);
        let entries: Vec<_> = self.list(dir).collect();
        self.durable.extend(entries);
        self.forget();
        Ok(())
    }

    pub fn rename(&mut self, from: Text, to: Text) -> Result<(), Refused> {
        self.has_parent(to)?;
        if self.now.contains_key(to) {
            return Err(ErrorKind::AlreadyExists);
        }
        let node = self.now.remove(from).ok_or(ErrorKind::NotFound)?;
        self.now.insert(to, node);
        Ok(())
    }

    pub fn unlink(&mut self, path: Text) -> Result<(), Refused> {
        self.file(path)?;
        self.now.remove(path);
        self.forget();
        Ok(())
    }

    pub fn remove_dir(&mut self, path: Text) -> Result<(), Refused> {
        if self.list(path).next().is_some() {
            return Err(ErrorKind::DirectoryNotEmpty);
        }
        match self.now.remove(path) {
            Some(_) => Ok(()),
            None => Err(ErrorKind::NotFound),
        }
    }

    /// Whether a file has a name.
    pub fn is_linked(&self, file: File) -> bool {
        self.now.values().any(|node| *node == Node::File(file))
    }

    /// Forgets the bytes of files that nobody can come to any more.
    fn forget(&mut self) {
        let names = || self.now.values().chain(self.durable.values());
        let linked: BTreeSet<_> = names().copied().collect();
        self.files
            .retain(|file, _| linked.contains(&Node::File(*file)));
    }

    /// Everything that may be found after a power failure: each name is where it
    /// is or where it was, whatever became of any other name, and each file that
    /// wasn't synced is whole, cut off, or as it was. What is in a staging
    /// directory is there or not as a whole: nobody reads it again.
    pub fn after_power_loss(&self) -> BTreeSet<Self> {
        let units: BTreeSet<Text> = self
            .paths()
            .filter(|path| self.now.get(path) != self.durable.get(path))
            .map(unit)
            .collect();
        let mut all = vec![self.durable.clone()];
        for lost in units {
            let kept = |names: &Names| {
                let of_now = self.now.iter().filter(|(path, _)| unit(path) == lost);
                let mut names = names.clone();
                names.retain(|path, _| unit(path) != lost);
                names.extend(of_now);
                names
            };
            all.extend(all.iter().map(kept).collect::<Vec<_>>());
        }
        let names: BTreeSet<Names> = all.into_iter().map(|names| self.reachable(names)).collect();
        names
            .iter()
            .flat_map(|names| self.with_names(names))
            .collect()
    }

    fn paths(&self) -> impl Iterator<Item = Text> {
        self.now.keys().chain(self.durable.keys()).copied()
    }

    /// What lies in a directory that is lost is lost.
    fn reachable(&self, mut names: Names) -> Names {
        let lost: Vec<Text> = self
            .paths()
            .filter(|path| !names.contains_key(path))
            .collect();
        let within = |path: Text, dir: Text| {
            let rest = path.strip_prefix(dir);
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        names.retain(|path, _| !lost.iter().any(|dir| within(path, dir)));
        names
    }

    /// All that the files of these names may hold.
    fn with_names(&self, names: &Names) -> Vec<Self> {
        let mut all = vec![Self {
            now: names.clone(),
            durable: names.clone(),
            files: BTreeMap::new(),
        }];
        for (path, node) in names {
            let Node::File(file) = *node else { continue };
            let Bytes { now, durable } = self.files[&file];
            let mut may_hold = BTreeSet::from([now]);
            if now != durable && unit(path) == *path {
                may_hold.extend([durable, torn(now)]);
            }
            let holding = |fs: &Self, bytes| {
                let mut fs = fs.clone();
                let (now, durable) = (bytes, bytes);
                fs.files.insert(file, Bytes { now, durable });
                fs
            };
            all = all
                .iter()
                .flat_map(|fs| may_hold.iter().map(move |bytes| holding(fs, *bytes)))
                .collect();
        }
        all
    }
}

/// What is lost or kept together: a staging directory with all that is in it, or
/// a single name.
fn unit(path: Text) -> Text {
    let Some((_, rest)) = path.split_once("/staging-") else {
        return path;
    };
    let rest = rest.split_once('/').map_or("", |(_, rest)| rest);
    path.strip_suffix(rest)
        .unwrap_or(path)
        .trim_end_matches('/')
}
