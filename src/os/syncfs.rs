//! When one syncfs(2) can take the place of an fsync of each file.

use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;

use rustix::fs::fstatfs;
use rustix::system::uname;

/// Most unwritten data of the machine, in KiB, at which syncfs is used: it waits for
/// everybody's. A disk of 100 MB/s writes this in a third of a second.
const MAX_UNWRITTEN: u64 = 32 << 10;

/// The same for each file that a syncfs saves the fsync of, in KiB: flushing the cache of a
/// solid-state disk once takes about as long as writing so much.
const MAX_UNWRITTEN_PER_FILE: u64 = 256;

/// The first Linux whose syncfs reports write-back errors.
const FIRST_REPORTING: (u32, u32) = (5, 8);

/// File systems of which a syncfs covers all data and metadata, by their numbers in
/// statfs(2).
const FILE_SYSTEMS: [u32; 4] = [EXT4, XFS, BTRFS, TMPFS];
const EXT4: u32 = 0xef53;
const XFS: u32 = 0x5846_5342;
const BTRFS: u32 = 0x9123_683e;
const TMPFS: u32 = 0x0102_1994;

/// Whether one syncfs of a directory's file system is better than an fsync of each of so
/// many files, and reports the same errors.
pub(crate) fn is_syncfs_usable(dir: BorrowedFd<'_>, files: usize) -> bool {
    // The type of the field depends on the architecture; the numbers have 32 bits.
    let is_known = fstatfs(dir).is_ok_and(|stat| FILE_SYSTEMS.contains(&(stat.f_type as u32)));
    let reports_errors = || {
        let release = version(&uname().release().to_string_lossy());
        release.is_some_and(|release| release >= FIRST_REPORTING)
    };
    let is_cheap = || {
        let max = MAX_UNWRITTEN_PER_FILE.saturating_mul(files as u64);
        unwritten(&read_meminfo()).is_some_and(|unwritten| unwritten <= max.min(MAX_UNWRITTEN))
    };
    is_known && reports_errors() && is_cheap()
}

/// The beginning of `/proc/meminfo`; nothing where it can't be read.
fn read_meminfo() -> String {
    let mut start = [0; 4096];
    let read = File::open("/proc/meminfo").and_then(|mut file| file.read(&mut start));
    String::from_utf8_lossy(&start[..read.unwrap_or(0)]).into_owned()
}

/// Dirty and Writeback of `/proc/meminfo`, in KiB.
fn unwritten(meminfo: &str) -> Option<u64> {
    let field = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    field("Dirty:")?.checked_add(field("Writeback:")?)
}

/// Major and minor version of a kernel's release.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{unwritten, version};

    #[test]
    fn unwritten_is_dirty_and_writeback_or_unknown() {
        let meminfo =
            "MemFree:  9 kB\nDirty:      133172 kB\nWriteback:     8 kB\nWritebackTmp: 5 kB\n";
        assert_eq!(unwritten(meminfo), Some(133_180));
        for broken in [
            "",
            "Dirty: 1 kB\n",
            "Dirty: x kB\nWriteback: 1 kB\n",
            "Dirty: 1\nWriteback: 1 kB\n",
        ] {
            assert_eq!(unwritten(broken), None, "{broken}");
        }
    }

    #[test]
    fn version_of_kernel_release_is_major_and_minor() {
        assert_eq!(version("6.18.44-fc-v669"), Some((6, 18)));
        assert_eq!(version("5.8-rc1"), Some((5, 8)));
        for broken in ["", "6", "x.1", "6.x"] {
            assert_eq!(version(broken), None, "{broken}");
        }
    }
}
