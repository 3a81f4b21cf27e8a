//! A bounded search for the step that leaves a victim nearest to the target.
//!
//! What remains of the way, as a function of the step, falls in a straight line while the rule
//! takes the message as it is. Behind the largest such step it stays where it is (the rule
//! clips) or jumps back (the rule refuses). A coarse look at halved steps finds the surroundings,
//! bisection finds the edge.

/// How often the way is halved at first.
const HALVINGS: u32 = 16;

/// How often the place around the best is halved.
const BISECTIONS: u32 = 12;

/// The step between 0 and `length` with the least that `remains`, the shortest of equal ones; 0
/// where no step helps. Gains up to `noise` are none. Calls `remains` at most 41 times.
pub(super) fn best_step(length: f64, noise: f64, remains: impl Fn(f64) -> f64) -> f64 {
    let better = |left: f64, than: f64| left < than - noise;
    let mut best = (0.0, remains(0.0));
    // Shortest first: a longer one has to be better.
    for halving in (0..HALVINGS).rev() {
        let step = length / 2f64.powi(halving as i32);
        let left = remains(step);
        if better(left, best.1) {
            best = (step, left);
        }
    }
    if best.0 == 0.0 {
        return 0.0;
    }
    let further = beyond(best, length, &better, &remains);
    if further > best.0 { further } else { back(best, &better, &remains) }
}

/// The end of the improvement behind the best step, before the next that was looked at.
fn beyond(
    best: (f64, f64),
    length: f64,
    better: &impl Fn(f64, f64) -> bool,
    remains: &impl Fn(f64) -> f64,
) -> f64 {
    let (mut near, mut least) = best;
    let mut far = (2.0 * near).min(length);
    for _ in 0..BISECTIONS {
        if far <= near {
            break;
        }
        let middle = near.midpoint(far);
        let left = remains(middle);
        if better(left, least) {
            (near, least) = (middle, left);
        } else {
            far = middle;
        }
    }
    near
}

/// The shortest step that is as good as the best, above half of it.
fn back(
    (best, least): (f64, f64),
    better: &impl Fn(f64, f64) -> bool,
    remains: &impl Fn(f64) -> f64,
) -> f64 {
    let (mut short, mut enough) = (best / 2.0, best);
    for _ in 0..BISECTIONS {
        let middle = short.midpoint(enough);
        if better(least, remains(middle)) {
            short = middle;
        } else {
            enough = middle;
        }
    }
    enough
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn edges_are_found_within_the_bound() {
        let calls = Cell::new(0);
        for edge in [0.001, 0.4, 1.0, 5.0, 5.1, 9.99, 10.0] {
            let clipped = |step: f64| 10.0 - 0.3 * step.min(edge);
            let refused = |step: f64| if step <= edge { 10.0 - 0.3 * step } else { 10.0 };
            for remains in [&clipped as &dyn Fn(f64) -> f64, &refused] {
                calls.set(0);
                let found = best_step(10.0, 1e-5, |step| {
                    calls.set(calls.get() + 1);
                    remains(step)
                });
                // What is too small to notice is not told from the best.
                let slack = 1e-3 * edge + 4e-5;
                assert!((found - edge).abs() <= slack, "{found} for {edge}");
                assert!(calls.get() <= 41, "{} calls", calls.get());
            }
        }
    }

    #[test]
    fn no_step_is_taken_that_does_not_help() {
        assert_eq!(best_step(10.0, 1e-5, |_| 3.0), 0.0);
        assert_eq!(best_step(10.0, 1e-5, |step| 3.0 + step), 0.0);
        assert_eq!(best_step(10.0, 1e-5, |_| f64::NAN), 0.0);
        assert_eq!(best_step(0.0, 0.0, |_| 0.0), 0.0);
        assert_eq!(best_step(f64::INFINITY, 1.0, |_| f64::INFINITY), 0.0);
    }
}
