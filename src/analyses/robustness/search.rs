//! The search for the worst input: known bad shapes first, then small changes that make it worse.

use ndarray::{Array1, Array2, ArrayView1, Axis, s};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use serde::Serialize;

use crate::aggregators::{AggregateError, Aggregator, Context};
use crate::memory::Memory;
use crate::node::{NodeId, Round};
use crate::seed::{Purpose, run_stream, stream};

/// Inputs whose honest rows have a standard deviation below this share of their largest coordinate
/// do not count: there rounding in single precision would be taken for an error of the rule.
const LEAST_SPREAD: f64 = 1e-2;

/// How many changes are tried from one start.
const CLIMB: usize = 600;

/// What is searched.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    /// How many rows there are, n.
    pub rows: usize,
    /// How many of them lie, f, which is also what the rule is told.
    pub byzantine: usize,
    /// How many inputs are tried.
    pub evaluations: usize,
    /// The seed of all draws.
    pub seed: u64,
}

/// The worst input found.
#[derive(Debug, Clone, Serialize)]
pub struct Worst {
    /// `‖F(x) - m‖² / σ²`; infinite where the aggregate is not finite.
    pub kappa: f64,
    /// The honest rows.
    pub honest: Vec<Vec<f32>>,
    /// What the liars send.
    pub byzantine: Vec<Vec<f32>>,
    /// Whether the liars are the lowest senders; else they are the highest.
    pub liars_first: bool,
    /// What the rule makes of it.
    pub aggregate: Vec<f32>,
    /// How many inputs were tried.
    pub evaluations: usize,
}

/// An input: honest rows, then those of liars.
#[derive(Clone)]
struct Input {
    rows: Array2<f32>,
    liars_first: bool,
}

/// The input of the largest κ that the search finds, in one to three dimensions.
///
/// The same search with the same seed finds the same input. Refuses what the rule refuses.
pub fn worst_case(rule: &dyn Aggregator, search: Search) -> Result<Worst, AggregateError> {
    rule.admits(search.rows, search.byzantine)?;
    let mut best: Option<(f64, Input)> = None;
    let mut spent = 0;
    let mut restart = 0;
    while spent < search.evaluations {
        let mut rng = stream(search.seed, Purpose::Attack, Round(restart), NodeId(0));
        let mut input = start(search, restart as usize, &mut rng);
        let mut kappa = measure(rule, search, &input)?;
        spent += 1;
        for _ in 0..CLIMB.min(search.evaluations - spent) {
            let changed = change(search, &input, &mut rng);
            spent += 1;
            let Some(found) = measure(rule, search, &changed)? else { continue };
            if kappa.is_none_or(|kappa| found >= kappa) {
                (kappa, input) = (Some(found), changed);
            }
        }
        if let Some(kappa) = kappa
            && best.as_ref().is_none_or(|(most, _)| kappa > *most)
        {
            best = Some((kappa, input));
        }
        restart += 1;
    }
    let (kappa, input) = best
        .unwrap_or_else(|| (0.0, start(search, 0, &mut run_stream(search.seed, Purpose::Attack))));
    let honest = search.rows - search.byzantine;
    let lists = |rows: ndarray::ArrayView2<'_, f32>| -> Vec<Vec<f32>> {
        rows.rows().into_iter().map(|row| row.to_vec()).collect()
    };
    Ok(Worst {
        kappa,
        honest: lists(input.rows.slice(s![..honest, ..])),
        byzantine: lists(input.rows.slice(s![honest.., ..])),
        liars_first: input.liars_first,
        aggregate: aggregate(rule, search, &input)?.to_vec(),
        evaluations: spent,
    })
}

/// `‖F(x) - m‖² / σ²`, or nothing where the honest rows are too close together to say.
fn measure(
    rule: &dyn Aggregator,
    search: Search,
    input: &Input,
) -> Result<Option<f64>, AggregateError> {
    let honest = input.rows.slice(s![..search.rows - search.byzantine, ..]);
    let largest = honest.iter().fold(0.0, |most: f64, x| most.max(f64::from(x.abs())));
    let count = honest.nrows() as f64;
    let mean = honest.map_axis(Axis(0), |column| {
        column.iter().map(|&value| f64::from(value)).sum::<f64>() / count
    });
    let square = |row: ArrayView1<'_, f32>| -> f64 {
        row.iter().zip(&mean).map(|(&value, mean)| (f64::from(value) - mean).powi(2)).sum()
    };
    let variance = honest.rows().into_iter().map(square).sum::<f64>() / count;
    if variance.sqrt() < LEAST_SPREAD * largest || variance == 0.0 {
        return Ok(None);
    }
    let error = square(aggregate(rule, search, input)?.view());
    Ok(Some(if error.is_finite() { error / variance } else { f64::INFINITY }))
}

