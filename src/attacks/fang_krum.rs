//! Fang's attack on Krum: as far against the direction of learning as Krum still selects.
//!
//! `B = -lambda · s`, where `s` is the sign of each coordinate of the mean of the known updates, or
//! of the one that Krum selects of them (`direction = "krum"`). `lambda` starts at a number, or at
//! an upper bound: for `h` known updates and `m` corrupted, the smallest sum of an update's
//! `h - m - 2` shortest distances, divided by `(h - m - 1) sqrt(d)`, plus the largest distance of
//! an update to the mean, divided by `sqrt(d)`. It is halved until Krum, which the attacker runs
//! by itself, picks a row of its own, or as long as it is above `threshold`; then the last one
//! above it is sent, or the first below (`last = "below"`). With `search = "bisection"` it is the
//! largest of 20 bisections up to `10 · mean norm` that is selected, and 0 if none is.
//!
//! In a run of it, Krum is shown `supporters = "all"` corrupted rows, all alike, 1 at first and
//! more if that does not help (`growing`), or 1 alone (`one`). With `radius`, all but the first
//! identity send a vector up to that far from `B`, so that they are not alike.
//!
//! Fails against rules other than Krum, since its vectors are small, and against Krum itself where
//! the honest are close together: then `lambda` shrinks to nothing.
//!
//! Reference: Fang, Cao, Jia and Gong, Local Model Poisoning Attacks to Byzantine-Robust Federated
//! Learning, USENIX Security 2020.

pub(super) mod selection;

use std::sync::Arc;

use ndarray::{Array2, ArrayView2, Axis, concatenate};
use rand::{Rng, RngExt};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use self::selection::{Neighbours, Power, Selection};
use super::moments::means;
use super::perturbation::sign;
use super::plain::gathered;
use super::{Attack, AttackError, Claims, Crafted, Knowledge, View, finite};
use crate::catalog::{ConfigError, Entry};
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "fang_krum",
    summary: "as far against the direction of learning as Krum still selects",
    reference: "Fang et al., USENIX Security 2020",
    source: include_str!("fang_krum.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(FangKrum),
    build: |parameters| {
        parameters.build::<dyn Attack, FangKrum>(|attack| {
            attack.check()?;
            Ok(Arc::new(attack))
        })
    },
};

/// Parameters of the attack on Krum.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FangKrum {
    /// Whose sign is turned round: the `mean` (default), or what `krum` selects of the known.
    direction: Direction,
    /// Where lambda starts. Default: at the upper bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<f64>,
    /// `halving` (default) or `bisection`.
    search: Search,
    /// The smallest lambda that is halved further, above 0; default 1e-5.
    threshold: f64,
    /// Which lambda is sent where none is selected: the last `above` the threshold (default), or
    /// the first `below`.
    last: Last,
    /// How many corrupted rows Krum is shown: `all` (default), `growing` or `one`.
    supporters: Supporters,
    /// Whether these stand behind the known rows, of which Krum then takes the first of equals;
    /// default no, and they stand first.
    behind: bool,
    /// Whether Krum sums `squared` distances (default) or `plain` ones.
    distance: Power,
    /// How many distances Krum sums: `others`, the n - m - 2 to other rows (default); `itself`, as
    /// many with that to itself; or `everybody`.
    neighbours: Neighbours,
    /// How far all but the first identity stray from the vector, at least 0; default 0.
    radius: f64,
    /// Whether the identities' own updates count among the known for the direction; default no.
    with_own: bool,
}

/// Whose sign is turned round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Direction {
    /// That of the mean.
    Mean,
    /// That of what Krum selects.
    Krum,
}

/// How lambda is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Search {
    /// From above, the first that is selected.
    Halving,
    /// Between 0 and ten times the mean norm.
    Bisection,
}

/// Which lambda is sent where none is selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Last {
    /// The last above the threshold.
    Above,
    /// The first at it or below.
    Below,
}

/// How many corrupted rows Krum is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Supporters {
    /// As many as there are.
    All,
    /// One, and one more as long as none is selected, up to one less than there are.
    Growing,
    /// One.
    One,
}

