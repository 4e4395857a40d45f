//! A write makes no system calls except for memory and locks.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::sync::Arc;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

use super::*;
use crate::spawn::spawn;

/// Allowed system calls: memory, locks, the end of the thread, and the output of a panic message.
const ALLOWED: [i64; 12] = [
    libc::SYS_brk,
    libc::SYS_exit,
    libc::SYS_futex,
    libc::SYS_madvise,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_rt_sigprocmask,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    libc::SYS_write,
];

/// Makes the kernel kill the process if this thread makes a system call that is not allowed.
fn allow_nothing_else() {
    let rules: BTreeMap<i64, Vec<_>> = ALLOWED.map(|call| (call, Vec::new())).into();
    let arch = ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, arch).unwrap();
    apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
}

/// The writing thread makes no system call that could wait for a disk. This also holds while fronts are frozen,
/// segments end, and other threads write and sync files.
#[test]
fn a_write_makes_no_system_call() {
    let place = tempfile::tempdir().unwrap();
    let store = Arc::new(open(place.path(), &small()).unwrap().store);
    let writes = {
        let store = Arc::clone(&store);
        spawn("writes", move || {
            allow_nothing_else();
            (1..=20_000).for_each(|number| commit(&*store, number));
        })
    };
    let writes = writes.unwrap();
    while !writes.is_finished() {
        store.sync().unwrap();
    }
    writes.join().unwrap();
    assert!(store.stats().materialized_rows > 1_000, "{:?}", store.stats());
    assert_holds(&*store, 20_000);
}
