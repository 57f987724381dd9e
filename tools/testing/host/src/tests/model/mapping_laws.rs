// SPDX-License-Identifier: GPL-2.0

//! Mappings: MAP, UNMAP, attach, detach and release beside each other.

use super::{
    container::{
        range,
        Container,
        Outcome, //
    },
    explore, //
};
use loom::{
    sync::Arc,
    thread, //
};

/// Two or three threads, and what holds when all of them have ended.
fn together<const N: usize>(
    container: &Arc<Container>,
    work: [fn(&Container, usize) -> Outcome; N],
) -> [Outcome; N] {
    let mut index = 0;
    let threads = work.map(|work| {
        index += 1;
        let (container, task) = (container.clone(), index);
        thread::spawn(move || work(&container, task))
    });
    threads.map(|thread| thread.join().expect("no thread panics"))
}

fn done() -> Outcome {
    Outcome::Done(0)
}

fn map_two(container: &Container, task: usize) -> Outcome {
    container.map(range(0, 1), false, task)
}

fn map_one(container: &Container, task: usize) -> Outcome {
    container.map(range(0, 0), false, task)
}

fn map_device(container: &Container, task: usize) -> Outcome {
    container.map(range(0, 0), true, task)
}

fn unmap_all(container: &Container, task: usize) -> Outcome {
    container.unmap(range(0, 7), task)
}

fn attach(container: &Container, task: usize) -> Outcome {
    container.attach(false, task);
    done()
}

fn pin(container: &Container, _task: usize) -> Outcome {
    container.pin(0)
}

fn detach_last(container: &Container, task: usize) -> Outcome {
    container.detach_last(task);
    done()
}

fn detach_all(container: &Container, task: usize) -> Outcome {
    container.detach_all(task);
    done()
}

fn attach_in_vain(container: &Container, task: usize) -> Outcome {
    container.attach(true, task);
    done()
}

/// The device goes: nothing of it is left, and nothing of it ever comes back.
fn release(container: &Container, task: usize) -> Outcome {
    container.device.release(task);
    container.check_no_frames_of(1);
    done()
}

fn release_and_open(container: &Container, task: usize) -> Outcome {
    release(container, task);
    container.device.reopen();
    done()
}

#[test]
fn overlapping_maps_exclude_each_other() {
    explore("map, map", None, || {
        let container = Container::new(1);
        let results = together(&container, [map_one, map_two]);
        let done = results.iter().filter(|it| matches!(it, Outcome::Done(_)));
        assert_eq!(done.count(), 1);
        assert!(results.contains(&Outcome::Exists));
        container.finish();
    });
}

#[test]
fn unmap_sees_all_or_nothing() {
    explore("map, unmap", None, || {
        let container = Container::new(1);
        let [mapped, unmapped] = together(&container, [map_two, unmap_all]);
        assert_eq!(mapped, Outcome::Done(2));
        assert!(matches!(unmapped, Outcome::Done(0 | 2)));
        container.finish();
    });
}

#[test]
fn map_unmap_unmap() {
    explore("map, unmap, unmap", Some(3), || {
        let container = Container::new(1);
        let [_, one, other] = together(&container, [map_one, unmap_all, unmap_all]);
        assert!(matches!(
            (one, other),
            (Outcome::Done(0), Outcome::Done(0 | 1)) | (Outcome::Done(1), Outcome::Done(0))
        ));
        container.finish();
    });
}

/// Who waits for a range can be killed, and nothing is lost.
#[test]
fn who_waits_can_be_killed() {
    explore("map, unmap, kill", Some(3), || {
        let container = Container::new(1);
        let results = together(
            &container,
            [map_one, unmap_all, |container, _| {
                container.table.kill();
                done()
            }],
        );
        assert!(matches!(results[1], Outcome::Done(0 | 1) | Outcome::Killed));
        container.finish();
    });
}

#[test]
fn another_domain_gets_every_page_once() {
    explore("map, attach", Some(4), || {
        let container = Container::new(1);
        together(&container, [map_two, attach]);
        container.finish();
    });
    explore("unmap, attach", Some(4), || {
        let container = Container::new(1);
        map_two(&container, 0);
        together(&container, [unmap_all, attach]);
        container.finish();
    });
    explore("map, unmap, attach", Some(3), || {
        let container = Container::new(1);
        together(&container, [map_one, unmap_all, attach]);
        container.finish();
    });
}

