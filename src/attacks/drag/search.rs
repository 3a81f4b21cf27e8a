//! A bounded search for the step that carries a victim furthest.
//!
//! What a message gains, as a function of its step, rises in a straight line while the rule takes
//! it as it is. Behind the largest such step the gain stays (the rule clips) or is lost (the rule
//! refuses). A coarse look at halved steps finds the surroundings, bisection finds the edge.

/// How often the way is halved at first.
const HALVINGS: i32 = 16;

/// How often the place around the best is halved.
const BISECTIONS: u32 = 12;

/// The step between 0 and `length` with the largest `gain`, the shortest of equal ones; 0 where
/// no step gains. Differences up to `noise` are none. Calls `gain` at most 41 times.
pub(super) fn best_step(length: f64, noise: f64, gain: impl Fn(f64) -> f64) -> f64 {
    let mut best = (0.0, gain(0.0));
    // Shortest first: a longer one has to gain more.
    for halving in (0..HALVINGS).rev() {
        let step = length / 2f64.powi(halving);
        let gained = gain(step);
        if gained > best.1 + noise {
            best = (step, gained);
        }
    }
    if best.0 == 0.0 {
        return 0.0;
    }
    let further = beyond(best, length, noise, &gain);
    if further > best.0 { further } else { back(best, noise, &gain) }
}

/// The end of the rise behind the best step, before the next that was looked at.
fn beyond(best: (f64, f64), length: f64, noise: f64, gain: &impl Fn(f64) -> f64) -> f64 {
    let (mut near, mut most) = best;
    let mut far = (2.0 * near).min(length);
    for _ in 0..BISECTIONS {
        if far <= near {
            break;
        }
        let middle = near.midpoint(far);
        let gained = gain(middle);
        if gained > most + noise {
            (near, most) = (middle, gained);
        } else {
            far = middle;
        }
    }
    near
}

/// The shortest step that gains as much as the best, above half of it; or the end of a rise that
/// goes higher, where the best was one that the rule refuses.
fn back((best, most): (f64, f64), noise: f64, gain: &impl Fn(f64) -> f64) -> f64 {
    let (mut short, mut enough, mut most, mut rises) = (best / 2.0, best, most, false);
    for _ in 0..BISECTIONS {
        let middle = short.midpoint(enough);
        let gained = gain(middle);
        if gained > most + noise {
            (short, most, rises) = (middle, gained, true);
        } else if rises || gained >= most - noise {
            enough = middle;
        } else {
            short = middle;
        }
    }
    if rises { short } else { enough }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn edges_are_found_within_the_bound() {
        let calls = Cell::new(0);
        for edge in [0.001, 0.4, 1.0, 5.0, 5.1, 9.99, 10.0] {
            let clipped = |step: f64| 0.3 * step.min(edge) - 7.0;
            let refused = |step: f64| if step <= edge { 0.3 * step - 7.0 } else { -7.0 };
            // Refused, the victim goes with its honest neighbours.
            let let_go = |step: f64| if step <= edge { 0.3 * step } else { 0.2 * edge };
            for gain in [&clipped as &dyn Fn(f64) -> f64, &refused, &let_go] {
                calls.set(0);
                let found = best_step(10.0, 1e-5, |step| {
                    calls.set(calls.get() + 1);
                    gain(step)
                });
                // What is too small to notice is not told from the best.
                let slack = 1e-3 * edge + 4e-5;
                assert!((found - edge).abs() <= slack, "{found} for {edge}");
                assert!(calls.get() <= 41, "{} calls", calls.get());
            }
        }
    }

    #[test]
    fn no_step_is_taken_that_gains_nothing() {
        assert_eq!(best_step(10.0, 1e-5, |_| 3.0), 0.0);
        assert_eq!(best_step(10.0, 1e-5, |step| 3.0 - step), 0.0);
        assert_eq!(best_step(10.0, 1e-5, |_| f64::NAN), 0.0);
        assert_eq!(best_step(0.0, 0.0, |_| 0.0), 0.0);
        assert_eq!(best_step(f64::INFINITY, 1.0, |_| f64::NEG_INFINITY), 0.0);
    }
}
