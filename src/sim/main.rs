//! `sim [SEEDS]` runs that many seeds; `SIM_SEED=n sim` repeats one with its trace.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Instant,
};

use sim::{Coverage, Options, run};

fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    match simulate(&mut out) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nothing can be printed any more; the code says it.
            let _ = writeln!(io::stderr(), "sim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn simulate(out: &mut impl Write) -> io::Result<bool> {
    if let Ok(seed) = std::env::var("SIM_SEED") {
        let seed = seed.trim().parse().map_err(|_| io::Error::other("SIM_SEED is not a number"))?;
        let outcome = run(seed, Options { trace: true, ..Options::default() });
        write!(out, "{}", outcome.trace.unwrap_or_default())?;
        outcome.violations.iter().try_for_each(|violation| writeln!(out, "VIOLATION: {violation}"))?;
        writeln!(out, "seed {seed}: {}", if outcome.violations.is_empty() { "clean" } else { "FAILED" })?;
        return Ok(outcome.violations.is_empty());
    }
    let seeds = match std::env::args().nth(1) {
        None => 1000,
        Some(number) => number.parse().map_err(|_| io::Error::other("usage: sim [SEEDS]; SIM_SEED=n repeats one"))?,
    };
    let begun = Instant::now();
    let (mut coverage, mut failed) = (Coverage::default(), 0u32);
    for seed in 0..seeds {
        let outcome = run(seed, Options::default());
        coverage.merge(&outcome.coverage);
        if let Some(violation) = outcome.violations.first() {
            failed += 1;
            writeln!(out, "seed {seed} FAILED: {violation}; SIM_SEED={seed} repeats it")?;
        }
    }
    writeln!(out, "met:\n{coverage}")?;
    let missing = coverage.missing();
    missing.iter().try_for_each(|what| writeln!(out, "NEVER MET: {what}"))?;
    writeln!(out, "{seeds} seeds in {:.1} s, {failed} failed", begun.elapsed().as_secs_f64())?;
    Ok(failed == 0 && missing.is_empty())
}