impl Default for FangKrum {
    fn default() -> Self {
        FangKrum {
            direction: Direction::Mean,
            start: None,
            search: Search::Halving,
            threshold: 1e-5,
            last: Last::Above,
            supporters: Supporters::All,
            behind: false,
            distance: Power::Squared,
            neighbours: Neighbours::Others,
            radius: 0.0,
            with_own: false,
        }
    }
}

/// How many bisections there are.
const BISECTIONS: u32 = 20;

impl FangKrum {
    fn check(&self) -> Result<(), ConfigError> {
        finite("threshold", self.threshold)?;
        finite("radius", self.radius)?;
        if self.threshold <= 0.0 {
            let message = format!("`threshold` must be above 0, got {}", self.threshold);
            return Err(ConfigError::new(message));
        }
        if self.radius < 0.0 {
            let message = format!("`radius` must be at least 0, got {}", self.radius);
            return Err(ConfigError::new(message));
        }
        match self.start {
            Some(start) if !(start.is_finite() && start > 0.0) => {
                Err(ConfigError::new(format!("`start` must be above 0, got {start}")))
            }
            _ => Ok(()),
        }
    }

    fn selection(&self) -> Selection {
        Selection { power: self.distance, neighbours: self.neighbours }
    }

    /// The signs that are turned round.
    fn signs(&self, view: &View<'_>, means: &[f64]) -> Result<Vec<f64>, AttackError> {
        let all = gathered(view, self.with_own);
        match self.direction {
            Direction::Mean if self.with_own => {
                let means = super::moments::means(ENTRY.name, all.view())?;
                Ok(means.into_iter().map(sign).collect())
            }
            Direction::Mean => Ok(means.iter().copied().map(sign).collect()),
            Direction::Krum => {
                let chosen = self.selection().pick(all.view(), view.corrupted);
                Ok(all.row(chosen).iter().map(|&value| sign(f64::from(value))).collect())
            }
        }
    }

    /// Whether Krum picks one of `copies` rows `-lambda · signs`.
    fn selected(
        &self,
        rows: ArrayView2<'_, f32>,
        signs: &[f64],
        lambda: f64,
        copies: usize,
    ) -> bool {
        let lies =
            Array2::from_shape_fn((copies, signs.len()), |(_, at)| (-lambda * signs[at]) as f32);
        let parts = if self.behind { [rows, lies.view()] } else { [lies.view(), rows] };
        let all = concatenate(Axis(0), &parts).expect("rows of one model");
        let picked = self.selection().pick(all.view(), copies);
        if self.behind { picked >= rows.nrows() } else { picked < copies }
    }

    /// The paper's upper bound.
    fn bound(rows: ArrayView2<'_, f32>, means: &[f64], corrupted: usize) -> f64 {
        let dimension = (rows.ncols() as f64).sqrt();
        let summed = rows.nrows().saturating_sub(corrupted + 2);
        let nearest = Selection::smallest_sum(rows, summed);
        let furthest = rows
            .rows()
            .into_iter()
            .map(|row| {
                let squares = row.iter().zip(means).map(|(&x, mean)| (f64::from(x) - mean).powi(2));
                squares.sum::<f64>().sqrt()
            })
            .fold(0.0, f64::max);
        nearest / ((summed + 1) as f64 * dimension) + furthest / dimension
    }

    /// Halves until a row is selected.
    fn halve(&self, start: f64, selected: impl Fn(f64) -> bool) -> (f64, bool) {
        let mut lambda = start;
        while lambda.is_finite() {
            if selected(lambda) {
                return (lambda, true);
            }
            let ends = match self.last {
                Last::Above => lambda / 2.0 <= self.threshold,
                Last::Below => lambda <= self.threshold,
            };
            if ends {
                return (lambda, false);
            }
            lambda /= 2.0;
        }
        (0.0, false)
    }

