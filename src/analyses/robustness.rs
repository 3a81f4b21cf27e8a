//! How far liars can move a rule, measured and proven: (f, κ)-robustness.
//!
//! A rule F is (f, κ)-robust if for all n rows of which n - f are honest
//! `‖F(x) - m‖² <= κ σ²`, with m the mean of the honest rows and σ² the mean of their squared
//! distances to it (Allouah et al., Fixing by Mixing, AISTATS 2023). No rule has less than
//! `f / (n - 2f)`.
//!
//! [`worst_case`] searches for the input of the largest κ, which bounds the rule from below;
//! [`Bounds`] holds what is proven from above. A search proves nothing by not finding more.

mod bounds;
mod search;

pub use bounds::{Bounds, lower_bound};
pub use search::{Search, Worst, worst_case};
