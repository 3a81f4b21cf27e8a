//! A chain with most of its rows, which waits for the rest: for attackers that try many vectors on
//! one rule.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, CowArray, Ix2, s};

use super::Chain;
use super::one_pass::OnePass;
use crate::aggregators::{AggregateError, Repeated};
use crate::kernels::distances::{squared_distances, squared_distances_to};
use crate::vector::first_not_finite;

/// A chain that ends in mixing and a rule over columns, with steps before that change each row by
/// itself. What these make of the fixed rows, and the distances among them, stay.
pub(super) struct RepeatedChain<'a> {
    pass: OnePass<'a>,
    /// The fixed rows as they are mixed, in standard layout.
    fixed: CowArray<'a, f32, Ix2>,
    /// The squared distances among all rows; those to the copies are those of the last vector.
    distances: Array2<f64>,
    copies: usize,
    byzantine: usize,
}

impl<'a> RepeatedChain<'a> {
    /// The chain with these rows, where it is such a one.
    pub(super) fn new(
        chain: &'a Chain,
        fixed: ArrayView2<'a, f32>,
        copies: usize,
        byzantine: usize,
    ) -> Option<Self> {
        let rows = fixed.nrows() + copies;
        let pass = OnePass::of(chain, rows)?;
        if fixed.is_empty() {
            return None;
        }
        let fixed = row_by_row(&pass, fixed)?;
        let mut distances = Array2::zeros((rows, rows));
        let among = squared_distances(fixed.view());
        distances.slice_mut(s![..fixed.nrows(), ..fixed.nrows()]).assign(&among);
        Some(RepeatedChain { pass, fixed, distances, copies, byzantine })
    }
}

/// Writes the distances of all copies of a vector, which stand behind the fixed rows.
fn measure(distances: &mut Array2<f64>, vector: &[f32], fixed: &[&[f32]]) {
    let count = fixed.len();
    // Copies are where they are, unless they are nowhere.
    let apart = if first_not_finite(vector).is_none() { 0.0 } else { f64::INFINITY };
    distances.slice_mut(s![count.., count..]).fill(apart);
    for (row, distance) in squared_distances_to(vector, fixed).into_iter().enumerate() {
        distances.slice_mut(s![row, count..]).fill(distance);
        distances.slice_mut(s![count.., row]).fill(distance);
    }
    distances.diag_mut().fill(0.0);
}

/// The rows behind the steps before mixing, in standard layout.
fn row_by_row<'a>(pass: &OnePass<'_>, rows: ArrayView2<'a, f32>) -> Option<CowArray<'a, f32, Ix2>> {
    let mut rows = CowArray::from(rows);
    for link in pass.before {
        rows = CowArray::from(link.part.row_by_row(rows.view())?);
    }
    match rows.is_standard_layout() {
        true => Some(rows),
        false => Some(CowArray::from(rows.as_standard_layout().into_owned())),
    }
}

