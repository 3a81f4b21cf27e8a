//! The numbers that publications make of a run's accuracies.

/// Accuracies on the test set by round, ascending.
pub type Curve = Vec<(u32, f64)>;

/// What is made of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// The last evaluation.
    Final,
    /// The greatest evaluation: what whoever stops at the best moment gets.
    Maximum,
    /// The mean of the last five evaluations, or of all if there are fewer.
    LastFive,
    /// The last evaluation of the mean of the honest models, which nobody need have: what is
    /// published of networks without a coordinator.
    AveragedModel,
}

impl Statistic {
    /// All of them, in the order of a table's columns.
    pub const ALL: [Statistic; 4] =
        [Statistic::Final, Statistic::Maximum, Statistic::LastFive, Statistic::AveragedModel];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Statistic::Final => "final",
            Statistic::Maximum => "maximum",
            Statistic::LastFive => "last_five",
            Statistic::AveragedModel => "averaged_model",
        }
    }

    /// The statistic of that name.
    pub fn named(name: &str) -> Option<Self> {
        Statistic::ALL.into_iter().find(|statistic| statistic.name() == name)
    }

    /// Its value of the curve that it is made of, unless that is empty.
    pub fn of(self, curve: &[(u32, f64)]) -> Option<f64> {
        let values = || curve.iter().map(|(_, value)| *value);
        match self {
            Statistic::Final | Statistic::AveragedModel => values().next_back(),
            Statistic::Maximum => values().reduce(f64::max),
            Statistic::LastFive => {
                let last: Vec<f64> = values().rev().take(5).collect();
                (!last.is_empty()).then(|| last.iter().sum::<f64>() / last.len() as f64)
            }
        }
    }
}

/// The mean of curves, round by round, over the rounds that all of them have.
pub fn mean_curve(curves: &[&Curve]) -> Curve {
    let Some(first) = curves.first() else { return Curve::new() };
    let at = |curve: &Curve, round: u32| {
        curve.iter().find(|(found, _)| *found == round).map(|(_, value)| *value)
    };
    let mean = |&(round, _): &(u32, f64)| {
        let values: Option<Vec<f64>> = curves.iter().map(|curve| at(curve, round)).collect();
        Some((round, values?.iter().sum::<f64>() / curves.len() as f64))
    };
    first.iter().filter_map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_by_hand() {
        let curve: Curve =
            [0.1, 0.9, 0.2, 0.3, 0.4, 0.5, 0.6].into_iter().zip(1..).map(|(v, r)| (r, v)).collect();
        let of = |statistic: Statistic| statistic.of(&curve).unwrap();
        assert_eq!(of(Statistic::Final), 0.6);
        assert_eq!(of(Statistic::AveragedModel), 0.6);
        assert_eq!(of(Statistic::Maximum), 0.9);
        // (0.2 + 0.3 + 0.4 + 0.5 + 0.6) / 5
        assert!((of(Statistic::LastFive) - 0.4).abs() < 1e-12);
        assert_eq!(Statistic::LastFive.of(&[(10, 0.25), (20, 0.75)]), Some(0.5));
        assert!(Statistic::ALL.iter().all(|statistic| statistic.of(&[]).is_none()));
        for statistic in Statistic::ALL {
            assert_eq!(Statistic::named(statistic.name()), Some(statistic));
        }
        assert_eq!(Statistic::named("best"), None);
    }

    #[test]
    fn the_maximum_of_a_mean_is_not_the_mean_of_maxima() {
        let one = vec![(10, 0.8), (20, 0.2), (30, 0.5)];
        let other = vec![(10, 0.2), (20, 0.8), (40, 1.0)];
        let mean = mean_curve(&[&one, &other]);
        assert_eq!(mean, [(10, 0.5), (20, 0.5)]);
        assert_eq!(Statistic::Maximum.of(&mean), Some(0.5));
        assert!(mean_curve(&[]).is_empty());
    }
}
