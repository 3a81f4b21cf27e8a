//! Every peer rule is held to what its entry says, and rules and attacks to what they do to each
//! other.
//!
//! The first part names no member: a new one is covered by being in the catalog.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use byzlab::aggregators::{AggregateError, Context};
use byzlab::catalog::Choice;
use byzlab::memory::Memory;
use byzlab::node::{NodeId, Round};
use byzlab::peer_rules::{CATALOG, Claims, Mixed, Neighbourhood, PeerRule};
use byzlab::seed::{Purpose, stream};
use byzlab::vector::{norm, squared_distance};
use ndarray::{Array1, Array2, ArrayView1, Axis};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_distr::{Distribution, StandardNormal};

/// A node's neighbourhood in one round.
#[derive(Clone)]
struct Case {
    own: Array1<f32>,
    models: Array2<f32>,
    weights: Vec<f64>,
    byzantine: usize,
    round: u32,
}

impl Case {
    /// Normal draws around one point, with uneven weights.
    fn normal(seed: u64, neighbours: usize, columns: usize, byzantine: usize) -> Self {
        let mut rng = stream(seed, Purpose::Initial, Round(0), NodeId(neighbours as u32));
        let centre: Vec<f32> = (0..columns).map(|_| 4.0 + rng.random::<f32>()).collect();
        let mut draw = |column: usize| {
            let noise: f32 = StandardNormal.sample(&mut rng);
            centre[column] + 0.3 * noise
        };
        let own = Array1::from_shape_fn(columns, &mut draw);
        let models = Array2::from_shape_fn((neighbours, columns), |(_, column)| draw(column));
        let shares: Vec<f64> = (0..=neighbours).map(|_| 1.0 + rng.random::<f64>()).collect();
        let total: f64 = shares.iter().sum();
        let weights = shares[1..].iter().map(|share| share / total).collect();
        Case { own, models, weights, byzantine, round: 1 }
    }

    /// The same with the same weight for all.
    fn evenly(mut self) -> Self {
        self.weights = vec![1.0 / (self.weights.len() + 1) as f64; self.weights.len()];
        self
    }

    /// The same with `change` applied to every coordinate.
    fn changed(&self, change: impl Fn(usize, f32) -> f32) -> Self {
        let mut case = self.clone();
        case.own.indexed_iter_mut().for_each(|(column, x)| *x = change(column, *x));
        case.models.indexed_iter_mut().for_each(|((_, column), x)| *x = change(column, *x));
        case
    }

    /// Mixes; the loss is the squared distance to the point with 4.5 in every coordinate.
    fn mix(&self, rule: &dyn PeerRule) -> Result<Mixed, AggregateError> {
        let ids: Vec<NodeId> = (1..=self.models.nrows() as u32).map(NodeId).collect();
        let honest: Vec<bool> = (0..self.models.nrows()).map(|row| row >= self.byzantine).collect();
        let loss = |model: ArrayView1<'_, f32>| model.iter().map(|x| (x - 4.5) * (x - 4.5)).sum();
        let neighbours = Neighbourhood {
            node: NodeId(0),
            ids: &ids,
            models: self.models.view(),
            weights: &self.weights,
            own_weight: 1.0 - self.weights.iter().sum::<f64>(),
            honest: Some(&honest),
            loss: Some(&loss),
        };
        let mut context = Context {
            round: Round(self.round),
            rounds_total: 10,
            byzantine: self.byzantine,
            senders: &ids,
            samples: None,
            previous: None,
            trusted: None,
            head: None,
            memory: &mut Memory::default(),
            rng: &mut stream(1, Purpose::Aggregation, Round(1), NodeId(0)),
        };
        rule.mix(self.own.view(), &neighbours, &mut context)
    }

    /// The weighted mean of everything.
    fn gossip(&self) -> Array1<f32> {
        let rule = CATALOG.build_default("metropolis_hastings").unwrap().value;
        self.mix(&*rule).unwrap().model
    }
}

fn each_rule(check: impl Fn(&str, &dyn PeerRule, &Claims)) {
    for entry in CATALOG.entries {
        check(entry.name, &*CATALOG.build_default(entry.name).unwrap().value, &entry.claims);
    }
}

/// Neighbours and liars that a rule is tried with.
fn shapes(claims: &Claims) -> Vec<(usize, usize)> {
    let all = [(1, 0), (4, 0), (4, 1), (5, 2), (12, 3), (12, 6)];
    all.into_iter().filter(|&(count, b)| b <= (claims.tolerates)(count)).collect()
}

fn away(a: &Array1<f32>, b: &Array1<f32>) -> f64 {
    squared_distance(a.as_slice().unwrap(), b.as_slice().unwrap()).sqrt()
}

