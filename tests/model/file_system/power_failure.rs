//! What a power failure leaves.

use std::collections::{BTreeMap, BTreeSet};

use super::{Content, Entries, FileSystem, Node, Text, intern};

/// The content of a file whose writing was interrupted.
pub fn truncated(content: Text) -> Text {
    intern(&content[..content.len() / 2])
}

impl FileSystem {
    /// Every file system that may be found after a power failure. Each name is in its
    /// visible or its durable place, independently of the others, and each unsynced file is
    /// complete, truncated or as it was. The content of a staging directory is lost or kept
    /// as a whole: no process reads it again.
    pub fn after_power_failure(&self) -> BTreeSet<Self> {
        let units: BTreeSet<Text> = self
            .paths()
            .filter(|path| self.visible.get(path) != self.durable.get(path))
            .map(loss_unit)
            .collect();
        let mut all = vec![self.durable.clone()];
        for unit in units {
            let keep = |entries: &Entries| {
                let visible = self
                    .visible
                    .iter()
                    .filter(|(path, _)| loss_unit(path) == unit);
                let mut entries = entries.clone();
                entries.retain(|path, _| loss_unit(path) != unit);
                entries.extend(visible);
                entries
            };
            all.extend(all.iter().map(keep).collect::<Vec<_>>());
        }
        let all: BTreeSet<Entries> = all
            .into_iter()
            .map(|entries| self.without_orphans(entries))
            .collect();
        all.iter()
            .flat_map(|entries| self.with_entries(entries))
            .collect()
    }

    fn paths(&self) -> impl Iterator<Item = Text> {
        self.visible.keys().chain(self.durable.keys()).copied()
    }

    /// Removes entries below a directory that is lost.
    fn without_orphans(&self, mut entries: Entries) -> Entries {
        let lost: Vec<Text> = self
            .paths()
            .filter(|path| !entries.contains_key(path))
            .collect();
        let is_below = |path: Text, dir: Text| {
            let rest = path.strip_prefix(dir);
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        entries.retain(|path, _| !lost.iter().any(|dir| is_below(path, dir)));
        entries
    }

    /// These entries, with every content that their files may have.
    fn with_entries(&self, entries: &Entries) -> Vec<Self> {
        let mut all = vec![Self {
            visible: entries.clone(),
            durable: entries.clone(),
            files: BTreeMap::new(),
        }];
        for (path, node) in entries {
            let Node::File(file) = *node else { continue };
            let Content { visible, durable } = self.files[&file];
            let mut contents = BTreeSet::from([visible]);
            if visible != durable && loss_unit(path) == *path {
                contents.extend([durable, truncated(visible)]);
            }
            let with_content = |fs: &Self, content| {
                let mut fs = fs.clone();
                let (visible, durable) = (content, content);
                fs.files.insert(file, Content { visible, durable });
                fs
            };
            all = all
                .iter()
                .flat_map(|fs| {
                    contents
                        .iter()
                        .map(move |content| with_content(fs, content))
                })
                .collect();
        }
        all
    }
}

/// What is lost or kept as a whole: a staging directory's content, or a single name.
fn loss_unit(path: Text) -> Text {
    let Some((_, rest)) = path.split_once("/staging-") else {
        return path;
    };
    let rest = rest.split_once('/').map_or("", |(_, rest)| rest);
    path.strip_suffix(rest)
        .unwrap_or(path)
        .trim_end_matches('/')
}
