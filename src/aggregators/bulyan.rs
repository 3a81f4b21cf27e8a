//! Bulyan: Krum picks rows, and around their median the nearest values are averaged.
//!
//! First `θ = n - 2f` rows are picked one after the other by Krum, each time among those that are
//! left. Then in every coordinate the `θ - 2f` values nearest to the median of the picked ones are
//! averaged; of two equally far, one on each side, the higher and the lower are dropped in turn.
//!
//! Krum alone can be led astray in one coordinate, since it judges whole rows; the second stage
//! takes that leeway away. Libraries differ in how many neighbours a score counts while rows
//! become fewer (`neighbours`), in the median of an even number (`middle`), and some score once
//! and take the θ best (`selection = "once"`), which is not the paper's recursion. Flower and this
//! rule keep f as declared in every pick and count at least one neighbour. With f <= 2 the last
//! picks count just one, and then the two rows nearest to each other tie: libraries take the lower
//! sender's, so that their result depends on the order of rows; this rule takes the one nearer to
//! all (`ties`). Some code trims the picked values in place of averaging those nearest to their
//! median (`second = "trimmed"`), and runs with fewer rows (`tolerance = "majority"`).
//!
//! Fails, like Krum, against liars inside the honest spread, of whom it may pick all; what they
//! then do in one coordinate stays between honest values. It throws more away than any other rule:
//! with n = 4f + 3 only three values of each coordinate are averaged. Needs n >= 4f + 3.
//!
//! Reference: El Mhamdi, Guerraoui, Rouault, The Hidden Vulnerability of Distributed Learning in
//! Byzantium, ICML 2018.

use std::sync::Arc;

use ndarray::ArrayView2;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::iterated::{Ties, picks};
use super::median::{Middle, middle_of};
use super::nearest_values::{mean_of_nearest, mean_of_rows};
use super::scores::{Distance, Neighbours, Scoring, Tolerance, best};
use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::Entry;
use crate::kernels::columns::summarise_ranks_of;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "bulyan",
    summary: "the n - 4f values of every coordinate nearest to the median of Krum's picks, averaged",
    reference: "El Mhamdi et al., ICML 2018",
    source: include_str!("bulyan.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: true,
        scale_equivariant: true,
        tolerates: |rows| Some(rows.checked_sub(3)? / 4),
        robust: true,
        remembers: Remembers::Nothing,
        uses_byzantine: true,
        uses_samples: false,
    },
    parameters: || schema_for!(Bulyan),
    build: |parameters| parameters.build::<dyn Aggregator, Bulyan>(|rule| Ok(Arc::new(rule))),
};

/// Parameters of Bulyan.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Bulyan {
    /// How many other rows a score counts among the r that are left: `paper` r - f - 2, at least
    /// one (default), `inclusive` r - f - 1, `short` r - f - 3, where picking ends with r = f + 2.
    neighbours: Neighbours,
    /// How rows are picked: `iterated`, each among those that are left (default), or `once`, the
    /// best scores among all.
    selection: Selection,
    /// What an even number of picked values has as its median: the `midpoint` (default), `lower` or
    /// `upper` of the two in the middle.
    middle: Middle,
    /// Which of two rows with equal scores is picked, if one after the other: the one `nearer` to
    /// all that are left (default), or the lower `sender`'s.
    ties: Ties,
    /// What is averaged of the θ picked values of a coordinate: the θ - 2f `nearest` to their
    /// median (default), or what is left when f, or as many as leave something, are `trimmed` at
    /// each end.
    second: Second,
    /// For which n it runs: `paper` n >= 4f + 3 (default), `majority` n > 2f.
    tolerance: Fewest,
}

/// For which n it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Fewest {
    /// `n >= 4f + 3`.
    #[default]
    Paper,
    /// `n > 2f`.
    Majority,
}

/// What is averaged of the picked values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Second {
    /// Those nearest to their median.
    #[default]
    Nearest,
    /// Those that are not at the ends.
    Trimmed,
}

/// How rows are picked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Selection {
    /// One after the other.
    #[default]
    Iterated,
    /// All at once.
    Once,
}

impl Bulyan {
    /// The rows of the first stage.
    fn picked(&self, updates: ArrayView2<'_, f32>, byzantine: usize) -> Vec<usize> {
        let scoring = Scoring {
            neighbours: self.neighbours,
            distance: Distance::Squared,
            tolerance: Tolerance::None,
        };
        let count = updates.nrows() - 2 * byzantine;
        match self.selection {
            Selection::Iterated => picks(scoring, updates, byzantine, count, self.ties),
            Selection::Once => best(&scoring.scores(updates, byzantine), count),
        }
    }
}