#[track_caller]
fn assert_close(ours: &Array1<f32>, expected: &Array1<f32>, what: &str) {
    let scale = norm(expected.as_slice().unwrap()).max(1e-30);
    assert!(away(ours, expected) <= 2e-6 * scale, "{what}: {ours} is not {expected}");
}

// ---------------------------------------------------------------------------- claims

#[test]
fn the_table_is_in_order() {
    for entry in CATALOG.entries {
        let (name, manual) = (entry.name, entry.manual());
        assert!(manual.contains("Fails"), "{name} says when it fails");
        assert!(manual.contains("Reference: "), "{name} says where it is from");
        assert!(manual.lines().all(|line| line.chars().count() <= 95), "{name}: width");
        let schema = (entry.parameters)().to_value();
        assert_eq!(schema["additionalProperties"], false, "{name} refuses unknown parameters");
        for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
            assert!(schema["description"].is_string(), "{name}: `{field}` says what it is");
        }
        assert!(CATALOG.build(&Choice::with(name, "no_such_parameter = 1").unwrap()).is_err());
    }
}

#[test]
fn parameters_out_of_range_are_refused_by_name() {
    for (name, parameters, field) in [
        ("self_centred_clipping", "threshold = { fixed = { tau = -1.0 } }", "threshold"),
        ("self_centred_clipping", "threshold = { fixed = { tau = nan } }", "threshold"),
        ("ubar", "ratio = 1.5", "ratio"),
        ("ubar", "alpha = -0.1", "alpha"),
        ("balance", "alpha = nan", "alpha"),
        ("balance", "gamma = -1.0", "gamma"),
        ("balance", "kappa = inf", "kappa"),
        ("bridge", "screen = 'median'\nkeep_own = true", "keep_own"),
    ] {
        let error = CATALOG.build(&Choice::with(name, parameters).unwrap()).unwrap_err();
        assert!(error.message.contains(&format!("`{field}`")), "{name}: {error}");
        assert!(error.span.is_some());
    }
}

#[test]
fn rules_admit_what_they_claim_to_tolerate() {
    each_rule(|name, rule, claims| {
        for neighbours in 0..=30 {
            let tolerated = (claims.tolerates)(neighbours);
            let admitted = (0..=40).filter(|&b| rule.admits(neighbours, b).is_ok()).max();
            assert_eq!(admitted, Some(tolerated.min(40)), "{name} with {neighbours} neighbours");
        }
        if claims.robust {
            let b = (claims.tolerates)(12) + 1;
            let error = rule.admits(12, b).unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with(name), "{text}");
            assert!(text.contains("n = 13") && text.contains(&format!("f = {b}")), "{text}");
            assert_eq!(Case::normal(1, 12, 3, b).mix(rule), Err(error));
        }
    });
}

#[test]
fn equal_models_stay_as_they_are() {
    each_rule(|name, rule, claims| {
        for (neighbours, byzantine) in shapes(claims) {
            let case = Case::normal(2, neighbours, 70, byzantine);
            let models = Array2::from_shape_fn((neighbours, 70), |(_, k)| case.own[k]);
            for round in [1, 10] {
                let same = Case { models: models.clone(), round, ..case.clone() };
                assert_eq!(same.mix(rule).unwrap().model, case.own, "{name} with {neighbours}");
            }
        }
    });
}

#[test]
fn alone_a_node_keeps_its_model() {
    each_rule(|name, rule, _| {
        let case = Case::normal(2, 0, 7, 0);
        assert_eq!(case.mix(rule).unwrap().model, case.own, "{name}");
    });
}

#[test]
fn the_order_of_neighbours_does_not_matter() {
    each_rule(|name, rule, claims| {
        for (neighbours, byzantine) in shapes(claims) {
            for seed in 0..20 {
                let case = Case::normal(seed, neighbours, 33, byzantine);
                let mut order: Vec<usize> = (0..neighbours).collect();
                order.shuffle(&mut stream(seed, Purpose::Batch, Round(0), NodeId(0)));
                let permuted = Case {
                    models: case.models.select(Axis(0), &order),
                    weights: order.iter().map(|&row| case.weights[row]).collect(),
                    ..case.clone()
                };
                let (straight, permuted) = (case.mix(rule).unwrap(), permuted.mix(rule).unwrap());
                assert!(claims.permutation_invariant);
                assert_close(&permuted.model, &straight.model, name);
                if let (Some(straight), Some(permuted)) = (straight.accepted, permuted.accepted) {
                    let expected: Vec<bool> = order.iter().map(|&row| straight[row]).collect();
                    assert_eq!(permuted, expected, "{name}");
                }
            }
        }
    });
}

