//! Kernels: the loops over rows and columns that rules and attacks share.
//!
//! All of them are pure and total: NaN and infinity have a defined place, and the order of every
//! sum depends on the shape alone. They use the threads of the rayon pool that they are called in,
//! if any, and give the same bits on any number. The vector instructions are chosen when the
//! program runs, so bits may differ between types of processor and nowhere else.
#![allow(
    clippy::inline_always,
    reason = "only what is inlined into the dispatched function is compiled for the processor"
)]

mod blocks;
pub mod centres;
pub mod clamped;
pub mod columns;
pub mod cosines;
pub mod distances;
pub mod least;
pub mod line_clusters;
pub mod linkage;
pub mod mean_shift;
pub mod means;
pub mod mixing;
mod panels;
pub(crate) mod prefetch;
pub mod product;
pub(crate) mod quotients;
pub mod row_norms;
pub mod secant;
pub mod shares;
pub mod spectral;
pub mod two_means;
pub mod votes;
