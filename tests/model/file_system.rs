//! An abstract file system of two layers: what processes see, and what is durable.

mod power_failure;

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::{LazyLock, Mutex, PoisonError};

pub use power_failure::truncated;

/// An interned path or file content; both are few and short.
pub type Text = &'static str;

/// Interns a text. It is never freed.
pub fn intern(text: &str) -> Text {
    static INTERNED: LazyLock<Mutex<BTreeSet<Text>>> = LazyLock::new(Mutex::default);
    let mut interned = INTERNED.lock().unwrap_or_else(PoisonError::into_inner);
    interned.get(text).copied().unwrap_or_else(|| {
        let text = Box::leak(text.to_owned().into_boxed_str());
        interned.insert(text);
        text
    })
}

/// A file, whatever its present name: the path at which it was created, and a counter of
/// the files created there.
pub type FileId = (Text, u8);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    Dir,
    File(FileId),
    /// A directory that others can write to.
    ForeignDir,
    Link,
    Pipe,
    /// A file that has no end.
    Endless,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Content {
    visible: Text,
    durable: Text,
}

type Entries = BTreeMap<Text, Node>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileSystem {
    visible: Entries,
    durable: Entries,
    files: BTreeMap<FileId, Content>,
}

const TOP_DIR: Text = "/";

/// The directory that links lead to.
pub const VICTIM: Text = "/srv/victim";

fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) if path != TOP_DIR => TOP_DIR,
        Some((parent, _)) => parent,
        None => "",
    }
}

impl FileSystem {
    /// Has one directory and its ancestors, durably.
    pub fn with_dir(dir: Text) -> Self {
        let ancestors = std::iter::successors(Some(dir), |dir| Some(parent(dir)));
        let all = ancestors.take_while(|dir| !dir.is_empty());
        let visible: Entries = all.map(|dir| (dir, Node::Dir)).collect();
        Self {
            durable: visible.clone(),
            visible,
            files: BTreeMap::new(),
        }
    }

    /// Adds a directory that was never synced.
    pub fn and_unsynced_dir(mut self, path: Text) -> Self {
        self.make_dir(path).expect("its parent exists");
        self
    }

    /// Adds a file that was never synced.
    pub fn and_unsynced_file(mut self, path: Text, content: Text) -> Self {
        self.create(path).expect("its parent exists");
        self.write(path, content).expect("a file");
        self
    }

    /// Adds a file durably.
    pub fn and_file(self, path: Text, content: Text) -> Self {
        let mut fs = self.and_unsynced_file(path, content);
        fs.sync_file(path).expect("a file");
        fs.durable.insert(path, fs.visible[path]);
        fs
    }

    /// Adds something that isn't ours, durably.
    pub fn and_node(mut self, path: Text, node: Node) -> Self {
        self.visible.insert(path, node);
        self.durable.insert(path, node);
        self
    }

    /// What isn't ours: links, pipes, directories of others and what is in these.
    pub fn foreign(&self) -> BTreeMap<Text, Node> {
        let is_in_foreign_dir = |path| self.visible.get(parent(path)) == Some(&Node::ForeignDir);
        let is_foreign = |(path, node): &(&Text, &Node)| {
            let ours = matches!(node, Node::Dir | Node::File(_));
            !ours || path.starts_with(VICTIM) || is_in_foreign_dir(path)
        };
        let foreign = self.visible.iter().filter(is_foreign);
        foreign.map(|(path, node)| (*path, *node)).collect()
    }

    fn check_parent(&self, path: &str) -> Result<(), ErrorKind> {
        match self.visible.get(parent(path)) {
            Some(Node::Dir) => Ok(()),
            _ => Err(ErrorKind::NotFound),
        }
    }

    pub fn file(&self, path: &str) -> Result<FileId, ErrorKind> {
        match self.visible.get(path) {
            Some(Node::File(file)) => Ok(*file),
            Some(Node::Dir | Node::ForeignDir) => Err(ErrorKind::IsADirectory),
            Some(Node::Link | Node::Pipe | Node::Endless) => Err(ErrorKind::InvalidInput),
            None => Err(ErrorKind::NotFound),
        }
    }

    pub fn node(&self, path: &str) -> Option<Node> {
        self.visible.get(path).copied()
    }

    pub fn content(&self, file: FileId) -> Text {
        self.files[&file].visible
    }

