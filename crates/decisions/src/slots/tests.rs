use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::item::LINE_OF_REPOSITORY;
use super::*;

const NOW: u64 = 1_000_000;

fn caps(deployment: u32) -> Caps {
    Caps {
        deployment: Some(deployment),
        ..Caps::default()
    }
}

fn seeker(execution: &str, repository: &str, offer: &str, queued: u64) -> Seeker {
    Seeker {
        execution: execution.parse().unwrap(),
        attempt: 1,
        at: Place {
            repository: repository.to_owned(),
            offer: offer.to_owned(),
        },
        queued,
        until: NOW * 10,
    }
}

/// Takes a slot or joins the line, as `token` does.
fn seek(slots: &mut Slots, seeker: &Seeker, caps: &Caps, now: u64) -> OnSlot {
    if slots.takes_at_once(seeker, caps) {
        *slots = slots.with_lease(seeker, now);
        return OnSlot::Go;
    }
    let decided = on_slot(slots, seeker, caps, now, 0.5);
    match &decided {
        OnSlot::Take(next) => *slots = next.clone(),
        OnSlot::Wait(awaited) if awaited.joins => {
            let one = InLine {
                at: seeker.at.clone(),
                queued: seeker.queued,
                since: now,
            };
            slots.line.insert(seeker.execution.clone(), one);
            slots.version += 1;
        }
        OnSlot::Go | OnSlot::Wait(_) => {}
    }
    decided
}

fn awaited(decided: OnSlot) -> Awaited {
    match decided {
        OnSlot::Wait(awaited) => awaited,
        other => panic!("it does not wait: {other:?}"),
    }
}

#[test]
fn who_waits_hears_for_what_and_at_which_place() {
    let caps = Caps {
        deployment: Some(3),
        repository: Some(2),
        repositories: BTreeMap::from([("octo/small".to_owned(), 1)]),
        offers: BTreeMap::from([("gpu".to_owned(), 1)]),
    };
    let mut slots = Slots::default();
    let mut wants = |name: &str, repository: &str, offer: &str, queued: u64| {
        let seeker = seeker(name, repository, offer, queued);
        seek(&mut slots, &seeker, &caps, NOW)
    };
    assert_eq!(wants("a-1", "octo/a", "cpu", 1), OnSlot::Go);
    assert_eq!(wants("a-2", "octo/a", "cpu", 2), OnSlot::Go);
    let third = awaited(wants("a-3", "octo/a", "cpu", 3));
    assert_eq!(
        (
            third.cap,
            third.limit,
            third.place,
            third.waiting,
            third.joins
        ),
        (Cap::Repository, 2, 1, 1, true)
    );
    let fourth = awaited(wants("a-4", "octo/a", "cpu", 4));
    assert_eq!((fourth.place, fourth.waiting), (2, 2));
    // Another repository has a slot although some wait for theirs.
    assert!(matches!(
        wants("small-5", "octo/small", "gpu", 5),
        OnSlot::Take(_)
    ));
    let sixth = awaited(wants("small-6", "octo/small", "cpu", 6));
    assert_eq!(
        (sixth.cap, sixth.limit, sixth.place),
        (Cap::Repository, 1, 1)
    );
    let seventh = awaited(wants("b-7", "octo/b", "gpu", 7));
    assert_eq!((seventh.cap, seventh.limit), (Cap::Offer, 1));
    let eighth = awaited(wants("b-8", "octo/b", "cpu", 8));
    assert_eq!(
        (eighth.cap, eighth.limit, eighth.waiting),
        (Cap::Deployment, 3, 5)
    );
    let again = awaited(wants("b-8", "octo/b", "cpu", 8));
    assert!(!again.joins, "it stands in line already");
}