#[test]
fn rules_move_and_grow_with_the_models() {
    each_rule(|name, rule, claims| {
        for (neighbours, byzantine) in shapes(claims) {
            for seed in 0..20 {
                let case = Case::normal(seed, neighbours, 20, byzantine);
                let result = case.mix(rule).unwrap().model;
                if claims.translation_equivariant {
                    let shift = |column: usize| (column as f32 - 7.0) * 0.5;
                    let moved = case.changed(|column, value| value + shift(column));
                    let expected = &result + &Array1::from_shape_fn(20, shift);
                    assert_close(&moved.mix(rule).unwrap().model, &expected, name);
                }
                if claims.scale_equivariant {
                    for factor in [1e-6f32, -3.0, 1e6] {
                        let grown = case.changed(|_, value| value * factor);
                        assert_close(&grown.mix(rule).unwrap().model, &(&result * factor), name);
                    }
                }
            }
        }
    });
}

#[test]
fn without_liars_some_rules_are_plain_gossip_and_say_so() {
    each_rule(|name, rule, claims| {
        let differs = (0..20).any(|seed| {
            let case = Case::normal(seed, 9, 20, 0);
            away(&case.mix(rule).unwrap().model, &case.gossip()) > 1e-4
        });
        assert_eq!(!differs, claims.plain_without_liars, "{name}");
    });
}

#[test]
fn rules_read_what_they_say_they_read() {
    each_rule(|name, rule, claims| {
        let run = |byzantine: usize, even: bool| -> Vec<Array1<f32>> {
            let case = |seed| Case::normal(seed, 12, 5, byzantine);
            let case = |seed| if even { case(seed).evenly() } else { case(seed) };
            (0..10).map(|seed| case(seed).mix(rule).unwrap().model).collect()
        };
        let declared = (0..=5).map(|b| run(b, true)).collect::<Vec<_>>();
        let changes = declared.iter().any(|models| *models != declared[0]);
        assert_eq!(changes, claims.uses_byzantine, "{name}: uses b");
        assert_eq!(run(3, true) != run(3, false), claims.uses_weights, "{name}: uses weights");
    });
}

#[test]
fn what_is_accepted_enters_and_what_is_refused_does_not() {
    each_rule(|name, rule, claims| {
        for (neighbours, byzantine) in shapes(claims) {
            let case = Case::normal(3, neighbours, 9, byzantine);
            let mixed = case.mix(rule).unwrap();
            let Some(accepted) = mixed.accepted else { continue };
            assert_eq!(accepted.len(), neighbours, "{name}");
            for (row, accepted) in accepted.into_iter().enumerate() {
                let mut other = case.clone();
                other.models.row_mut(row).mapv_inplace(|value| value + 1e-3);
                let changed = other.mix(rule).unwrap().model != mixed.model;
                assert_eq!(changed, accepted, "{name}: message {row} of {neighbours}");
            }
        }
    });
}

// ---------------------------------------------------------------------------- liars

/// The largest distance from the own model to an honest one.
fn reach(case: &Case) -> f64 {
    let honest = case.models.rows().into_iter().skip(case.byzantine);
    honest.map(|row| away(&row.to_owned(), &case.own)).fold(0.0, f64::max)
}

/// What liars say: the first `byzantine` rows are theirs.
fn lies(case: &Case) -> Vec<Case> {
    let say = |lie: &dyn Fn(usize, usize) -> f32| {
        let mut case = case.clone();
        for row in 0..case.byzantine {
            for column in 0..case.own.len() {
                case.models[[row, column]] = lie(row, column);
            }
        }
        case
    };
    vec![
        say(&|_, _| 1e6),
        say(&|row, column| if (row + column) % 2 == 0 { 1e30 } else { -1e30 }),
        say(&|_, column| -1000.0 * case.own[column]),
        say(&|_, column| case.own[column] + 20.0),
        say(&|_, _| f32::MAX),
        say(&|_, _| f32::NAN),
        say(&|row, _| if row == 0 { f32::INFINITY } else { f32::NEG_INFINITY }),
    ]
}

#[test]
fn liars_do_not_carry_robust_rules_away() {
    each_rule(|name, rule, claims| {
        for neighbours in (1..=20).filter(|_| claims.robust) {
            for byzantine in 1..=(claims.tolerates)(neighbours) {
                let case = Case::normal(4, neighbours, 6, byzantine).evenly();
                for (lie, case) in lies(&case).iter().enumerate() {
                    let moved = away(&case.mix(rule).unwrap().model, &case.own);
                    assert!(
                        moved <= 2.0 * reach(case),
                        "{name} with {byzantine} of {neighbours}, lie {lie}: moved by {moved}, \
                         the honest are within {}",
                        reach(case)
                    );
                }
            }
        }
    });
}

#[test]
fn rules_that_promise_nothing_are_carried_away() {
    each_rule(|name, rule, claims| {
        let case = lies(&Case::normal(4, 9, 6, 1)).swap_remove(0);
        let moved = away(&case.mix(rule).unwrap().model, &case.own);
        assert_eq!(moved > 1e4, !claims.robust, "{name}");
    });
}

