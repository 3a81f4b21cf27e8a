//! Rounds of random rows, and how long each rule takes to close one.

use clap::ValueEnum;
use ndarray::{Array1, Array2, s};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::aggregators::{self, AggregateError, Context};
use crate::catalog::{Catalog, Choice, Member};
use crate::cli::bench::stopwatch::least_seconds;
use crate::cli::usage::Usage;
use crate::memory::Memory;
use crate::node::{NodeId, Round};
use crate::preaggregators;

/// Parameters that differ from the defaults, so that figures compare with other libraries.
const PARAMETERS: [(&str, &str); 2] =
    [("geometric_median", "iterations = 3"), ("centered_clipping", "iterations = 1")];

/// The shape of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Size {
    /// One row in five.
    pub(super) fn byzantine(self) -> usize {
        self.rows / 5
    }

    /// What all rows take, in bytes.
    pub(super) fn bytes(self) -> usize {
        self.rows * self.columns * size_of::<f32>()
    }
}

/// What the byzantine rows hold: kernels may not be slow on any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Values {
    /// The same as the others: uniform draws between -1 and 1
    Random,
    /// NaN
    Nan,
    /// Infinity
    Infinity,
    /// 1e30
    Huge,
    /// Numbers below the least normal one
    Denormal,
}

impl Values {
    /// What a row holds in place of a draw.
    fn of(self, draw: f32) -> f32 {
        match self {
            Values::Random => draw,
            Values::Nan => f32::NAN,
            Values::Infinity => f32::INFINITY,
            Values::Huge => 1e30,
            Values::Denormal => draw * f32::MIN_POSITIVE,
        }
    }
}

/// How one rule did.
#[derive(Debug)]
pub(super) struct Timed {
    pub(super) rule: &'static str,
    /// Seconds at best, or why it cannot be done.
    pub(super) seconds: Result<f64, String>,
}

/// Times the members called `names`, for `budget` seconds each.
pub(super) fn time(
    names: &[&'static str],
    size: Size,
    values: Values,
    budget: f64,
) -> Result<Vec<Timed>, Usage> {
    let mut timed = Vec::new();
    let mut updates = updates(size, values);
    for &name in names {
        let seconds = if aggregators::CATALOG.find(name).is_ok() {
            let rule = member(&aggregators::CATALOG, name)?.value;
            refusal(rule.admits(size.rows, size.byzantine())).and_then(|()| {
                let aggregate = |()| {
                    in_context(size, &updates, |context| rule.aggregate(updates.view(), context))
                };
                refusal(least_seconds(budget, || (), aggregate))
            })
        } else {
            let before = member(&preaggregators::CATALOG, name)?.value;
            refusal(before.admits(size.rows, size.byzantine())).and_then(|()| {
                // The rows are given away and drawn again, so that no copy takes memory.
                let draw = || self::updates(size, values);
                let first = updates.slice(s![..1, ..]).to_owned();
                drop(std::mem::take(&mut updates));
                let transform = |rows: Array2<f32>| {
                    in_context(size, &first, |context| before.transform(rows, context))
                };
                let seconds = refusal(least_seconds(budget, draw, transform));
                updates = draw();
                seconds
            })
        };
        timed.push(Timed { rule: name, seconds });
    }
    Ok(timed)
}

/// A refusal as a reason.
fn refusal<T>(outcome: Result<T, AggregateError>) -> Result<T, String> {
    outcome.map_err(|error| error.to_string())
}

/// The member with the parameters that are compared.
fn member<T: ?Sized, C>(catalog: &Catalog<T, C>, name: &str) -> Result<Member<T>, Usage> {
    let parameters = PARAMETERS.iter().find(|(rule, _)| *rule == name).map_or("", |found| found.1);
    Ok(catalog.build(&Choice::with(name, parameters)?)?)
}

/// Uniform draws; the last fifth of the rows holds `values`.
fn updates(size: Size, values: Values) -> Array2<f32> {
    let honest = size.rows - size.byzantine();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    Array2::from_shape_fn((size.rows, size.columns), |(row, _)| {
        let draw = 2.0 * rng.random::<f32>() - 1.0;
        if row < honest { draw } else { values.of(draw) }
    })
}

/// Calls `run` with a context that offers everything that a rule may ask for.
fn in_context<T>(size: Size, updates: &Array2<f32>, run: impl FnOnce(&mut Context<'_>) -> T) -> T {
    let senders: Vec<NodeId> = (0..size.rows as u32).map(NodeId).collect();
    let samples: Vec<u64> = (1..=size.rows as u64).collect();
    let previous = Array1::zeros(size.columns);
    run(&mut Context {
        round: Round(1),
        rounds_total: 1,
        byzantine: size.byzantine(),
        senders: &senders,
        samples: Some(&samples),
        previous: Some(previous.view()),
        trusted: Some(updates.row(0)),
        head: Some(size.columns - size.columns.div_ceil(10)..size.columns),
        memory: &mut Memory::default(),
        rng: &mut ChaCha8Rng::seed_from_u64(2),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_fifth_is_byzantine() {
        let size = Size { rows: 11, columns: 3 };
        let nan = updates(size, Values::Nan);
        let marked: Vec<usize> =
            (0..11).filter(|&row| nan.row(row).iter().all(|value| value.is_nan())).collect();
        assert_eq!(marked, [9, 10]);
        let denormal = updates(size, Values::Denormal);
        assert!(denormal.row(10).iter().all(|value| value.is_subnormal()));
    }

    #[test]
    fn exceptions_name_members_of_the_catalog() {
        for (name, _) in PARAMETERS {
            let built = member(&aggregators::CATALOG, name);
            assert!(built.is_ok(), "{name}: {:?}", built.err());
        }
    }
}