/// What the rule makes of an input.
fn aggregate(
    rule: &dyn Aggregator,
    search: Search,
    input: &Input,
) -> Result<Array1<f32>, AggregateError> {
    let honest = search.rows - search.byzantine;
    let order: Vec<usize> = if input.liars_first {
        (honest..search.rows).chain(0..honest).collect()
    } else {
        (0..search.rows).collect()
    };
    let senders: Vec<NodeId> = (0..search.rows as u32).map(NodeId).collect();
    let samples = vec![1; search.rows];
    let mut context = Context {
        round: Round(1),
        rounds_total: 1,
        byzantine: search.byzantine,
        senders: &senders,
        samples: Some(&samples),
        previous: None,
        trusted: None,
        head: None,
        memory: &mut Memory::default(),
        rng: &mut run_stream(search.seed, Purpose::Aggregation),
    };
    Ok(rule.aggregate(input.rows.select(Axis(0), &order).view(), &mut context)?.vector)
}

/// Where a climb begins: shapes that are bad for some rule, in turn.
fn start(search: Search, restart: usize, rng: &mut dyn Rng) -> Input {
    let honest = search.rows - search.byzantine;
    let columns = 1 + restart % 3;
    let mut rows =
        Array2::from_shape_fn((search.rows, columns), |_| -> f32 { StandardNormal.sample(rng) });
    // Two groups of honest rows, as large as a restart says; the liars join one of them or stand
    // between them.
    if restart.is_multiple_of(2) {
        let group = 1 + restart / 2 % (honest - 1).max(1);
        let lie = [0.0, 1.0, 0.5, -1.0][restart / 2 % 4];
        for (row, mut values) in rows.rows_mut().into_iter().enumerate() {
            let place = if row >= honest { lie } else { f32::from(u8::from(row < group)) };
            values.mapv_inplace(|noise| place + 0.01 * noise);
        }
    } else {
        let far = [1.0, 3.0, 10.0, 1e3, 1e6][restart / 2 % 5];
        rows.slice_mut(s![honest.., ..]).mapv_inplace(|value| far * value);
    }
    Input { rows, liars_first: restart % 4 < 2 }
}

/// A neighbour of an input.
fn change(search: Search, input: &Input, rng: &mut dyn Rng) -> Input {
    let mut changed = input.clone();
    let honest = search.rows - search.byzantine;
    let (rows, columns) = changed.rows.dim();
    let row = rng.random_range(0..rows);
    let other = rng.random_range(0..rows);
    match rng.random_range(0..8u8) {
        // One row takes another's place, or comes near it.
        0 => {
            let place = changed.rows.row(other).to_owned();
            changed.rows.row_mut(row).assign(&place);
        }
        1 => {
            let share = rng.random::<f32>();
            let place = changed.rows.row(other).to_owned();
            changed.rows.row_mut(row).zip_mut_with(&place, |x, place| *x += share * (place - *x));
        }
        // All liars say the same, or the same more loudly.
        2 if honest < rows => {
            let place = changed.rows.row(rng.random_range(honest..rows)).to_owned();
            for mut liar in changed.rows.slice_mut(s![honest.., ..]).rows_mut() {
                liar.assign(&place);
            }
        }
        3 => {
            let factor = 2f32.powf(rng.random_range(-2.0..2.0));
            changed
                .rows
                .slice_mut(s![honest.., ..])
                .mapv_inplace(|x| (factor * x).clamp(-1e9, 1e9));
        }
        // Everybody moves: for rules that depend on where zero is.
        4 => {
            let column = rng.random_range(0..columns);
            let shift: f32 = StandardNormal.sample(rng);
            changed.rows.column_mut(column).mapv_inplace(|x| x + shift);
        }
        5 => changed.liars_first = !changed.liars_first,
        _ => {
            let size = 10f32.powf(rng.random_range(-4.0..0.5));
            for value in changed.rows.row_mut(row) {
                let noise: f32 = StandardNormal.sample(rng);
                *value += size * noise;
            }
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregators::CATALOG;

    fn search(rows: usize, byzantine: usize) -> Search {
        Search { rows, byzantine, evaluations: 20_000, seed: 1 }
    }

    fn kappa(rule: &str, search: Search) -> f64 {
        worst_case(&*CATALOG.build_default(rule).unwrap().value, search).unwrap().kappa
    }

    #[test]
    fn the_exact_figures_are_found_and_not_passed() {
        // Trimmed mean: f/(n - 2f). Median of 10 with f = 3: (5 - 1)/(5 + 1 - 3).
        let trimmed = kappa("trimmed_mean", search(10, 3));
        assert!((0.74..=0.750_01).contains(&trimmed), "{trimmed}");
        let median = kappa("median", search(10, 3));
        assert!((1.3..=1.333_34).contains(&median), "{median}");
    }

    #[test]
    fn the_mean_is_carried_away_and_the_same_seed_finds_the_same() {
        assert!(kappa("mean", search(10, 1)) > 1e6);
        let rule = CATALOG.build_default("krum").unwrap().value;
        let short = Search { evaluations: 2000, ..search(7, 2) };
        let [first, second] = [(); 2].map(|()| worst_case(&*rule, short).unwrap());
        assert_eq!((first.kappa, first.honest), (second.kappa, second.honest));
        assert_eq!(first.evaluations, 2000);
    }

    #[test]
    fn what_the_rule_refuses_is_refused() {
        let rule = CATALOG.build_default("median").unwrap().value;
        assert!(worst_case(&*rule, search(4, 2)).is_err());
    }
}
