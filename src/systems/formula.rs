//! What is known of a system before anything is run: how many of its parts must fall together.

use std::fmt;

use serde::Serialize;

/// How many parts must fall together for one harm, k*, as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bounds {
    /// No fewer do.
    pub at_least: usize,
    /// So many do, if they are the right ones; none where no such number is known.
    pub at_most: Option<usize>,
}

impl Bounds {
    /// Just so many.
    pub fn exactly(count: usize) -> Self {
        Bounds { at_least: count, at_most: Some(count) }
    }

    /// So many or more.
    pub fn at_least(count: usize) -> Self {
        Bounds { at_least: count, at_most: None }
    }

    /// From the first number to the second.
    pub fn between(at_least: usize, at_most: usize) -> Self {
        Bounds { at_least, at_most: Some(at_most) }
    }

    /// Whether both bounds are the same number.
    pub fn is_exact(&self) -> bool {
        self.at_most == Some(self.at_least)
    }

    /// Whether some number lies within both.
    pub fn agrees_with(&self, other: &Bounds) -> bool {
        let below = |low: usize, high: Option<usize>| high.is_none_or(|high| low <= high);
        below(self.at_least, other.at_most) && below(other.at_least, self.at_most)
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at_most {
            Some(most) if most == self.at_least => write!(formatter, "{most}"),
            Some(most) => write!(formatter, "{}..{most}", self.at_least),
            None => write!(formatter, "{} or more", self.at_least),
        }
    }
}

/// One number with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Known {
    /// How many parts must fall.
    pub parts: Bounds,
    /// Why, in one sentence without a capital and a full stop.
    pub why: String,
}

impl Known {
    /// A number with its reason.
    pub fn new(parts: Bounds, why: impl Into<String>) -> Self {
        Known { parts, why: why.into() }
    }
}

/// What is known of a system, for each harm apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Formula {
    /// How many must crash before rounds come to nothing.
    pub availability: Known,
    /// How many must be captured before honest workers go on from what the attacker wants.
    pub integrity: Known,
    /// How many must be captured before every worker's own vectors are seen.
    pub confidentiality: Known,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_shown_and_compared() {
        let shown = [Bounds::exactly(2), Bounds::between(2, 5), Bounds::at_least(3)];
        assert_eq!(shown.map(|bounds| bounds.to_string()), ["2", "2..5", "3 or more"]);
        assert!(Bounds::exactly(2).is_exact() && !Bounds::between(2, 5).is_exact());
        for (one, other, agree) in [
            (Bounds::exactly(2), Bounds::between(2, 5), true),
            (Bounds::exactly(1), Bounds::between(2, 5), false),
            (Bounds::at_least(6), Bounds::between(2, 5), false),
            (Bounds::at_least(6), Bounds::at_least(2), true),
        ] {
            assert_eq!(one.agrees_with(&other), agree, "{one} {other}");
            assert_eq!(other.agrees_with(&one), agree, "{other} {one}");
        }
    }
}