#[test]
fn nothing_makes_a_rule_panic() {
    let values = [0.0, -0.0, 1.0, f32::MAX, f32::MIN, f32::NAN, f32::INFINITY, 1e-45];
    for entry in CATALOG.entries {
        let rule = CATALOG.build_default(entry.name).unwrap().value;
        for seed in 0..200 {
            let mut rng = stream(seed, Purpose::Attack, Round(0), NodeId(0));
            let neighbours = rng.random_range(0..8);
            let columns = rng.random_range(0..4);
            let byzantine = (entry.claims.tolerates)(neighbours).min(rng.random_range(0..8));
            let mut case = Case::normal(seed, neighbours, columns, byzantine);
            let mut pick = || values[rng.random_range(0..values.len())];
            case.models.iter_mut().for_each(|value| *value = pick());
            case.own.iter_mut().for_each(|value| *value = pick());
            assert_eq!(case.mix(&*rule).unwrap().model.len(), columns, "{}", entry.name);
        }
    }
}

#[test]
fn neighbourhoods_that_do_not_fit_are_refused() {
    each_rule(|name, rule, _| {
        let case = Case::normal(1, 4, 3, 1);
        let mut broken = vec![case.clone(); 3];
        broken[0].weights.pop();
        broken[1].own = Array1::zeros(2);
        broken[2].weights[0] = f64::INFINITY;
        for case in broken {
            let error = case.mix(rule).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    });
}

// ---------------------------------------------------------------------------- attacks by name

/// The honest pull on the own model: `Σ W_ij (x_j - x_i)` over the honest, and the liars' weight.
fn pull(case: &Case) -> (Array1<f32>, f64) {
    let mut pull = Array1::<f64>::zeros(case.own.len());
    for row in case.byzantine..case.models.nrows() {
        let away = &case.models.row(row) - &case.own;
        pull = pull + away.mapv(f64::from) * case.weights[row];
    }
    (pull.mapv(|value| value as f32), case.weights[..case.byzantine].iter().sum())
}

#[test]
fn dissensus_of_one_leaves_plain_gossip_where_it_is() {
    for seed in 0..10 {
        let mut case = Case::normal(seed, 7, 12, 2);
        let (pull, delta) = pull(&case);
        for row in 0..2 {
            case.models.row_mut(row).assign(&(&case.own - &(&pull / delta as f32)));
        }
        assert_close(&case.gossip(), &case.own, "dissensus");
    }
}

#[test]
fn an_override_puts_plain_gossip_where_the_liar_wants_it() {
    for seed in 0..10 {
        let mut case = Case::normal(seed, 7, 12, 2);
        let (pull, delta) = pull(&case);
        let target = Array1::from_shape_fn(12, |column| if column % 2 == 0 { 1.0 } else { -1.0 });
        let lie = &case.own + &((&target - &case.own - &pull) / delta as f32);
        for row in 0..2 {
            case.models.row_mut(row).assign(&lie);
        }
        assert!(away(&case.gossip(), &target) < 1e-5, "{}", case.gossip());
    }
}

#[test]
fn a_liar_as_far_as_the_last_but_b_honest_is_not_clipped_by_clipped_summation() {
    let rule = CATALOG.build_default("clipped_summation").unwrap().value;
    for (seed, byzantine) in (0..30).flat_map(|seed| [(seed, 1), (seed, 2), (seed, 3)]) {
        let mut case = Case::normal(seed, 9, 8, byzantine).evenly();
        let honest = case.models.rows().into_iter().skip(byzantine);
        let mut distances: Vec<f64> =
            honest.map(|row| away(&row.to_owned(), &case.own)).chain([0.0]).collect();
        distances.sort_by(|a, b| b.total_cmp(a));
        // A little less, for what is lost to single precision.
        let limit = distances[byzantine] * (1.0 - 1e-5);
        let before = case.clone();
        let direction = Array1::from_elem(8, 1.0 / 8f32.sqrt());
        for row in 0..byzantine {
            case.models.row_mut(row).assign(&(&case.own + &(&direction * limit as f32)));
        }
        // Without the liars' part what is left is what the honest add, whom liars can only
        // have clipped at a distance of at least theirs.
        let mixed = case.mix(&*rule).unwrap().model;
        let pulled = (&mixed - &case.own).dot(&direction);
        let mut clipped = 0.0;
        for row in byzantine..9 {
            let step = &before.models.row(row) - &case.own;
            let length = norm(step.as_slice().unwrap());
            let tau = (limit / (1.0 - 1e-5)).min(length);
            clipped += step.dot(&direction) * (tau / length) as f32 / 10.0;
        }
        let expected = clipped + byzantine as f32 * limit as f32 / 10.0;
        assert!((pulled - expected).abs() < 1e-4, "{pulled} is not {expected}");
    }
}