impl Repeated for RepeatedChain<'_> {
    fn aggregate(&mut self, vector: &[f32]) -> Result<Array1<f32>, AggregateError> {
        let RepeatedChain { pass, fixed, distances, copies, byzantine } = self;
        for link in pass.before {
            link.part.admits(distances.nrows(), link.byzantine.unwrap_or(*byzantine))?;
        }
        let sent = ArrayView1::from(vector).insert_axis(Axis(0));
        let sent = row_by_row(pass, sent).expect("a vector is changed as the fixed rows were");
        let vector = sent.as_slice().expect("standard layout is contiguous");
        let flat = fixed.as_slice().expect("standard layout is contiguous");
        let mut rows: Vec<&[f32]> = flat.chunks(vector.len().max(1)).collect();
        measure(distances, vector, &rows);
        rows.extend(std::iter::repeat_n(vector, *copies));
        pass.finish(&rows, *byzantine, || distances.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ndarray::concatenate;
    use rand::{Rng, RngExt};

    use super::*;
    use crate::aggregators::{Aggregator, CATALOG as RULES, Context};
    use crate::memory::Memory;
    use crate::node::{NodeId, Round};
    use crate::preaggregators::{CATALOG, Link, PreAggregator};
    use crate::seed::{Purpose, run_stream};

    /// Changes each row by itself.
    #[derive(Debug)]
    struct Squares;

    impl PreAggregator for Squares {
        fn admits(&self, rows: usize, _byzantine: usize) -> Result<(), AggregateError> {
            if rows == 0 { Err(AggregateError::Empty { rule: "squares" }) } else { Ok(()) }
        }

        fn transform(
            &self,
            updates: Array2<f32>,
            _context: &mut Context<'_>,
        ) -> Result<Array2<f32>, AggregateError> {
            self.admits(updates.nrows(), 0)?;
            Ok(updates.mapv(|value| value * value))
        }

        fn row_by_row(&self, updates: ArrayView2<'_, f32>) -> Option<Array2<f32>> {
            Some(updates.mapv(|value| value * value))
        }
    }

    /// Mixing and a rule, with so many other steps before.
    fn chain(before: usize, rule: &str) -> Chain {
        let squares = |_| Arc::new(Squares) as Arc<dyn PreAggregator>;
        let mut parts: Vec<_> = (0..before).map(squares).collect();
        parts.push(CATALOG.build_default("nearest_neighbour_mixing").unwrap().value);
        let before = parts.into_iter().map(|part| Link { part, byzantine: None }).collect();
        let rule = RULES.build_default(rule).unwrap().value;
        Chain { before, rule: Link { part: rule, byzantine: None } }
    }

    /// What a chain makes of rows in one go, or step by step.
    fn aggregate(chain: &Chain, steps: bool, rows: &Array2<f32>, byzantine: usize) -> Bits {
        let senders: Vec<NodeId> = (0..rows.nrows() as u32).map(NodeId).collect();
        let mut context = Context {
            round: Round(1),
            rounds_total: 1,
            byzantine,
            senders: &senders,
            samples: None,
            previous: None,
            trusted: None,
            head: None,
            memory: &mut Memory::default(),
            rng: &mut run_stream(1, Purpose::Aggregation),
        };
        let result = if steps {
            let prepared = Chain::prepare(&chain.before, rows.clone(), &mut context);
            prepared.and_then(|rows| chain.rule.part.aggregate(rows.view(), &mut context))
        } else {
            chain.aggregate(rows.view(), &mut context)
        };
        bits(result.map(|aggregate| aggregate.vector))
    }

    type Bits = Result<Vec<u32>, String>;

    fn bits(result: Result<Array1<f32>, AggregateError>) -> Bits {
        let bits = |vector: Array1<f32>| vector.iter().map(|value| value.to_bits()).collect();
        result.map(bits).map_err(|error| error.to_string())
    }

    #[test]
    fn the_bits_are_those_of_all_rows_step_by_step() {
        let mut rng = run_stream(1, Purpose::Aggregation);
        let chains = [
            chain(0, "trimmed_mean"),
            chain(0, "median"),
            chain(1, "trimmed_mean"),
            chain(2, "median"),
        ];
        let sizes = [(10, 4, 1500), (7, 2, 65), (11, 1, 4097), (3, 4, 7), (5, 3, 300)];
        for (chain, (honest, copies, columns)) in
            chains.iter().flat_map(|chain| sizes.map(|size| (chain, size)))
        {
            let mut fixed = Array2::from_shape_fn((honest, columns), |_| rng.random::<f32>() - 0.5);
            fixed.row_mut(0).mapv_inplace(|value| 1e3 * value);
            let mut repeated = chain.repeated(fixed.view(), copies, copies).unwrap();
            let rows = |vector: &Array1<f32>| {
                let sent = vector.broadcast((copies, columns)).unwrap();
                concatenate(Axis(0), &[fixed.view(), sent]).unwrap()
            };
            let random = Array1::from_shape_fn(columns, |_| rng.random::<f32>() - 0.5);
            let mean = fixed.mean_axis(Axis(0)).unwrap();
            let broken = Array1::from_shape_fn(columns, |_| f32::from_bits(rng.next_u32()));
            let vectors = [
                random.clone(),
                &mean + &random * 0.01,
                fixed.row(1).to_owned(),
                Array1::zeros(columns),
                &random * 1e30,
                &random * 1e-30,
                Array1::from_elem(columns, f32::INFINITY),
                broken,
                random,
            ];
            for vector in &vectors {
                let plain = aggregate(chain, true, &rows(vector), copies);
                assert_eq!(aggregate(chain, false, &rows(vector), copies), plain);
                let found = repeated.aggregate(vector.as_slice().unwrap());
                assert_eq!(bits(found), plain);
            }
        }
    }
}