#[test]
fn an_execution_has_one_lease_for_all_its_attempts_and_none_with_its_next_execution() {
    let (mut slots, caps) = (Slots::default(), caps(1));
    let first = seeker("a-1", "octo/a", "f", 1);
    assert_eq!(seek(&mut slots, &first, &caps, NOW), OnSlot::Go);
    // The answer was lost.
    assert_eq!(on_slot(&slots, &first, &caps, NOW, 0.5), OnSlot::Go);
    let next = Seeker {
        attempt: 2,
        ..first.clone()
    };
    assert!(matches!(
        seek(&mut slots, &next, &caps, NOW),
        OnSlot::Take(_)
    ));
    assert_eq!(slots.leases.len(), 1);
    // The first attempt's return comes late.
    assert_eq!(release_slot(&slots, &first.execution, Some(1)), None);
    let other = seeker("a-1-r2", "octo/a", "f", 1);
    awaited(seek(&mut slots, &other, &caps, NOW));
    let left = release_slot(&slots, &first.execution, Some(2)).unwrap();
    assert!(left.leases.is_empty() && left.version > slots.version);
    assert!(matches!(
        on_slot(&left, &other, &caps, NOW, 0.5),
        OnSlot::Take(_)
    ));
}

#[test]
fn the_item_holds_whatever_is_leased_and_waits() {
    const FIRST: u64 = 40_000_000_000;
    let only_repositories = Caps {
        repository: Some(500),
        ..Caps::default()
    };
    let mut slots = Slots::default();
    // GitHub's names have up to 39 and 100 characters, and a family's 255.
    let (name, offer) = ("n".repeat(36), "f".repeat(255));
    let mut waits = 0;
    for number in 0..1_000_u64 {
        let repository = format!("{}/{:0100}", "o".repeat(39), number % 40);
        let seeker = seeker(
            &format!("{name}-{}", FIRST + number),
            &repository,
            &offer,
            number,
        );
        if slots.takes_at_once(&seeker, &only_repositories) {
            slots = slots.with_lease(&seeker, NOW);
        } else {
            let told = awaited(on_slot(&slots, &seeker, &only_repositories, NOW, 0.5));
            assert_eq!((told.cap, told.limit), (Cap::Deployment, 800));
            waits += usize::from(told.joins);
        }
    }
    // With so long names the leases alone have filled it.
    assert_eq!((slots.leases.len(), waits), (800, 0));
    assert!(slots.bytes() < 400 * 1_024, "{}", slots.bytes());
    // With names as they are, each of the line has room.
    let mut slots = Slots::default();
    for number in 0..700_u64 {
        let repository = format!("octo-organization/service-{}", number % 40);
        let job = seeker(
            &format!("service-{}", FIRST + number),
            &repository,
            "fargate-runners-ubuntu-x64",
            number,
        );
        seek(&mut slots, &job, &caps(500), NOW);
    }
    assert_eq!((slots.leases.len(), slots.line.len()), (500, 200));
}

#[test]
fn an_execution_of_a_former_deployment_takes_no_slot_by_its_own_caps() {
    let (mut slots, former) = (Slots::default(), caps(3));
    seek(&mut slots, &seeker("a-1", "octo/a", "f", 1), &former, NOW);
    let lowered = self::caps(1);
    slots = repair_slots(&slots, &BTreeSet::new(), &lowered, NOW).unwrap();
    let late = seeker("a-2", "octo/a", "f", 2);
    let told = awaited(seek(&mut slots, &late, &former, NOW));
    assert_eq!((told.cap, told.limit), (Cap::Deployment, 1));
    // One of this deployment goes on without a look as soon as there is room.
    let left = release_slot(&slots, &"a-1".parse().unwrap(), None).unwrap();
    let mut free = release_slot(&left, &"a-2".parse().unwrap(), None).unwrap();
    let next = seeker("a-3", "octo/a", "f", 3);
    assert!(!free.takes_at_once(&next, &former));
    assert!(free.takes_at_once(&next, &lowered));
    assert!(matches!(
        seek(&mut free, &next, &former, NOW),
        OnSlot::Take(_)
    ));
}

