//! How long something takes at best.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::time::Instant;

/// The fewest runs, unless a single one takes the whole budget.
const RUNS_MIN: usize = 3;

/// How many budgets may pass on preparing and running together.
const BUDGETS_MAX: f64 = 4.0;

/// The least time, in seconds, that `run` takes on what `prepare` makes, which is not timed.
///
/// It is run until `budget` seconds of runs have passed, and at least three times where one run
/// does not take all of that. The least is reported because everything else that a machine does
/// only adds to it. The first failure ends the measurement.
pub(super) fn least_seconds<P, T, E>(
    budget: f64,
    mut prepare: impl FnMut() -> P,
    mut run: impl FnMut(P) -> Result<T, E>,
) -> Result<f64, E> {
    let begin = Instant::now();
    let (mut least, mut total, mut runs) = (f64::INFINITY, 0.0, 0);
    loop {
        let prepared = prepare();
        let start = Instant::now();
        let outcome = run(prepared);
        let seconds = start.elapsed().as_secs_f64();
        std::hint::black_box(outcome?);
        least = least.min(seconds);
        total += seconds;
        runs += 1;
        let over = total >= budget || begin.elapsed().as_secs_f64() >= BUDGETS_MAX * budget;
        if over && (runs >= RUNS_MIN || seconds >= budget) {
            return Ok(least);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_until_the_budget_is_spent() {
        let mut runs = 0;
        let once = |()| {
            runs += 1;
            Ok::<_, ()>(())
        };
        assert!(least_seconds(0.0, || (), once).unwrap() < 1.0);
        assert_eq!(runs, 1, "one run takes the whole of no budget");
    }

    #[test]
    fn stops_at_the_first_failure() {
        let mut runs = 0;
        let failing = |()| {
            runs += 1;
            if runs == 2 { Err("worn out") } else { Ok(()) }
        };
        assert_eq!(least_seconds(1e9, || (), failing), Err("worn out"));
    }
}
