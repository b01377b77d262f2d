//! Descendants of skopeo.

use std::fs;

use test_support::loopback::is_gone;

use test_support::program::harness::wrap;

use crate::{Scene, finish};

#[test]
fn child_of_the_shell_that_executed_the_program_is_left_alone() {
    let scene = Scene::new();
    let pid = scene.cache.beside("pid");
    let script = format!(
        "sleep 600 >/dev/null 2>&1 & echo $! > {}; exec \"$@\"",
        pid.display()
    );
    finish(&mut wrap(&["sh", "-c", &script, "sh"], &scene.fetch())).assert_status(0);
    let pid = fs::read_to_string(pid).expect("a process ID");
    let pid = pid.trim().parse().expect("a number");
    assert!(!is_gone(pid), "it isn't skopeo's");
    let pid = rustix::process::Pid::from_raw(pid).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("a running process");
}

#[test]
fn descendant_in_a_session_of_its_own_is_killed_at_the_end_of_the_run() {
    let scene = Scene::new();
    let pids = scene.cache.beside("pids");
    // A child and a grandchild; neither is in skopeo's process group.
    let script = format!(
        "setsid sh -c 'echo $$ >> {0}; sleep 600 & echo $! >> {0}; wait' >/dev/null 2>&1 </dev/null &\n\
         while [ \"$(wc -l < {0})\" != 2 ]; do sleep 0.01; done 2>/dev/null",
        pids.display()
    );
    scene.write_skopeo(&script);
    fs::write(&pids, "").expect("a file");
    finish(&mut scene.fetch()).assert_status(0);
    scene.assert_fetched();
    let pids = fs::read_to_string(pids).expect("process IDs");
    assert_eq!(pids.lines().count(), 2);
    for pid in pids.lines() {
        assert!(
            is_gone(pid.parse().expect("a number")),
            "{pid} outlives the run"
        );
    }
}