#[test]
fn a_job_that_no_cap_concerns_any_more_goes_on() {
    let (mut slots, caps) = (Slots::default(), caps(1));
    seek(&mut slots, &seeker("a-1", "octo/a", "f", 1), &caps, NOW);
    let second = seeker("a-2", "octo/a", "f", 2);
    awaited(seek(&mut slots, &second, &caps, NOW));
    // A sweep of a later deployment has recorded its caps.
    let raised = self::caps(2);
    let mut recorded = repair_slots(&slots, &BTreeSet::new(), &raised, NOW).unwrap();
    assert!(matches!(
        on_slot(&recorded, &second, &caps, NOW, 0.5),
        OnSlot::Take(_)
    ));
    recorded.caps = Some(Caps::default());
    assert_eq!(on_slot(&recorded, &second, &caps, NOW, 0.5), OnSlot::Go);
    assert_eq!(
        repair_slots(&recorded, &BTreeSet::new(), &Caps::default(), NOW),
        None
    );
}

#[test]
fn a_sweep_removes_what_closed_executions_left_and_what_has_expired() {
    let (mut slots, caps) = (Slots::default(), caps(1));
    let (first, second) = (
        seeker("a-1", "octo/a", "f", 1),
        seeker("a-2", "octo/a", "f", 2),
    );
    seek(&mut slots, &first, &caps, NOW);
    seek(&mut slots, &second, &caps, NOW);
    let closed = BTreeSet::from([first.execution.clone()]);
    let left = repair_slots(&slots, &closed, &caps, NOW).unwrap();
    assert!(left.leases.is_empty());
    assert_eq!(left.line.len(), 1);
    let late = NOW * 10;
    let left = repair_slots(&slots, &BTreeSet::new(), &caps, late).unwrap();
    assert!(left.leases.is_empty() && left.line.is_empty());
    // A lease that has expired holds up nobody.
    assert!(matches!(
        on_slot(&slots, &second, &caps, late, 0.5),
        OnSlot::Take(_)
    ));
}

#[test]
fn a_full_line_lets_other_repositories_in() {
    let (mut slots, caps) = (Slots::default(), caps(1));
    for job in 0..=LINE_OF_REPOSITORY as u64 {
        seek(
            &mut slots,
            &seeker(&format!("a-{job}"), "octo/a", "f", job),
            &caps,
            NOW,
        );
    }
    assert_eq!(slots.line.len(), LINE_OF_REPOSITORY);
    let late = seeker("a-9999", "octo/a", "f", 9_999);
    assert!(!awaited(seek(&mut slots, &late, &caps, NOW)).joins);
    let other = seeker("b-1", "octo/b", "f", 9_999);
    let other = awaited(seek(&mut slots, &other, &caps, NOW));
    assert_eq!(
        (other.joins, other.place),
        (true, 1),
        "its repository had no turn"
    );
}

#[test]
fn who_is_next_looks_often_and_a_day_in_line_has_some_hundred_looks() {
    let caps = caps(2);
    let looks = |ahead: u64, job_takes: u64| {
        let mut slots = Slots::default();
        for job in 0..2 {
            seek(
                &mut slots,
                &seeker(&format!("a-{job}"), "octo/a", "f", 0),
                &caps,
                NOW - job_takes / 2,
            );
        }
        for job in 0..ahead {
            let seeker = seeker(&format!("a-1{job}"), "octo/a", "f", 1);
            seek(&mut slots, &seeker, &caps, NOW);
        }
        let last = seeker("a-9", "octo/a", "f", 9);
        let (mut now, mut looks) = (NOW, 0);
        while now < NOW + 86_400 {
            let awaited = awaited(seek(&mut slots, &last, &caps, now));
            assert!(awaited.after <= Duration::from_secs(LONGEST * 6 / 5));
            now += awaited.after.as_secs();
            looks += 1;
            // Slots change hands all the time, and those before it stay.
            for lease in slots.leases.values_mut() {
                lease.since = now - job_takes / 2;
            }
        }
        looks
    };
    for (ahead, job_takes) in [(0, 60), (0, 3_600), (1, 600), (200, 60), (200, 3_600)] {
        let looks = looks(ahead, job_takes);
        assert!(looks < 450, "{ahead} {job_takes}: {looks}");
    }
    let mut slots = Slots::default();
    seek(
        &mut slots,
        &seeker("a-1", "octo/a", "f", 0),
        &self::caps(1),
        NOW - 300,
    );
    let first = awaited(seek(
        &mut slots,
        &seeker("a-2", "octo/a", "f", 1),
        &self::caps(1),
        NOW,
    ));
    assert_eq!(
        first.after.as_secs(),
        50,
        "a sixth of what the job has taken"
    );
}

