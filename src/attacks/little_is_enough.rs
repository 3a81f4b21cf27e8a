//! A little is enough: all colluders send the same small shift, inside the spread of the honest.
//!
//! `B = mean(x) - z · deviation(x)`, per coordinate, over the updates `x` that the adversary
//! knows. `deviation` is the standard deviation of the population (squares divided by the number
//! of rows), or with `sample = true` that of a sample (one less).
//!
//! `z` is `deviations`, or with `formula = true` the paper's largest shift that still has
//! enough honest supporters further out: `z = Φ⁻¹((n - m - s) / (n - m))`, `s = ⌊n/2 + 1⌋ - m`,
//! for `m` corrupted among `n`. That value is 0 where `n` is even and `m = 2`, or `n` odd and
//! `m = 1` (n = 10 with m = 2, for one), and negative where `n` is even and `m = 1`: the attack
//! vanishes, or helps. A run then warns, with the numbers, and goes on. Once `m` exceeds `n / 2`
//! there is no value, and that is refused before a run begins.
//!
//! The defaults are those of the authors' code: minus, population, `z = 1.5`. ByzFL adds where
//! the authors subtract, and takes the sample's deviation. The shift is far above what the
//! formula gives for small `m` (0.361 for n = 51, m = 12), and is what published tables used.
//!
//! Fails where honest updates hardly differ, and against rules that gather variance across
//! rounds, such as centered clipping with worker momentum.
//!
//! Reference: Baruch et al., A Little Is Enough: Circumventing Defenses For Distributed Learning,
//! Neural Information Processing Systems 2019.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

use super::moments::shifted;
use super::{Attack, AttackError, Claims, Crafted, Knowledge, View, finite};
use crate::catalog::{ConfigError, Entry};
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "little_is_enough",
    summary: "the mean shifted by a few standard deviations, the same from every colluder",
    reference: "Baruch et al., NeurIPS 2019",
    source: include_str!("little_is_enough.rs"),
    claims: Claims { moves_mean: true, stays_inside: true },
    parameters: || schema_for!(LittleIsEnough),
    build: |parameters| {
        parameters.build::<dyn Attack, LittleIsEnough>(|attack| {
            attack.check()?;
            Ok(Arc::new(attack))
        })
    },
};

/// What is sent by default, in standard deviations.
const DEVIATIONS: f64 = 1.5;

/// Parameters of a little is enough.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct LittleIsEnough {
    /// The size of the shift, in standard deviations of each coordinate.
    deviations: f64,
    /// Whether the size is computed from the numbers of participants and corrupted instead.
    formula: bool,
    /// The direction of the shift: `minus` (the authors' code) or `plus` (ByzFL's).
    sign: Sign,
    /// Whether the deviation is that of a sample (ByzFL's) or of the population (the authors').
    sample: bool,
}

/// The direction of the shift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Sign {
    /// Below the mean.
    Minus,
    /// Above the mean.
    Plus,
}

impl Default for LittleIsEnough {
    fn default() -> Self {
        LittleIsEnough { deviations: DEVIATIONS, formula: false, sign: Sign::Minus, sample: false }
    }
}

impl LittleIsEnough {
    fn check(&self) -> Result<(), ConfigError> {
        finite("deviations", self.deviations)?;
        if self.formula && self.deviations != DEVIATIONS {
            let message = format!("`deviations` = {} has no effect here", self.deviations);
            return Err(ConfigError::new(message)
                .help("formula = true computes the size of the shift: give one of the two"));
        }
        Ok(())
    }

    /// The signed size of the shift, in standard deviations.
    fn shift(&self, view: &View<'_>) -> Result<f64, AttackError> {
        let size = if self.formula {
            largest_shift(ENTRY.name, view.participants, view.corrupted)?
        } else {
            self.deviations
        };
        Ok(match self.sign {
            Sign::Minus => -size,
            Sign::Plus => size,
        })
    }
}

impl Attack for LittleIsEnough {
    fn needs(&self) -> Knowledge {
        Knowledge::Colluders
    }

    fn uses_own(&self, knowledge: Knowledge) -> bool {
        knowledge < Knowledge::Omniscient
    }

    fn admits(
        &self,
        knowledge: Knowledge,
        participants: usize,
        corrupted: usize,
    ) -> Result<(), AttackError> {
        if self.formula {
            largest_shift(ENTRY.name, participants, corrupted)?;
        }
        knowledge.require(ENTRY.name, 2, participants, corrupted)
    }

    fn doubt(&self, participants: usize, corrupted: usize) -> Option<String> {
        if self.formula { doubtful_shift(ENTRY.name, participants, corrupted) } else { None }
    }

