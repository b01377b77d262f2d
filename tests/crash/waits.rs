//! Every system call that can block is documented, with what ends it.

use std::collections::BTreeSet;

use crate::fixture::Scenario;
use crate::trace::traced;

/// The system calls of Linux that can wait for something other than the kernel itself.
const BLOCKING: &str = "accept accept4 clock_nanosleep clone clone3 connect epoll_pwait epoll_wait \
    execve fdatasync flock fsync futex io_uring_enter msgrcv nanosleep open openat openat2 poll \
    ppoll pread64 preadv pselect6 pwrite64 pwritev read readv recvfrom recvmsg select semop \
    semtimedop sendfile sendmsg sendto splice sync sync_file_range syncfs vfork wait4 waitid \
    write writev";

const SCENARIOS: [Scenario; 7] = [
    Scenario::FetchByRaw,
    Scenario::FetchByClient,
    Scenario::FetchByCopy,
    Scenario::OsbuildCopy,
    Scenario::Hit,
    Scenario::Quarantine,
    Scenario::Recovery,
];

/// The names in the first column of the table "Waits".
fn documented() -> BTreeSet<String> {
    let page = include_str!("../../docs/architecture.md");
    let (_, table) = page.split_once("## Waits").expect("the table");
    let (table, _) = table.split_once("\n## ").expect("the next section");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let calls = rows
        .filter_map(|row| row.split_once(" |"))
        .map(|(calls, _)| calls);
    calls
        .flat_map(|calls| calls.split(['`', ',', ' ']))
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn blocking_system_calls_of_real_runs_are_in_the_table_of_waits() {
    let documented = documented();
    let mut seen = BTreeSet::new();
    for scenario in SCENARIOS {
        // All threads, and the children until they execute skopeo.
        for line in traced(scenario, &["-f"]) {
            let call = line.split_once('(').map_or("", |(name, _)| name);
            seen.extend(call.split_whitespace().last().map(str::to_owned));
        }
    }
    let blocking: BTreeSet<String> = BLOCKING.split_whitespace().map(str::to_owned).collect();
    let blocking: BTreeSet<_> = seen.intersection(&blocking).collect();
    assert!(blocking.len() > 8, "{blocking:?}");
    let missing: Vec<_> = blocking
        .iter()
        .filter(|name| !documented.contains(name.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "not in docs/architecture.md: {missing:?}"
    );
}