/// A job of the simulation.
#[derive(Clone, Debug)]
struct Job {
    repository: &'static str,
    /// When it comes, and how long it takes, in seconds.
    comes: u64,
    takes: u64,
}

/// Plays jobs against caps, as their executions do, to the end or until one has started; when each
/// started, and how often all looked.
fn simulate(jobs: &[Job], caps: &Caps, seed: u64, until: Option<usize>) -> (Vec<u64>, usize) {
    let mut random = seed;
    let mut jitter = || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        f64::from(u32::try_from(random >> 33).unwrap()) / f64::from(1_u32 << 31)
    };
    let mut slots = Slots::default();
    let mut starts = vec![0; jobs.len()];
    let mut looks = 0;
    // What happens next: a look, or an end.
    let mut next: BTreeSet<(u64, bool, usize)> = jobs
        .iter()
        .enumerate()
        .map(|(index, job)| (NOW + job.comes, true, index))
        .collect();
    while let Some((now, is_look, index)) = next.pop_first() {
        let job = &jobs[index];
        let name = format!("{}-{index}", &job.repository[5..]);
        let seeker = seeker(&name, job.repository, "f", NOW + job.comes);
        if !is_look {
            slots = release_slot(&slots, &seeker.execution, Some(1)).unwrap();
            continue;
        }
        looks += 1;
        match seek(&mut slots, &seeker, caps, now) {
            OnSlot::Go | OnSlot::Take(_) => {
                starts[index] = now - NOW;
                if until == Some(index) {
                    return (starts, looks);
                }
                next.insert((now + job.takes, false, index));
            }
            OnSlot::Wait(awaited) => {
                // The pause is that of `on_slot` with another jitter.
                let after = awaited.after.mul_f64(0.8 + 0.4 * jitter()).as_secs().max(1);
                next.insert((now + after, true, index));
            }
        }
        assert!(slots.leases.len() <= caps.deployment.unwrap_or(u32::MAX) as usize);
    }
    assert!(slots.leases.is_empty() && slots.line.is_empty() && slots.turns.is_empty());
    (starts, looks)
}

/// 256 jobs of one repository at once, and one of another some time later.
fn matrix(takes: u64, comes: u64) -> Vec<Job> {
    let mut jobs: Vec<_> = (0..256)
        .map(|index| Job {
            repository: "octo/matrix",
            comes: index / 50,
            // A tenth more or less.
            takes: takes * (90 + index * 7 % 21) / 100,
        })
        .collect();
    jobs.push(Job {
        repository: "octo/single",
        comes,
        takes,
    });
    jobs
}

#[test]
fn a_matrix_of_256_jobs_delays_another_repositorys_job_by_less_than_one_jobs_length() {
    let mut report = Vec::new();
    for (cap, takes) in [(1, 60), (1, 600), (2, 3_600), (10, 300), (50, 300)] {
        for comes in [takes / 5, takes * 3 / 2, takes * 7 / 2] {
            let jobs = matrix(takes, comes);
            let (starts, _) = simulate(&jobs, &caps(cap), comes, Some(256));
            let delay = starts[256] - comes;
            report.push((delay * 100 / takes, cap, takes, comes));
            assert!(
                delay < takes,
                "{cap} slots, jobs of {takes} s, it comes after {comes} s and waits {delay} s"
            );
        }
    }
    let worst = report.iter().max().unwrap();
    println!(
        "{} simulations; the longest delay is {} % of a job's length: {worst:?}",
        report.len(),
        worst.0
    );
}

