//! The accuracy on each class, as the tables have it.

use std::fmt;

use crate::dataset::Shard;
use crate::models::Model;
use crate::training::evaluate_classes;
use crate::vector::Shared;

/// The accuracy on each class; nothing for a class without test samples.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Classes(Vec<Option<f64>>);

impl Classes {
    /// Judges a model by class.
    pub(super) fn judge(model: &dyn Model, parameters: &Shared, test: &Shard) -> Self {
        Classes(evaluate_classes(model, parameters.view(), test))
    }

    /// The least of them.
    pub(super) fn worst(&self) -> Option<f64> {
        self.0.iter().flatten().copied().min_by(f64::total_cmp)
    }
}

impl fmt::Display for Classes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (class, accuracy) in self.0.iter().enumerate() {
            let space = if class == 0 { "" } else { " " };
            match accuracy {
                Some(accuracy) => write!(formatter, "{space}{accuracy}")?,
                None => write!(formatter, "{space}-")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_tables_have_them() {
        let classes = Classes(vec![Some(0.5), None, Some(0.25)]);
        assert_eq!(classes.to_string(), "0.5 - 0.25");
        assert_eq!(classes.worst(), Some(0.25));
    }
}
