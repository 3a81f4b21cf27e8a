//! Every member of every catalog is held to what its entry says.
//!
//! Nothing here names a member: a new one is covered by being in its catalog.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;

use byzlab::aggregators::{
    self, Aggregate, AggregateError, Aggregator, Claims, Context, Remembers,
};
use byzlab::catalog::Catalog;
use byzlab::memory::Memory;
use byzlab::node::{NodeId, Round};
use byzlab::preaggregators;
use byzlab::seed::{Purpose, run_stream, stream};
use byzlab::vector::{norm, squared_distance};
use byzlab::{attacks, datasets, metrics, models, partitions, poisons};
use ndarray::{Array1, Array2, ArrayView1, Axis, concatenate};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

// ---------------------------------------------------------------------------- tables

/// What every catalog promises of its table, whatever the members are.
fn table<T: ?Sized, C>(catalog: &Catalog<T, C>) {
    let names: BTreeSet<&str> = catalog.entries.iter().map(|entry| entry.name).collect();
    assert_eq!(names.len(), catalog.entries.len(), "{} names are unique", catalog.kind);
    for entry in catalog.entries {
        let what = format!("{} {}", catalog.kind, entry.name);
        assert!(is_snake_case(entry.name), "{what}: name");
        assert!(is_one_line(entry.summary), "{what}: summary");
        assert!(is_one_line(entry.reference), "{what}: reference");
        let manual = entry.manual();
        assert!(!manual.trim().is_empty(), "{what}: its file opens with a manual page");
        check_parameters(&what, &(entry.parameters)().to_value());
    }
}