#[test]
fn waiting_costs_some_looks_and_little_of_the_slots() {
    for (cap, takes) in [(10, 300), (20, 60)] {
        let jobs: Vec<_> = matrix(takes, 0);
        let (starts, looks) = simulate(&jobs, &caps(cap), 1, None);
        let ends = starts
            .iter()
            .zip(&jobs)
            .map(|(start, job)| start + job.takes);
        let makespan = ends.max().unwrap();
        let work: u64 = jobs.iter().map(|job| job.takes).sum();
        let used = work * 100 / (makespan * u64::from(cap));
        let each = looks / jobs.len();
        println!(
            "{cap} slots, jobs of {takes} s: {used} % of the slots are used, {each} looks for each job"
        );
        assert!(used >= 70, "{cap} {takes}: {used} %");
        assert!(each <= 60, "{cap} {takes}: {each}");
    }
}

#[test]
fn jobs_of_one_repository_start_in_the_order_in_which_they_came() {
    let jobs: Vec<_> = (0..40)
        .map(|index| Job {
            repository: "octo/one",
            comes: index * 10,
            takes: 300,
        })
        .collect();
    let (starts, _) = simulate(&jobs, &caps(1), 7, None);
    assert!(starts.is_sorted(), "{starts:?}");
}

proptest! {
    #[test]
    fn no_cap_is_exceeded_and_the_first_of_a_repository_keeps_its_slot(
        steps in proptest::collection::vec((0_usize..12, any::<bool>()), 1..80),
        deployment in 1_u32..5,
        repository in proptest::option::of(1_u32..4),
        offer in proptest::option::of(1_u32..4),
    ) {
        let caps = Caps {
            deployment: Some(deployment),
            repository,
            offers: offer.map(|cap| ("o1".to_owned(), cap)).into_iter().collect(),
            ..Caps::default()
        };
        let jobs: Vec<Seeker> = (0..12)
            .map(|job| seeker(
                &format!("r-{job}"),
                ["octo/a", "octo/b", "octo/c"][job % 3],
                ["o1", "o2"][job / 3 % 2],
                job as u64,
            ))
            .collect();
        let may = |slots: &Slots| -> BTreeSet<usize> {
            let waits = |job: &usize| slots.line.contains_key(&jobs[*job].execution);
            let takes = |job: &usize| matches!(on_slot(slots, &jobs[*job], &caps, NOW, 0.5), OnSlot::Take(_));
            (0..12).filter(waits).filter(takes).collect()
        };
        let mut slots = Slots::default();
        for (job, ends) in steps {
            let before = may(&slots);
            let stands = |job: &usize| slots.line.contains_key(&jobs[*job].execution);
            let firsts: BTreeSet<_> = (0..3)
                .filter_map(|repository| (0..12).filter(|job| job % 3 == repository).find(stands))
                .collect();
            let stood = slots.line.contains_key(&jobs[job].execution);
            if ends {
                if slots.leases.contains_key(&jobs[job].execution) {
                    slots = release_slot(&slots, &jobs[job].execution, Some(1)).unwrap();
                }
            } else {
                seek(&mut slots, &jobs[job], &caps, NOW);
            }
            let leases: Vec<_> = slots.leases.values().collect();
            let most = |limit: Option<u32>, count: usize| limit.is_none_or(|limit| count <= limit as usize);
            prop_assert!(most(caps.deployment, leases.len()));
            for lease in &leases {
                let same = leases.iter().filter(|one| one.at.repository == lease.at.repository);
                prop_assert!(most(repository, same.count()));
                let same = leases.iter().filter(|one| one.at.offer == lease.at.offer);
                prop_assert!(most(caps.of_offer(&lease.at.offer), same.count()));
            }
            // The first of a repository loses its slot to nobody else in line. If a later job of its own
            // repository takes one first, for another offer, the repository has had its turn.
            if stood && !ends {
                let after = may(&slots);
                let own = |one: &usize| *one % 3 == job % 3;
                let kept = |one: &usize| own(one) || !firsts.contains(one) || after.contains(one);
                prop_assert!(before.iter().all(kept), "{before:?} {after:?}");
            }
        }
    }
}
