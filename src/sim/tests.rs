use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use engine::rules::{Rules, Sound};

use crate::{Coverage, Options, Outcome, run, run_with};

mod driver;

const SEEDS: u64 = 1000;

/// Runs seeds on both hands until one of them is what `stop` looks for.
fn search(run: impl Fn(u64) -> Outcome + Sync, stop: impl Fn(&Outcome) -> bool + Sync) -> (Coverage, Option<Outcome>) {
    let (next, found) = (AtomicU64::new(0), AtomicBool::new(false));
    let work = || {
        let mut coverage = Coverage::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= SEEDS || found.load(Ordering::Relaxed) {
                return (coverage, None);
            }
            let outcome = run(seed);
            coverage.merge(&outcome.coverage);
            if stop(&outcome) {
                found.store(true, Ordering::Relaxed);
                return (coverage, Some(outcome));
            }
        }
    };
    let results = thread::scope(|scope| {
        let hands = [scope.spawn(work), scope.spawn(work)];
        hands.map(|hand| hand.join().unwrap_or_else(|_| panic!("a seed panicked; `make sim` names it")))
    });
    let mut coverage = Coverage::default();
    results.iter().for_each(|(other, _)| coverage.merge(other));
    (coverage, results.into_iter().find_map(|(_, outcome)| outcome))
}

#[test]
fn nothing_is_lost_and_nothing_comes_twice() {
    let (coverage, failed) = search(|seed| run(seed, Options::default()), |outcome| !outcome.violations.is_empty());
    if let Some(Outcome { seed, violations, .. }) = failed {
        panic!("SIM_SEED={seed} repeats it with `make sim`: {violations:?}");
    }
    assert!(coverage.missing().is_empty(), "never met: {:?}\n{coverage}", coverage.missing());
}

#[test]
fn a_seed_repeats_itself() {
    let options = Options { trace: true, ..Options::default() };
    for seed in [3, 74, 170] {
        let (first, second) = (run(seed, options), run(seed, options));
        assert!(first.trace.is_some() && first.trace == second.trace, "seed {seed}");
        assert_eq!(first.coverage, second.coverage);
    }
}

/// Some seed shows the fault. Which ones is of no matter; how it shows is for a person to read.
fn noticed<R: Rules>(what: &str, options: Options) {
    let (_, failed) = search(|seed| run_with::<R>(seed, options), |outcome| !outcome.violations.is_empty());
    assert!(failed.is_some(), "{what}: not noticed in {SEEDS} seeds");
}

#[test]
fn an_offset_that_is_released_before_its_records_is_noticed() {
    struct Early;
    impl Rules for Early {
        const DELIVERED_ONLY: bool = false;
    }
    noticed::<Early>("offsets released early", Options::default());
}

#[test]
fn a_ledger_that_looks_over_gaps_is_noticed() {
    struct Gaps;
    impl Rules for Gaps {
        const PREFIX_ONLY: bool = false;
    }
    noticed::<Gaps>("gaps in the ledger", Options::default());
}

#[test]
fn a_start_that_fences_nobody_is_noticed() {
    noticed::<Sound>("sessions without fencing", Options { unfenced: true, ..Options::default() });
}
