//! Tiles of a log, c2sp.org/tlog-tiles: the tree's hashes and the records as static files.
//!
//! ```text
//!  tile/entries/000   tile/entries/001.p/44    256 records; the rest of 300 records
//!  tile/0/000         tile/0/001.p/44          their leaf hashes
//!  tile/1/000.p/1                              roots of full tiles of the level below
//! ```
//!
//! "The partial tile at level l for a tree of size s has floor(s / 256**l) mod 256 entries.
//! Empty tiles MUST NOT be served."

use std::fmt;

use super::merkle::{CompactRange, NodeHash, leaf_hash};

/// Number of hashes in a full tile.
const TILE_WIDTH: u64 = 256;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// Records: each its length, in 16 bits, and its line.
    Entries,
    /// Hashes of subtrees of 256 to this power leaves.
    Hashes(u32),
}

/// A file of a tiled log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    level: Level,
    /// Its position among the tiles of its level.
    index: u64,
    /// Its number of hashes or records, from 1 to 256.
    width: u64,
    bytes: Vec<u8>,
}

impl Tile {
    /// Its content.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The path of its partial tiles, once it is full.
    #[must_use]
    pub fn partial_tiles(&self) -> Option<String> {
        (self.width == TILE_WIDTH).then(|| format!("{self}.p"))
    }
}

/// Its path below the log's prefix.
impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Level::Entries => write!(f, "tile/entries/")?,
            Level::Hashes(level) => write!(f, "tile/{level}/")?,
        }
        // "zero-padded 3-digit path elements. All but the last path element MUST begin with
        // an x." Six are enough for any index below 2⁵⁶.
        for power in (1..=6).rev().map(|n| 1000_u64.pow(n)) {
            if self.index >= power {
                write!(f, "x{:03}/", self.index / power % 1000)?;
            }
        }
        write!(f, "{:03}", self.index % 1000)?;
        if self.width < TILE_WIDTH {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

/// A line that is too long for a tile, where an entry's length has 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {at} is too long for a tile")]
pub struct LineTooLong {
    /// Position of the line.
    pub at: u64,
}

/// Computes tiles from a log's lines in their order. Its memory is bounded by one tile a
/// level and one of records.
#[derive(Debug)]
pub struct TileBuilder {
    /// The size whose tiles exist.
    from: u64,
    tree: CompactRange,
    /// Records of the tile that is not full.
    entries: Vec<u8>,
    /// Hashes of the tile that is not full, level by level.
    levels: Vec<Vec<NodeHash>>,
}

impl TileBuilder {
    /// Starts at the beginning of a log. Tiles that a log of `from` records has as well are
    /// left out.
    #[must_use]
    pub fn new(from: u64) -> Self {
        Self {
            from,
            tree: CompactRange::default(),
            entries: Vec::new(),
            levels: vec![Vec::new()],
        }
    }

    /// The tree of the lines so far.
    #[must_use]
    pub const fn tree(&self) -> &CompactRange {
        &self.tree
    }

    /// Appends a line, and passes each tile that is now full to `take`.
    ///
    /// # Errors
    /// Those of `take`, and [`LineTooLong`] where the line has more than
    /// [`MAX_RECORD_LEN`](super::MAX_RECORD_LEN) bytes.
    pub fn push<E: From<LineTooLong>>(
        &mut self,
        line: &[u8],
        mut take: impl FnMut(Tile) -> Result<(), E>,
    ) -> Result<(), E> {
        let at = self.tree.size();
        let length = u16::try_from(line.len()).map_err(|_| LineTooLong { at })?;
        let mut hash = leaf_hash(line);
        self.tree.push(hash);
        let size = self.tree.size();
        // Records in existing full tiles aren't needed.
        if size.div_ceil(TILE_WIDTH) * TILE_WIDTH > self.from {
            self.entries.extend_from_slice(&length.to_be_bytes());
            self.entries.extend_from_slice(line);
        }
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(hash);
            if self.levels[level].len() as u64 != TILE_WIDTH {
                break;
            }
            let mut subtree = CompactRange::default();
            self.levels[level]
                .iter()
                .for_each(|hash| subtree.push(*hash));
            hash = subtree.root();
            self.pass_on(level, &mut take)?;
        }
        Ok(())
    }

    /// Passes the partial tiles to `take`, once all lines were appended.
    ///
    /// # Errors
    /// Those of `take`.
    pub fn finish<E>(mut self, mut take: impl FnMut(Tile) -> Result<(), E>) -> Result<(), E> {
        for level in 0..self.levels.len() {
            if !self.levels[level].is_empty() {
                self.pass_on(level, &mut take)?;
            }
        }
        Ok(())
    }

    /// Passes the tile of a level on, if there was none of its width before.
    fn pass_on<E>(
        &mut self,
        level: usize,
        take: &mut impl FnMut(Tile) -> Result<(), E>,
    ) -> Result<(), E> {
        let hashes = std::mem::take(&mut self.levels[level]);
        let level = u32::try_from(level).unwrap_or(u32::MAX);
        // Complete subtrees of this level; there are at most 8 levels.
        let count = |size: u64| size / TILE_WIDTH.saturating_pow(level);
        let entries = match level {
            0 => std::mem::take(&mut self.entries),
            _ => Vec::new(),
        };
        let end = count(self.tree.size());
        if end <= count(self.from) {
            return Ok(());
        }
        let width = hashes.len() as u64;
        let tile = |level, bytes| Tile {
            level,
            index: (end - width) / TILE_WIDTH,
            width,
            bytes,
        };
        if level == 0 {
            take(tile(Level::Entries, entries))?;
        }
        take(tile(Level::Hashes(level), hashes.concat()))
    }
}