#[test]
fn nothing_of_a_released_device_is_left() {
    explore("map, release", None, || {
        let container = Container::new(1);
        together(&container, [map_device, release]);
        container.check_no_frames_of(1);
        container.finish();
    });
    explore("map, release and open", Some(3), || {
        let container = Container::new(1);
        together(&container, [map_device, release_and_open]);
        container.check_no_frames_of(1);
        container.finish();
    });
    explore("map, release, unmap", Some(2), || {
        let container = Container::new(1);
        together(&container, [map_device, release, unmap_all]);
        container.finish();
    });
    explore("release, attach", None, || {
        let container = Container::new(1);
        map_device(&container, 0);
        together(&container, [release, attach]);
        container.check_no_frames_of(1);
        container.finish();
    });
    explore("map, release, attach", Some(3), || {
        let container = Container::new(1);
        together(&container, [map_device, release, attach]);
        container.check_no_frames_of(1);
        container.finish();
    });
}

#[test]
fn the_last_domain_goes() {
    explore("map, detach of the last domain", None, || {
        let container = Container::new(1);
        let [mapped, _] = together(&container, [map_one, detach_last]);
        assert_eq!(mapped, Outcome::Done(1));
        container.finish();
    });
    explore("map, detach of the last group", None, || {
        let container = Container::new(1);
        let [mapped, _] = together(&container, [map_one, detach_all]);
        // Before, beside or after it.
        assert!(matches!(mapped, Outcome::Done(1) | Outcome::Cancelled));
        container.finish();
    });
    explore("map, unmap, detach of the last domain", Some(2), || {
        let container = Container::new(1);
        together(&container, [map_one, unmap_all, detach_last]);
        container.finish();
    });
}

#[test]
fn the_first_domain_comes() {
    explore("map, first domain", None, || {
        let container = Container::new(0);
        together(&container, [map_one, attach]);
        container.finish();
    });
    explore("map, first domain in vain", Some(3), || {
        let container = Container::new(0);
        together(&container, [map_one, attach_in_vain]);
        container.finish();
    });
    explore("unmap, first domain in vain", Some(3), || {
        let container = Container::new(0);
        map_one(&container, 0);
        together(&container, [unmap_all, attach_in_vain]);
        container.finish();
    });
}

#[test]
fn nothing_is_pinned_in_what_goes() {
    explore("pin, unmap", None, || {
        let container = Container::new(0);
        map_one(&container, 0);
        let [pinned, unmapped] = together(&container, [pin, unmap_all]);
        assert!(matches!(pinned, Outcome::Done(1) | Outcome::Fault));
        assert_eq!(unmapped, Outcome::Done(1));
        assert_eq!(container.pin(0), Outcome::Fault);
        container.finish();
    });
    explore("pin, pin, unmap", Some(3), || {
        let container = Container::new(0);
        map_one(&container, 0);
        together(&container, [pin, pin, unmap_all]);
        container.finish();
    });
    explore("pin, unmap, unmap", Some(3), || {
        let container = Container::new(0);
        map_one(&container, 0);
        let [_, one, other] = together(&container, [pin, unmap_all, unmap_all]);
        assert!(matches!(
            (one, other),
            (Outcome::Done(1), Outcome::Done(0)) | (Outcome::Done(0), Outcome::Done(1))
        ));
        container.finish();
    });
    explore("map, pin", None, || {
        let container = Container::new(1);
        let [_, pinned] = together(&container, [map_one, pin]);
        assert!(matches!(pinned, Outcome::Done(1) | Outcome::Fault));
        container.finish();
    });
    explore("pin, unmap, first domain", Some(2), || {
        let container = Container::new(0);
        map_one(&container, 0);
        together(&container, [pin, unmap_all, attach]);
        container.finish();
    });
}

/// Who waits for a bus driver can be killed, and drivers go on then.
#[test]
fn who_waits_for_a_pin_can_be_killed() {
    explore("pin, unmap, kill", Some(3), || {
        let container = Container::new(0);
        map_one(&container, 0);
        let [_, unmapped, _] = together(
            &container,
            [pin, unmap_all, |container, _| {
                container.table.kill();
                done()
            }],
        );
        let pinned = container.pin(0);
        match unmapped {
            Outcome::Killed => assert_eq!(pinned, Outcome::Done(1)),
            _ => assert_eq!((unmapped, pinned), (Outcome::Done(1), Outcome::Fault)),
        }
        container.finish();
    });
}
