// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of what [`ReleaseNotifiers`] promises.

use super::{
    ReleaseHandler,
    ReleaseNotifiers,
    WatchedMemory, //
};
use crate::{
    abstractions::{
        module_ref::ModuleRef,
        sync::completion::{
            Completion,
            Wait, //
        },
        workqueue, //
    },
    LocalModule, //
};
use kernel::{
    module::this_module,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
    time::{
        delay::fsleep,
        msecs_to_jiffies,
        Delta, //
    }, //
};

/// How long a thread may take before it is thought to hang.
const LIMIT_MS: u32 = 10_000;

/// A handler that runs a closure.
struct Handler<F>(F);

impl<F: Fn() + Send + Sync> ReleaseHandler for Handler<F> {
    fn released(&self, _memory: WatchedMemory) {
        (self.0)();
    }
}

/// What keeps the code of the handlers here.
fn module() -> Result<ModuleRef> {
    ModuleRef::get(this_module::<LocalModule>())
}

/// Notifiers, and what their handlers have written down.
#[pin_data]
struct Bench {
    #[pin]
    notifiers: ReleaseNotifiers,
    /// The calls so far, the last one in the last four bits.
    calls: Atomic<u64>,
    /// What one handler leaves for another one, or for the test.
    note: Atomic<u64>,
    #[pin]
    entered: Completion,
    #[pin]
    left: Completion,
}

impl Bench {
    /// Notifiers of a device that is open.
    fn open() -> Result<Arc<Self>> {
        let bench = Self::closed()?;
        bench.notifiers.accept();
        Ok(bench)
    }

    fn closed() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                notifiers <- ReleaseNotifiers::new(),
                calls: Atomic::new(0),
                note: Atomic::new(0),
                entered <- Completion::new(),
                left <- Completion::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// Registers a handler that is known as `digit`, and does `work`.
    fn register(
        self: &Arc<Self>,
        digit: u64,
        work: impl Fn(&Self) + Send + Sync + 'static,
    ) -> Result<u64> {
        let bench = self.clone();
        let handler = Handler(move || {
            bench
                .calls
                .store(bench.calls.load(Relaxed) << 4 | digit, Relaxed);
            work(&bench);
        });
        self.notifiers
            .register(Arc::new(handler, GFP_KERNEL)?, module()?)
            .map(|(id, _)| id)
    }

    fn calls(&self) -> u64 {
        self.calls.load(Relaxed)
    }
}

#[allow(unsafe_code)]
#[kunit_tests(vfio_release_notifier)]
mod cases {
    use super::*;

    #[test]
    fn handlers_are_called_in_order_and_once() -> Result {
        let bench = Bench::open()?;
        let mut ids = KVec::new();
        for digit in 1..=5 {
            ids.push(bench.register(digit, |_| ())?, GFP_KERNEL)?;
        }
        if let Some(third) = ids.get(2) {
            bench.notifiers.unregister(*third);
        }
        bench.notifiers.notify();
        assert_eq!(bench.calls(), 0x1245);
        bench.notifiers.accept();
        bench.register(6, |_| ())?;
        bench.notifiers.notify();
        assert_eq!(bench.calls(), 0x12456);
        Ok(())
    }

    #[test]
    fn only_an_open_device_takes_registrations() -> Result {
        let bench = Bench::closed()?;
        assert_eq!(bench.register(1, |_| ()).err(), Some(ENODEV));
        bench.notifiers.accept();
        bench.register(2, |bench| {
            // The release has begun.
            let late = Arc::new(Handler(|| ()), GFP_KERNEL).map_err(Error::from);
            let result = late.and_then(|late| bench.notifiers.register(late, module()?));
            bench.note.store((result == Err(ENODEV)).into(), Relaxed);
        })?;
        bench.notifiers.notify();
        assert_eq!(bench.note.load(Relaxed), 1);
        assert_eq!(bench.register(3, |_| ()).err(), Some(ENODEV));
        bench.notifiers.notify();
        assert_eq!(bench.calls(), 0x2);
        Ok(())
    }

    #[test]
    fn a_handler_drops_itself_and_others() -> Result {
        let bench = Bench::open()?;
        let own = bench.register(1, |bench| {
            // First its own registration, then that of the next one but one.
            let own = bench.note.load(Relaxed);
            bench.notifiers.unregister(own);
            bench.notifiers.unregister(own.wrapping_add(2));
        })?;
        bench.note.store(own, Relaxed);
        for digit in 2..=4 {
            bench.register(digit, |_| ())?;
        }
        bench.notifiers.notify();
        assert_eq!(bench.calls(), 0x124);
        Ok(())
    }

    #[test]
    fn a_handler_registers_with_another_device() -> Result {
        let bench = Bench::open()?;
        let other = Bench::open()?;
        let second = other.clone();
        bench.register(1, move |bench| {
            bench
                .note
                .store(second.register(2, |_| ()).is_ok().into(), Relaxed);
        })?;
        bench.notifiers.notify();
        assert_eq!(bench.note.load(Relaxed), 1);
        other.notifiers.notify();
        assert_eq!(other.calls(), 0x2);
        Ok(())
    }

    /// Dropping a registration waits for a call that another thread makes.
    #[test]
    fn dropping_waits_for_a_call_in_flight() -> Result {
        let limit = msecs_to_jiffies(LIMIT_MS);
        let bench = Bench::open()?;
        let id = bench.register(1, |bench| {
            bench.entered.complete_all();
            // Time for the other thread not to wait, if it does not.
            fsleep(Delta::from_millis(50));
            bench.note.store(1, Relaxed);
        })?;
        let releasing = bench.clone();
        workqueue::system().try_spawn(GFP_KERNEL, move || {
            releasing.notifiers.notify();
            releasing.left.complete_all();
        })?;
        let entered = bench.entered.wait_timeout(limit) == Wait::Completed;
        bench.notifiers.unregister(id);
        let waited = bench.note.load(Relaxed) == 1;
        let left = bench.left.wait_timeout(limit) == Wait::Completed;
        assert!(entered && left);
        assert!(waited);
        Ok(())
    }

    /// Tells, when it is dropped, whether the list of notifiers is locked.
    struct Probe(Arc<Bench>);

    impl Drop for Probe {
        fn drop(&mut self) {
            let free = self.0.notifiers.state.try_lock().is_some();
            let note = self.0.note.load(Relaxed);
            self.0.note.store(note << 1 | u64::from(free), Relaxed);
        }
    }

    /// Handlers are dropped with no lock held: each time one bit that is set.
    #[test]
    fn handlers_are_dropped_without_the_lock() -> Result {
        let bench = Bench::open()?;
        let register = || {
            let probe = Probe(bench.clone());
            let handler = Handler(move || {
                let _ = &probe;
            });
            bench
                .notifiers
                .register(Arc::new(handler, GFP_KERNEL)?, module()?)
                .map(|(id, _)| id)
        };
        let dropped = register()?;
        bench.notifiers.unregister(dropped);
        assert_eq!(bench.note.load(Relaxed), 0b1);
        register()?;
        bench.notifiers.notify();
        assert_eq!(bench.note.load(Relaxed), 0b11);
        assert_eq!(register().err(), Some(ENODEV));
        assert_eq!(bench.note.load(Relaxed), 0b111);
        Ok(())
    }
}