impl Aggregator for Bulyan {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        if rows == 0 {
            return Err(AggregateError::Empty { rule: ENTRY.name });
        }
        if self.tolerance == Fewest::Majority {
            return AggregateError::unless_majority(ENTRY.name, rows, byzantine);
        }
        let least = byzantine.saturating_mul(4).saturating_add(3);
        if rows < least {
            let bound = format!("n >= 4f + 3 = {least}");
            return Err(AggregateError::TooFew { rule: ENTRY.name, bound, rows, byzantine });
        }
        Ok(())
    }

    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        let byzantine = context.byzantine;
        self.admits(updates.nrows(), byzantine)?;
        let picked = self.picked(updates, byzantine);
        let count = picked.len();
        if count == 0 {
            let rows = updates.nrows();
            let message = format!("nothing is picked of n = {rows} updates with f = {byzantine}");
            return Err(AggregateError::Unfit { rule: ENTRY.name, message });
        }
        // With n >= 4f + 3 at least 2f + 1 are picked, also where picking ends early.
        let keep = count.saturating_sub(2 * byzantine).max(1);
        let trim = byzantine.min((count - 1) / 2);
        let vector = match self.second {
            Second::Nearest => summarise_ranks_of(updates, &picked, 0..count, |rows| {
                mean_of_nearest(rows, middle_of(rows, self.middle), keep)
            }),
            Second::Trimmed => {
                summarise_ranks_of(updates, &picked, trim..count - trim, mean_of_rows)
            }
        };
        Ok(Aggregate { vector, weights: None })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    #[test]
    fn by_hand() {
        // Five of seven are picked: 3, 2, 4, 1, and then 5 and 60 are as near to each other; 60 is
        // farther from -80. Their median is 3, the three nearest values are 2, 3 and 4.
        let rows = array![[60.0], [1.0], [2.0], [3.0], [4.0], [5.0], [-80.0]];
        let result = aggregate_with(&Bulyan::default(), &rows, 1, None).unwrap();
        assert_eq!(result.vector, array![3.0]);
    }

    #[test]
    fn ties_where_scores_count_one_neighbour() {
        // 5, 4 and 3 go first. Of 12, 2, 9 and -80 the first and the third are as near to each
        // other; 9 is nearer to the rest. Then 2 goes. The median is 4, and 3, 4 and 5 are
        // averaged, whoever was picked fourth.
        let rows = array![[12.0], [2.0], [3.0], [4.0], [5.0], [9.0], [-80.0]];
        for ties in [Ties::Nearer, Ties::Sender] {
            let rule = Bulyan { ties, ..Bulyan::default() };
            let fourth = if ties == Ties::Nearer { 5 } else { 0 };
            assert_eq!(rule.picked(rows.view(), 1), vec![4, 3, 2, fourth, 1]);
            assert_eq!(aggregate_with(&rule, &rows, 1, None).unwrap().vector, array![4.0]);
        }
    }

    #[test]
    fn the_picked_may_be_trimmed() {
        // 2, 3, 4, 5 and 1 are picked at once, and 2, 3 and 4 are left; of five rows with two liars
        // one is picked.
        let rows = array![[60.0], [1.0], [2.0], [3.0], [4.0], [5.0], [-80.0]];
        let (selection, second) = (Selection::Once, Second::Trimmed);
        let rule = Bulyan { selection, second, ..Bulyan::default() };
        assert_eq!(aggregate_with(&rule, &rows, 1, None).unwrap().vector, array![3.0]);
        let rule = Bulyan { tolerance: Fewest::Majority, ..rule };
        let rows = array![[1.0], [2.0], [2.5], [60.0], [-80.0]];
        assert_eq!(aggregate_with(&rule, &rows, 2, None).unwrap().vector, array![2.0]);
        assert!(rule.admits(4, 2).is_err());
    }

    #[test]
    fn nobody_lies() {
        let rows = array![[1.0], [2.0], [9.0]];
        let result = aggregate_with(&Bulyan::default(), &rows, 0, None).unwrap();
        assert_eq!(result.vector, array![4.0]);
    }

    #[test]
    fn too_few_rows_are_refused() {
        let rows = array![[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]];
        let error = aggregate_with(&Bulyan::default(), &rows, 1, None).unwrap_err();
        let text = "bulyan needs n >= 4f + 3 = 7 and got n = 6 updates with f = 1 byzantine";
        assert_eq!(error.to_string(), text);
    }
}
