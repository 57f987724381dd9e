// SPDX-License-Identifier: GPL-2.0

//! The protocols between threads, in every order that two or three threads can take.
//!
//! The files are those of the modules: `device/notifiers/calls.rs`, `type1/claims.rs` and
//! `type1/coverage.rs`. What is around them here is the least that can go wrong: a
//! domain is a set of pages, which panics when a page is mapped twice or unmapped
//! without being mapped.

mod container;
mod device;
mod lock;

mod mapping_laws;
mod notifier_laws;

use std::{
    eprintln,
    sync::atomic::{
        AtomicUsize,
        Ordering, //
    },
    time::Instant, //
};

/// Runs `scenario` in all orders, with at most `preemptions` that no thread asked for, and
/// tells how many there are.
fn explore(name: &str, preemptions: Option<usize>, scenario: impl Fn() + Sync + Send + 'static) {
    static ORDERS: std::sync::Mutex<()> = std::sync::Mutex::new(());

    let count = std::sync::Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let _alone = ORDERS.lock();
    let begin = Instant::now();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        scenario();
    });
    let orders = count.load(Ordering::Relaxed);
    eprintln!("{name}: {orders} orders, {:?}", begin.elapsed());
}
