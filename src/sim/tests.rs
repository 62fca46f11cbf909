use engine::rules::Rules;

use crate::{Coverage, Options, run, run_with};

const SEEDS: u64 = 1000;

#[test]
fn nothing_is_lost_and_nothing_comes_twice() {
    let mut coverage = Coverage::default();
    for seed in 0..SEEDS {
        let outcome = run(seed, Options::default());
        assert!(outcome.violations.is_empty(), "SIM_SEED={seed}: {:?}", outcome.violations);
        coverage.merge(&outcome.coverage);
    }
    assert!(coverage.missing().is_empty(), "never met: {:?}\n{coverage}", coverage.missing());
}