    /// The entries of a directory, each with its whole path.
    pub fn list(&self, dir: Text) -> impl Iterator<Item = (Text, Node)> {
        self.visible
            .iter()
            .filter(move |(path, _)| parent(path) == dir)
            .map(|(path, node)| (*path, *node))
    }

    pub fn open_dir(&self, path: Text) -> Result<(), ErrorKind> {
        match self.visible.get(path) {
            Some(Node::Dir) => Ok(()),
            Some(Node::ForeignDir) => Err(ErrorKind::PermissionDenied),
            Some(_) => Err(ErrorKind::NotADirectory),
            None => Err(ErrorKind::NotFound),
        }
    }

    pub fn make_dir(&mut self, path: Text) -> Result<(), ErrorKind> {
        self.check_parent(path)?;
        match self.visible.get(path) {
            Some(_) => Err(ErrorKind::AlreadyExists),
            None => {
                self.visible.insert(path, Node::Dir);
                Ok(())
            }
        }
    }

    pub fn create(&mut self, path: Text) -> Result<FileId, ErrorKind> {
        self.check_parent(path)?;
        if self.visible.contains_key(path) {
            return Err(ErrorKind::AlreadyExists);
        }
        let file = (0..)
            .map(|n| (path, n))
            .find(|file| !self.files.contains_key(file));
        let file = file.expect("a free number");
        self.visible.insert(path, Node::File(file));
        let (visible, durable) = ("", "");
        self.files.insert(file, Content { visible, durable });
        Ok(file)
    }

    pub fn write(&mut self, path: Text, content: Text) -> Result<(), ErrorKind> {
        let file = self.file(path)?;
        self.files
            .entry(file)
            .and_modify(|file| file.visible = content);
        Ok(())
    }

    pub fn sync_file(&mut self, path: Text) -> Result<(), ErrorKind> {
        self.file(path).map(|file| self.sync_opened(file))
    }

    /// Syncs an open file, which may have no name any more.
    pub fn sync_opened(&mut self, file: FileId) {
        self.files
            .entry(file)
            .and_modify(|file| file.durable = file.visible);
    }

    pub fn sync_dir(&mut self, dir: Text) -> Result<(), ErrorKind> {
        if self.visible.get(dir) != Some(&Node::Dir) {
            return Err(ErrorKind::NotFound);
        }
        self.durable.retain(|path, _| parent(path) != dir);
        let entries: Vec<_> = self.list(dir).collect();
        self.durable.extend(entries);
        self.drop_unlinked();
        Ok(())
    }

    /// Syncs all files but one, and all directories.
    pub fn sync_all(&mut self, skipped: Option<FileId>) {
        self.durable = self.visible.clone();
        for (file, content) in &mut self.files {
            if Some(*file) != skipped {
                content.durable = content.visible;
            }
        }
        self.drop_unlinked();
    }

    pub fn rename(&mut self, from: Text, to: Text) -> Result<(), ErrorKind> {
        self.check_parent(to)?;
        if self.visible.contains_key(to) {
            return Err(ErrorKind::AlreadyExists);
        }
        let node = self.visible.remove(from).ok_or(ErrorKind::NotFound)?;
        self.visible.insert(to, node);
        Ok(())
    }

    pub fn unlink(&mut self, path: Text) -> Result<(), ErrorKind> {
        match self.file(path) {
            // A link, a pipe.
            Ok(_) | Err(ErrorKind::InvalidInput) => {}
            Err(kind) => return Err(kind),
        }
        self.visible.remove(path);
        self.drop_unlinked();
        Ok(())
    }

    pub fn remove_dir(&mut self, path: Text) -> Result<(), ErrorKind> {
        if self.list(path).next().is_some() {
            return Err(ErrorKind::DirectoryNotEmpty);
        }
        match self.visible.remove(path) {
            Some(_) => Ok(()),
            None => Err(ErrorKind::NotFound),
        }
    }

    pub fn is_linked(&self, file: FileId) -> bool {
        self.visible.values().any(|node| *node == Node::File(file))
    }

    /// Drops the content of files that have no name in either layer.
    fn drop_unlinked(&mut self) {
        let nodes = || self.visible.values().chain(self.durable.values());
        let linked: BTreeSet<_> = nodes().copied().collect();
        self.files
            .retain(|file, _| linked.contains(&Node::File(*file)));
    }
}