fn is_snake_case(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('_')
        && !name.contains("__")
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn is_one_line(text: &str) -> bool {
    !text.trim().is_empty() && !text.contains('\n')
}

/// Parameters are a table that refuses unknown fields and documents the known ones.
fn check_parameters(what: &str, schema: &serde_json::Value) {
    assert_eq!(schema["type"], "object", "{what}: parameters are a table");
    assert_eq!(schema["additionalProperties"], false, "{what}: refuses unknown parameters");
    let fields = schema["properties"].as_object().into_iter().flatten();
    for (field, schema) in fields {
        let description = schema["description"].as_str().unwrap_or_default();
        assert!(!description.is_empty(), "{what}: `{field}` says what it is");
    }
}

#[test]
fn tables_are_in_order() {
    table(&aggregators::CATALOG);
    table(&preaggregators::CATALOG);
    table(&attacks::CATALOG);
    table(&poisons::CATALOG);
    table(&datasets::CATALOG);
    table(&partitions::CATALOG);
    table(&models::CATALOG);
    table(&metrics::CATALOG);
}

#[test]
fn defences_and_attacks_say_when_they_fail() {
    let mut manuals: Vec<(&str, String)> = Vec::new();
    manuals.extend(aggregators::CATALOG.entries.iter().map(|e| (e.name, e.manual())));
    manuals.extend(preaggregators::CATALOG.entries.iter().map(|e| (e.name, e.manual())));
    manuals.extend(attacks::CATALOG.entries.iter().map(|e| (e.name, e.manual())));
    for (name, manual) in manuals {
        assert!(manual.to_lowercase().contains("fails"), "{name} says when it fails");
    }
}

#[test]
fn rules_build_with_their_defaults_and_refuse_unknown_parameters() {
    use byzlab::catalog::Choice;
    let wrong = |name| Choice::with(name, "no_such_parameter = 1").unwrap();
    for entry in aggregators::CATALOG.entries {
        let member = aggregators::CATALOG.build_default(entry.name).unwrap();
        assert!(member.parameters.is_object(), "{} resolves its defaults", entry.name);
        assert!(aggregators::CATALOG.build(&wrong(entry.name)).is_err(), "{}", entry.name);
    }
    for entry in preaggregators::CATALOG.entries {
        let member = preaggregators::CATALOG.build_default(entry.name).unwrap();
        assert!(member.parameters.is_object(), "{} resolves its defaults", entry.name);
        assert!(preaggregators::CATALOG.build(&wrong(entry.name)).is_err(), "{}", entry.name);
    }
}

// ---------------------------------------------------------------------------- rounds

/// One round as a rule sees it.
#[derive(Debug, Clone)]
struct Case {
    updates: Array2<f32>,
    byzantine: usize,
    samples: Vec<u64>,
    previous: Array1<f32>,
    trusted: Array1<f32>,
}

impl Case {
    /// Normal draws around one point per coordinate.
    fn normal(seed: u64, rows: usize, columns: usize, byzantine: usize) -> Self {
        let mut rng = stream(seed, Purpose::Batch, Round(rows as u32), NodeId(columns as u32));
        let centre: Vec<f32> = (0..columns).map(|_| rng.random::<f32>() * 2.0).collect();
        let mut draw = |(_, column): (usize, usize)| {
            let noise: f32 = StandardNormal.sample(&mut rng);
            centre[column] + noise
        };
        let updates = Array2::from_shape_fn((rows, columns), &mut draw);
        let previous = Array1::from_shape_fn(columns, |column| draw((0, column)));
        let trusted = Array1::from_shape_fn(columns, |column| draw((0, column)));
        let samples = (0..rows as u64).map(|row| 10 + row % 4).collect();
        Case { updates, byzantine, samples, previous, trusted }
    }

    /// The same round with the rows in another order.
    fn permuted(&self, order: &[usize]) -> Self {
        Case {
            updates: self.updates.select(Axis(0), order),
            samples: order.iter().map(|&row| self.samples[row]).collect(),
            ..self.clone()
        }
    }

    /// The same round with `change` applied to every vector in it.
    fn changed(&self, change: impl Fn(usize, f32) -> f32) -> Self {
        let vector = |vector: &Array1<f32>| {
            Array1::from_shape_fn(vector.len(), |column| change(column, vector[column]))
        };
        let mut updates = self.updates.clone();
        updates.indexed_iter_mut().for_each(|((_, column), x)| *x = change(column, *x));
        let (previous, trusted) = (vector(&self.previous), vector(&self.trusted));
        Case { updates, previous, trusted, ..self.clone() }
    }

    fn run<T>(&self, with: impl FnOnce(&mut Context<'_>) -> T) -> T {
        let senders: Vec<NodeId> = (0..self.updates.nrows() as u32).map(NodeId).collect();
        with(&mut Context {
            round: Round(1),
            rounds_total: 10,
            byzantine: self.byzantine,
            senders: &senders,
            samples: Some(&self.samples),
            previous: Some(self.previous.view()),
            trusted: Some(self.trusted.view()),
            head: None,
            memory: &mut Memory::default(),
            rng: &mut run_stream(1, Purpose::Aggregation),
        })
    }

    fn aggregate(&self, rule: &dyn Aggregator) -> Result<Aggregate, AggregateError> {
        self.run(|context| rule.aggregate(self.updates.view(), context))
    }
}

/// Calls `check` with every rule, built with its defaults, and its claims.
fn each_rule(check: impl Fn(&str, &dyn Aggregator, &Claims)) {
    for entry in aggregators::CATALOG.entries {
        let rule = aggregators::CATALOG.build_default(entry.name).unwrap().value;
        check(entry.name, &*rule, &entry.claims);
    }
}

/// The rows and liars that a rule is tried with: small, odd, even, and its own limit.
fn shapes(claims: &Claims) -> Vec<(usize, usize)> {
    let limits = [5, 8, 13].map(|rows| (rows, (claims.tolerates)(rows)));
    let some = [(10, Some(1)), (13, Some(3))];
    let admitted = |&(rows, f): &(usize, Option<usize>)| f <= (claims.tolerates)(rows);
    let shapes = limits.into_iter().chain(some).filter(admitted);
    shapes.filter_map(|(rows, f)| Some((rows, f?))).collect()
}

fn bits(vector: &Array1<f32>) -> Vec<u32> {
    vector.iter().map(|value| value.to_bits()).collect()
}

#[track_caller]
fn assert_close(ours: &Array1<f32>, expected: &Array1<f32>, scale: f64, what: &str) {
    assert_eq!(ours.len(), expected.len(), "{what}");
    let error = squared_distance(ours.as_slice().unwrap(), expected.as_slice().unwrap()).sqrt();
    assert!(error <= 1e-5 * scale, "{what}: off by {error} at scale {scale}");
}

/// The largest norm of a row.
fn scale(updates: &Array2<f32>) -> f64 {
    updates.rows().into_iter().map(|row| norm(&row.to_vec())).fold(0.0, f64::max)
}

/// A runner with the same inputs in every run.
fn pinned(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]))
}