    fn craft(
        &self,
        view: &View<'_>,
        _memory: &mut Memory,
        _rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError> {
        let shift = self.shift(view)?;
        let rows = view.known_rows();
        let vector = shifted(ENTRY.name, &rows, shift, usize::from(self.sample))?;
        Ok(Crafted::same(vector.into(), view.identities.len()))
    }
}

/// The paper's `z_max`, refused where it does not exist.
pub(super) fn largest_shift(
    attack: &'static str,
    participants: usize,
    corrupted: usize,
) -> Result<f64, AttackError> {
    quantile(participants, corrupted).ok_or(AttackError::NoShift {
        attack,
        participants,
        corrupted,
        reason: "the corrupted need no honest supporter",
    })
}

/// Why an attack that takes the formula may come to nothing, if it may.
pub(super) fn doubtful_shift(
    attack: &'static str,
    participants: usize,
    corrupted: usize,
) -> Option<String> {
    // The quantile of one half is 0 up to rounding.
    let (z, comes_to) = match quantile(participants, corrupted)? {
        z if z > 1e-9 => return None,
        z if z < -1e-9 => (z, "pulls the wrong way"),
        z => (z, "sends the mean itself"),
    };
    let numbers = format!("n = {participants} participants and m = {corrupted} corrupted");
    Some(format!(
        "{attack} has z = {:.3} for {numbers} and {comes_to}; set `deviations` in place of \
         `formula`",
        z + 0.0
    ))
}

/// The paper's `z_max`, whatever its sign; `None` where the corrupted need no honest supporter.
fn quantile(participants: usize, corrupted: usize) -> Option<f64> {
    let honest = participants.saturating_sub(corrupted);
    let majority = participants / 2 + 1;
    let supporters = majority.checked_sub(corrupted).filter(|&s| s > 0 && honest > 0)?;
    let below = honest.saturating_sub(supporters) as f64 / honest as f64;
    let z = Normal::standard().inverse_cdf(below);
    z.is_finite().then_some(z)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    #[test]
    fn what_cannot_be_crafted_is_known_before_the_run() {
        let attack = LittleIsEnough::default();
        assert!(attack.admits(Knowledge::Colluders, 10, 2).is_ok());
        assert!(attack.admits(Knowledge::Colluders, 10, 1).is_err());
        assert!(attack.admits(Knowledge::Omniscient, 10, 1).is_ok());
        let formula = LittleIsEnough { formula: true, ..attack };
        // n = 10, m = 2: z_max is 0, and the attack sends the mean itself.
        assert!(formula.admits(Knowledge::Omniscient, 10, 2).is_ok());
        assert!(formula.doubt(10, 2).is_some() && formula.doubt(13, 3).is_none());
        assert!(formula.admits(Knowledge::Omniscient, 10, 6).is_err());
        assert_eq!(formula.doubt(10, 6), None);
        assert!(formula.admits(Knowledge::Omniscient, 13, 3).is_ok());
    }

    use super::*;
    use crate::attacks::tests::{craft_alone, craft_omniscient};
    use crate::catalog::Choice;

    #[test]
    fn the_authors_shift_by_hand() {
        // Mean 3, population deviation 2: 3 - 1.5 * 2.
        let honest = array![[1.0, 7.0], [5.0, 7.0]];
        let sent = craft_omniscient(&LittleIsEnough::default(), &honest, 2).unwrap();
        assert_eq!(sent, array![[0.0, 7.0], [0.0, 7.0]]);
    }

    #[test]
    fn upwards_by_a_sample_deviation_by_hand() {
        // Mean 2, squares 4 + 0 + 4 over 2 rows more than one: deviation 2, so 2 + 1.5 * 2.
        let attack = LittleIsEnough { sign: Sign::Plus, sample: true, ..Default::default() };
        let sent = craft_alone(&attack, &array![[0.0], [2.0], [4.0]]).unwrap();
        assert_eq!(sent, array![[5.0], [5.0], [5.0]]);
    }

    #[test]
    fn one_row_has_no_deviation() {
        let error = craft_alone(&LittleIsEnough::default(), &array![[1.0]]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "little_is_enough needs at least 2 known updates and has 1: give the adversary more \
             identities that collude, or let it read the honest updates (`omniscient`)"
        );
    }

    #[test]
    fn the_formula_agrees_with_published_values() {
        let cases = [
            (50, 12, 0.336),
            (51, 12, 0.361),
            (20, 5, 0.253),
            (25, 5, 0.253),
            (17, 4, 0.293),
            (50, 24, 1.426),
        ];
        for (participants, corrupted, expected) in cases {
            let z = largest_shift(ENTRY.name, participants, corrupted).unwrap();
            assert!((z - expected).abs() < 5e-4, "n = {participants}, m = {corrupted}: {z}");
        }
    }

    #[test]
    fn a_vanishing_attack_is_doubted_with_the_numbers_and_goes_on() {
        let attack = LittleIsEnough { formula: true, ..Default::default() };
        let eight = array![[1.0], [2.0], [3.0], [4.0], [5.0], [6.0], [7.0], [8.0]];
        assert_eq!(
            attack.doubt(10, 2).unwrap(),
            "little_is_enough has z = 0.000 for n = 10 participants and m = 2 corrupted and sends \
             the mean itself; set `deviations` in place of `formula`"
        );
        let sent = craft_omniscient(&attack, &eight, 2).unwrap();
        assert!((sent[[0, 0]] - 4.5).abs() < 1e-6, "{sent}");
        // Odd with one: zero. Even with one: negative.
        assert!(attack.doubt(11, 1).unwrap().contains("z = 0.000"));
        assert!(attack.doubt(10, 1).unwrap().contains("pulls the wrong way"));
        assert_eq!(LittleIsEnough::default().doubt(10, 1), None, "it has its size");
        // A majority: no value.
        for (participants, corrupted) in [(10, 6), (3, 3), (0, 0)] {
            assert!(
                largest_shift(ENTRY.name, participants, corrupted).is_err(),
                "{participants} {corrupted}"
            );
        }
        assert_eq!(
            craft_omniscient(&attack, &eight, 9).unwrap_err().to_string(),
            "little_is_enough has no z for n = 17 participants and m = 9 corrupted: the corrupted \
             need no honest supporter; set `deviations` in place of `formula`"
        );
    }

    #[test]
    fn two_sizes_at_once_are_refused() {
        let choice = Choice::with("little_is_enough", "formula = true\ndeviations = 2.0").unwrap();
        let error = crate::attacks::CATALOG.build(&choice).unwrap_err();
        assert_eq!(error.message, "`deviations` = 2 has no effect here");
    }
}