    fn lambda(&self, view: &View<'_>, means: &[f64], signs: &[f64]) -> f64 {
        let rows = view.known();
        let corrupted = view.corrupted.max(1);
        if self.search == Search::Bisection {
            let copies = if self.supporters == Supporters::One { 1 } else { corrupted };
            return bisect(rows, |lambda| self.selected(rows, signs, lambda, copies));
        }
        let start = self.start.unwrap_or_else(|| FangKrum::bound(rows, means, corrupted));
        let crowds = match self.supporters {
            Supporters::All => corrupted..=corrupted,
            Supporters::Growing => 1..=(corrupted - 1).max(1),
            Supporters::One => 1..=1,
        };
        let mut last = 0.0;
        for copies in crowds {
            let (lambda, found) =
                self.halve(start, |lambda| self.selected(rows, signs, lambda, copies));
            last = lambda;
            if found {
                break;
            }
        }
        last
    }
}

/// The largest lambda that is selected, by bisection; 0 if none is.
fn bisect(rows: ArrayView2<'_, f32>, selected: impl Fn(f64) -> bool) -> f64 {
    let norm = |row: ndarray::ArrayView1<'_, f32>| {
        row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
    };
    let norms: f64 = rows.rows().into_iter().map(norm).sum();
    let (mut low, mut high) = (0.0, 10.0 * norms / rows.nrows() as f64);
    let mut best = 0.0;
    for _ in 0..BISECTIONS {
        let middle = f64::midpoint(low, high);
        if selected(middle) {
            best = middle;
            low = middle;
        } else {
            high = middle;
        }
    }
    best
}

impl Attack for FangKrum {
    fn needs(&self) -> Knowledge {
        Knowledge::Colluders
    }

    fn uses_own(&self, knowledge: Knowledge) -> bool {
        knowledge < Knowledge::Omniscient || self.with_own
    }

    fn craft(
        &self,
        view: &View<'_>,
        _memory: &mut Memory,
        rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError> {
        let means = means(ENTRY.name, view.known())?;
        let signs = self.signs(view, &means)?;
        let lambda = self.lambda(view, &means, &signs);
        let first = signs.iter().map(|sign| (-lambda * sign) as f32).collect();
        let sent = Crafted::same(first, view.identities.len());
        let mut sent = sent.per_node().expect("it is never silent");
        if self.radius > 0.0 {
            for mut row in sent.rows_mut().into_iter().skip(1) {
                let away: Vec<f64> = row.iter().map(|_| rng.random::<f64>() - 0.5).collect();
                let length = rng.random::<f64>() * self.radius / super::outcome::length(&away);
                for (value, away) in row.iter_mut().zip(away) {
                    *value = (f64::from(*value) + length * away) as f32;
                }
            }
        }
        Ok(Crafted::PerNode(sent))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::attacks::tests::craft_omniscient;

    #[test]
    fn it_shrinks_until_it_is_selected_by_hand() {
        // n = 5 and m = 2 sum one distance: two copies are at 0, the honest at 1 and 4 at best.
        // So it is selected at once, at the bound, where no distance counts: 2.
        let honest = array![[1.0], [2.0], [4.5]];
        let sent = craft_omniscient(&FangKrum::default(), &honest, 2).unwrap();
        assert_eq!(sent, array![[-2.0], [-2.0]]);
    }

    #[test]
    fn one_alone_is_selected_once_it_is_near() {
        // Four honest at 1, 1.5, 2, 2.5 and one liar: two distances each; theirs sum to 0.5.
        let honest = array![[1.0], [1.5], [2.0], [2.5]];
        let attack = FangKrum { start: Some(8.0), ..FangKrum::default() };
        let sent = craft_omniscient(&attack, &honest, 1).unwrap();
        // Nothing below 0 is as near to two of them, and it gives up.
        assert!(sent[[0, 0]] < 0.0 && sent[[0, 0]] >= -2e-5, "{sent}");
    }

    #[test]
    fn the_others_stray_no_further_than_the_radius() {
        let attack = FangKrum { radius: 0.01, ..FangKrum::default() };
        let honest = array![[1.0, -1.0], [2.0, -2.0], [4.5, -3.0]];
        let sent = craft_omniscient(&attack, &honest, 3).unwrap();
        for row in 1..3 {
            let away = &sent.row(row) - &sent.row(0);
            let length = away.iter().map(|away| away * away).sum::<f32>().sqrt();
            assert!(length > 0.0 && length < 0.0101, "{length}");
        }
    }
}