// ---------------------------------------------------------------------------- claims of rules

#[test]
fn rules_admit_what_they_claim_to_tolerate() {
    each_rule(|name, rule, claims| {
        assert!(rule.admits(0, 0).is_err(), "{name} cannot aggregate nothing");
        assert_eq!((claims.tolerates)(0), None, "{name} does not work without rows");
        for rows in 1..=30 {
            let tolerated = (claims.tolerates)(rows);
            let admitted = (0..=rows).take_while(|&f| rule.admits(rows, f).is_ok()).last();
            assert!(admitted >= tolerated, "{name} refuses at n = {rows} what it claims");
            // A rule that promises nothing may run with any number of liars.
            if claims.robust {
                assert_eq!(admitted, tolerated, "{name} at n = {rows}");
            }
        }
    });
}

#[test]
fn refusals_name_the_rule_and_the_numbers() {
    each_rule(|name, rule, claims| {
        let tolerated = (claims.tolerates)(12).unwrap_or(0);
        let Err(error) = rule.admits(12, tolerated + 1) else { return };
        let text = error.to_string();
        assert!(text.starts_with(name), "{text}");
        assert!(text.contains("n = 12"), "{text}");
        assert!(text.contains(&format!("f = {}", tolerated + 1)), "{text}");
        let case = Case::normal(1, 12, 3, tolerated + 1);
        assert_eq!(case.aggregate(rule), Err(error), "{name} refuses what it does not admit");
    });
}

#[test]
fn the_order_of_rows_does_not_matter() {
    each_rule(|name, rule, claims| {
        for (rows, byzantine) in shapes(claims).into_iter().filter(|_| claims.permutation_invariant)
        {
            let order = Just((0..rows).collect::<Vec<_>>()).prop_shuffle();
            let strategy = (any::<u64>(), 1..80usize, order);
            let result = pinned(20).run(&strategy, |(seed, columns, order)| {
                let case = Case::normal(seed, rows, columns, byzantine);
                let straight = case.aggregate(rule).unwrap();
                let permuted = case.permuted(&order).aggregate(rule).unwrap();
                let what = format!("{name} at n = {rows}, f = {byzantine}");
                assert_close(&permuted.vector, &straight.vector, scale(&case.updates), &what);
                if let (Some(permuted), Some(straight)) = (permuted.weights, straight.weights) {
                    let expected = straight.select(Axis(0), &order);
                    assert_close(&permuted, &expected, 1.0, &what);
                }
                Ok(())
            });
            result.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    });
}

#[test]
fn rules_move_with_their_rows() {
    each_rule(|name, rule, claims| {
        for (rows, byzantine) in
            shapes(claims).into_iter().filter(|_| claims.translation_equivariant)
        {
            let strategy = (any::<u64>(), prop::collection::vec(-8.0f32..8.0, 1..40));
            let result = pinned(20).run(&strategy, |(seed, shift)| {
                let case = Case::normal(seed, rows, shift.len(), byzantine);
                let moved = case.changed(|column, value| value + shift[column]);
                let expected = case.aggregate(rule).unwrap().vector + Array1::from(shift);
                let what = format!("{name} moved at n = {rows}, f = {byzantine}");
                let result = moved.aggregate(rule).unwrap().vector;
                assert_close(&result, &expected, scale(&moved.updates), &what);
                Ok(())
            });
            result.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    });
}

#[test]
fn rules_grow_with_their_rows() {
    each_rule(|name, rule, claims| {
        for (rows, byzantine) in shapes(claims).into_iter().filter(|_| claims.scale_equivariant) {
            let strategy = (any::<u64>(), 1..40usize, -20.0f32..20.0);
            let result = pinned(20).run(&strategy, |(seed, columns, exponent)| {
                let case = Case::normal(seed, rows, columns, byzantine);
                let factor = exponent.exp2();
                let grown = case.changed(|_, value| value * factor);
                let expected = case.aggregate(rule).unwrap().vector * factor;
                let what = format!("{name} times {factor} at n = {rows}, f = {byzantine}");
                let result = grown.aggregate(rule).unwrap().vector;
                assert_close(&result, &expected, scale(&grown.updates), &what);
                Ok(())
            });
            result.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    });
}

#[test]
fn weights_are_shares_and_reproduce_the_aggregate() {
    each_rule(|name, rule, claims| {
        for (rows, byzantine) in shapes(claims) {
            let case = Case::normal(5, rows, 33, byzantine);
            let result = case.aggregate(rule).unwrap();
            let Some(weights) = result.weights else { continue };
            assert_eq!(weights.len(), rows, "{name}: one weight per row");
            assert!(weights.iter().all(|&weight| weight >= 0.0), "{name}: {weights}");
            assert!((weights.sum() - 1.0).abs() < 1e-5, "{name}: {weights}");
            if rule.rescales() {
                made_of_scaled_rows(name, &case.updates, &weights, &result.vector);
                continue;
            }
            let expected = weights.dot(&case.updates);
            assert_close(&result.vector, &expected, scale(&case.updates), name);
        }
    });
}

/// The aggregate is what is left of it in the space of the rows that have a weight: nothing of a
/// row without one is in it. A rule may add a thousandth of noise.
fn made_of_scaled_rows(
    name: &str,
    updates: &Array2<f32>,
    weights: &Array1<f32>,
    aggregate: &Array1<f32>,
) {
    let mut basis: Vec<Array1<f64>> = Vec::new();
    let without = |vector: &mut Array1<f64>, basis: &[Array1<f64>]| {
        for direction in basis {
            let part = direction.dot(vector);
            *vector -= &(direction * part);
        }
    };
    for (row, _) in updates.rows().into_iter().zip(weights).filter(|(_, weight)| **weight > 0.0) {
        let mut row = row.mapv(f64::from);
        without(&mut row, &basis);
        let length = row.dot(&row).sqrt();
        basis.push(row / length);
    }
    let mut rest = aggregate.mapv(f64::from);
    without(&mut rest, &basis);
    let (rest, whole) = (rest.dot(&rest).sqrt(), norm(aggregate.as_slice().unwrap()));
    assert!(rest <= 0.02 * whole, "{name}: {rest} of {whole} comes from rows without a weight");
}

#[test]
fn rules_read_what_they_say_they_read() {
    each_rule(|name, rule, claims| {
        let limit = (claims.tolerates)(13).expect("every rule works with 13 rows");
        // A rule that selects a row may well select the same for another f: many rounds tell,
        // in few dimensions, where rows have different neighbours.
        let run = |byzantine, samples: &[u64]| -> Vec<u32> {
            let rounds = (0..20).map(|seed| {
                let case = Case::normal(seed, 13, 3, byzantine);
                let case = Case { samples: samples.to_vec(), ..case };
                bits(&case.aggregate(rule).unwrap().vector)
            });
            rounds.flatten().collect()
        };
        let (even, uneven) = ([10; 13], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 999]);
        let declared: BTreeSet<Vec<u32>> = (0..=limit).map(|f| run(f, &even)).collect();
        if limit > 0 {
            assert_eq!(declared.len() > 1, claims.uses_byzantine, "{name}: uses f");
        }
        let weighted = run(limit, &even) != run(limit, &uneven);
        assert_eq!(weighted, claims.uses_samples, "{name}: uses sample counts");
    });
}

#[test]
fn equal_rows_aggregate_to_themselves() {
    each_rule(|name, rule, claims| {
        for (rows, byzantine) in shapes(claims).into_iter().filter(|_| claims.robust) {
            let one = Case::normal(8, 1, 50, 0).updates.row(0).to_owned();
            let updates = Array2::from_shape_fn((rows, 50), |(_, column)| one[column]);
            let case = Case { updates, ..Case::normal(8, rows, 50, byzantine) };
            let case = Case { previous: one.clone(), trusted: one.clone(), ..case };
            let result = case.aggregate(rule).unwrap().vector;
            assert_close(&result, &one, scale(&case.updates), name);
        }
    });
}

// ---------------------------------------------------------------------------- robustness

/// What `byzantine` liars send, far from the honest rows, in several ways.
fn lies(honest: &Array2<f32>, byzantine: usize, seed: u64) -> Vec<Array2<f32>> {
    let shape = (byzantine, honest.ncols());
    let mean = honest.mean_axis(Axis(0)).expect("there are honest rows");
    let mut rng = stream(seed, Purpose::Attack, Round(0), NodeId(0));
    let scattered = Array2::from_shape_fn(shape, |_| {
        let noise: f32 = StandardNormal.sample(&mut rng);
        1e6 * noise
    });
    vec![
        Array2::from_elem(shape, 1e6),
        scattered,
        Array2::from_shape_fn(shape, |(_, column)| -1000.0 * mean[column]),
        Array2::from_shape_fn(
            shape,
            |(row, column)| {
                if (row + column) % 2 == 0 { 1e30 } else { -1e30 }
            },
        ),
        Array2::from_shape_fn(shape, |(row, column)| honest[[row % honest.nrows(), column]] + 20.0),
    ]
}

/// The largest distance between two rows.
fn diameter(rows: &Array2<f32>) -> f64 {
    let row = |row: ArrayView1<'_, f32>| row.to_vec();
    let rows: Vec<Vec<f32>> = rows.rows().into_iter().map(row).collect();
    let mut largest: f64 = 0.0;
    for (i, a) in rows.iter().enumerate() {
        for b in &rows[i + 1..] {
            largest = largest.max(squared_distance(a, b));
        }
    }
    largest.sqrt()
}

#[test]
fn liars_do_not_carry_robust_rules_away() {
    each_rule(|name, rule, claims| {
        for rows in (1..=30).filter(|_| claims.robust) {
            let Some(byzantine) = (claims.tolerates)(rows).filter(|&f| f > 0) else { continue };
            let honest = Case::normal(9, rows - byzantine, 6, byzantine);
            let mean = honest.updates.mean_axis(Axis(0)).expect("there are honest rows");
            let diameter = diameter(&honest.updates);
            for (lie, liars) in lies(&honest.updates, byzantine, 9).into_iter().enumerate() {
                // Liars come first, so that ties by sender favour them.
                let updates = concatenate![Axis(0), liars, honest.updates];
                let samples = vec![10; rows];
                let (trusted, previous) = (mean.clone(), mean.clone());
                let case = Case { updates, byzantine, samples, previous, trusted };
                let vector = case.aggregate(rule).unwrap().vector;
                let away = squared_distance(vector.as_slice().unwrap(), mean.as_slice().unwrap());
                assert!(
                    away.sqrt() <= 2.0 * diameter,
                    "{name} at n = {rows}, f = {byzantine}, lie {lie}: {} from the honest mean, \
                     diameter {diameter}",
                    away.sqrt(),
                );
            }
        }
    });
}

#[test]
fn rules_that_promise_nothing_are_carried_away() {
    // Else the claim is too modest, and the test above would hold it to nothing.
    each_rule(|name, rule, claims| {
        if claims.robust || (claims.tolerates)(10) > Some(0) {
            return;
        }
        let honest = Case::normal(10, 9, 6, 0);
        let carried = |liar: Array2<f32>| {
            let updates = concatenate![Axis(0), honest.updates, liar];
            let case = Case { updates, samples: vec![10; 10], ..honest.clone() };
            norm(case.aggregate(rule).unwrap().vector.as_slice().unwrap()) > 1e4
        };
        let withstood = !lies(&honest.updates, 1, 10).into_iter().any(carried);
        assert!(!withstood, "{name} withstood one liar");
    });
}

#[test]
fn rules_that_tolerate_a_liar_bound_what_it_does() {
    each_rule(|name, rule, claims| {
        if (claims.tolerates)(10) > Some(0) {
            let (case, longest) = one_huge_liar();
            let vector = case.aggregate(rule).unwrap().vector;
            let length = norm(vector.as_slice().unwrap());
            assert!(length <= 2.0 * longest, "{name}: {length} where the honest reach {longest}");
        }
    });
}

/// Nine honest rows and a liar who is as large as it gets, and the norm of the longest honest row.
fn one_huge_liar() -> (Case, f64) {
    let honest = Case::normal(10, 9, 6, 1);
    let longest = scale(&honest.updates);
    let updates = concatenate![Axis(0), honest.updates, Array2::from_elem((1, 6), 1e6)];
    (Case { updates, samples: vec![10; 10], ..honest }, longest)
}

#[test]
fn rules_remember_what_they_claim_to() {
    each_rule(|name, rule, claims| {
        assert_eq!(rule.remembers(), claims.remembers, "{name}");
        let case = Case::normal(16, 10, 6, 0);
        let remembered = case.run(|context| {
            rule.aggregate(case.updates.view(), context).unwrap();
            !context.memory.is_empty()
        });
        // What everybody knows is not kept in a memory of its own.
        assert_eq!(remembered, claims.remembers == Remembers::History, "{name}");
    });
}

// ---------------------------------------------------------------------------- totality

/// Values that no honest node sends.
const STRANGE: [f32; 12] = [
    f32::NAN,
    -f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::MAX,
    f32::MIN,
    1e30,
    -1e30,
    f32::MIN_POSITIVE,
    1e-45,
    -1e-45,
    -0.0,
];

/// Rounds of many shapes with strange values in one row, in some places and everywhere.
fn strange_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for rows in [1, 2, 3, 5, 8, 13] {
        for columns in [0, 1, 7, 70] {
            for byzantine in [0, 1, 3, rows] {
                let case = Case::normal(11, rows, columns, byzantine);
                for (index, &value) in STRANGE.iter().enumerate() {
                    let mut one_row = case.clone();
                    one_row.updates.row_mut(index % rows).fill(value);
                    let mut everywhere = case.clone();
                    everywhere.updates.fill(value);
                    cases.extend([one_row, everywhere]);
                }
                let mut mixed = case.clone();
                let strange = |(place, x): (usize, &mut f32)| {
                    if place % 3 != 0 {
                        *x = STRANGE[place % STRANGE.len()];
                    }
                };
                mixed.updates.iter_mut().enumerate().for_each(strange);
                cases.push(mixed);
            }
        }
    }
    cases
}

#[test]
fn rules_return_or_refuse_whatever_the_rows_hold() {
    let cases = strange_cases();
    each_rule(|name, rule, _| {
        for case in &cases {
            let (rows, columns) = case.updates.dim();
            let admitted = rule.admits(rows, case.byzantine);
            match case.aggregate(rule) {
                Ok(result) => {
                    assert_eq!(admitted, Ok(()), "{name} ran what it does not admit");
                    assert_eq!(result.vector.len(), columns, "{name}");
                    let again = case.aggregate(rule).expect("it ran before");
                    assert_eq!(bits(&again.vector), bits(&result.vector), "{name} runs twice");
                }
                Err(error) => assert!(error.to_string().starts_with(name), "{name}: {error}"),
            }
        }
    });
}

#[test]
fn robust_rules_stand_liars_who_are_not_finite() {
    // Admission refuses such rows; this is what is left if it ever does not.
    each_rule(|name, rule, claims| {
        for (rows, byzantine) in shapes(claims).into_iter().filter(|_| claims.robust) {
            for &value in &STRANGE {
                let mut case = Case::normal(12, rows, 30, byzantine);
                for row in 0..byzantine {
                    case.updates.row_mut(row).fill(value);
                }
                let finite =
                    case.aggregate(rule).map(|result| result.vector.iter().all(|x| x.is_finite()));
                assert_ne!(finite, Ok(false), "{name} at n = {rows}, f = {byzantine}, {value}");
            }
        }
    });
}

#[test]
fn rules_run_twice_give_the_same_bits() {
    each_rule(|name, rule, claims| {
        for (rows, byzantine) in shapes(claims) {
            let case = Case::normal(13, rows, 3000, byzantine);
            let (first, second) = (case.aggregate(rule).unwrap(), case.aggregate(rule).unwrap());
            assert_eq!(bits(&first.vector), bits(&second.vector), "{name}");
            assert_eq!(first.weights.as_ref().map(bits), second.weights.as_ref().map(bits));
        }
    });
}

// ---------------------------------------------------------------------------- pre-aggregators

#[test]
fn preaggregators_keep_their_shape_and_order() {
    for entry in preaggregators::CATALOG.entries {
        let before = preaggregators::CATALOG.build_default(entry.name).unwrap().value;
        let transform =
            |case: &Case| case.run(|context| before.transform(case.updates.clone(), context));
        assert!(before.admits(0, 0).is_err(), "{} cannot transform nothing", entry.name);
        for (rows, byzantine) in [(5, 1), (8, 2), (13, 3)] {
            assert_eq!(before.admits(rows, byzantine), Ok(()), "{}", entry.name);
            let case = Case::normal(14, rows, 40, byzantine);
            let straight = transform(&case).unwrap();
            assert_eq!(straight.dim(), (before.rows_out(rows), 40), "{}", entry.name);
            assert_eq!(transform(&case).unwrap(), straight, "{} runs twice", entry.name);
            if entry.claims.permutation_equivariant {
                let order: Vec<usize> = (0..rows).map(|row| (row * 3 + 1) % rows).collect();
                let distinct: BTreeSet<&usize> = order.iter().collect();
                assert_eq!(distinct.len(), rows, "an order of all rows");
                let permuted = transform(&case.permuted(&order)).unwrap();
                for (ours, &row) in permuted.rows().into_iter().zip(&order) {
                    let expected = straight.row(row).to_owned();
                    assert_close(&ours.to_owned(), &expected, scale(&case.updates), entry.name);
                }
            }
        }
        let declared = |f| transform(&Case::normal(15, 13, 40, f)).unwrap();
        let uses_byzantine = declared(1) != declared(3);
        assert_eq!(uses_byzantine, entry.claims.uses_byzantine, "{}: uses f", entry.name);
    }
}

#[test]
fn preaggregators_return_or_refuse_whatever_the_rows_hold() {
    let cases = strange_cases();
    for entry in preaggregators::CATALOG.entries {
        let before = preaggregators::CATALOG.build_default(entry.name).unwrap().value;
        for case in &cases {
            let (rows, columns) = case.updates.dim();
            let admitted = before.admits(rows, case.byzantine);
            match case.run(|context| before.transform(case.updates.clone(), context)) {
                Ok(result) => {
                    assert_eq!(admitted, Ok(()), "{} ran what it does not admit", entry.name);
                    assert_eq!(result.dim(), (before.rows_out(rows), columns), "{}", entry.name);
                }
                Err(error) => assert!(error.to_string().starts_with(entry.name), "{error}"),
            }
        }
    }
}
