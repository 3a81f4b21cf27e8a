//! What it costs an attacker: a price for each role, and the break-even price of one server.
//!
//! A price list is a guess; what is worth telling is the ratio h\* = cost of the cheapest set that
//! is enough, over the price of one server. A central server that is h\* times dearer to capture
//! than the list says is as safe as this system, and safer if it is dearer still.

use std::collections::BTreeMap;

use serde::Serialize;

use super::search::Set;
use crate::node::NodeId;

/// The role whose price the break-even is told in.
pub const SERVER: &str = "server";

/// Prices by role; a role that is not named costs 1.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prices(BTreeMap<String, f64>);

/// What the harm costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cost {
    /// The cheapest set that was found to be enough.
    pub set: Option<Set>,
    /// What it costs.
    pub price: Option<f64>,
    /// No set costs less: those that were not tried have more parts.
    pub at_least: f64,
    /// h\*: how many times its own price one server must cost to be as dear as that set.
    pub hardening: Option<f64>,
    /// The same for the bound: h\* is no less.
    pub hardening_at_least: f64,
}

impl Prices {
    /// Prices of roles, each positive.
    pub fn new(prices: impl IntoIterator<Item = (String, f64)>) -> Self {
        Prices(prices.into_iter().collect())
    }

    /// The roles that have a price of their own.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// What a part of this role costs.
    pub fn of(&self, role: &str) -> f64 {
        self.0.get(role).copied().unwrap_or(1.0)
    }

    /// The cheapest of the sets that are `enough`. Sets of fewer than `at_least` parts are not.
    pub fn cheapest(
        &self,
        parts: &[(NodeId, &'static str)],
        enough: &[Set],
        at_least: usize,
    ) -> Cost {
        let roles: BTreeMap<NodeId, &str> = parts.iter().copied().collect();
        let price = |node: &NodeId| self.of(roles.get(node).copied().unwrap_or_default());
        let priced = enough.iter().map(|set| (set.iter().map(price).sum::<f64>(), set));
        let cheapest = priced.min_by(|one, two| one.0.total_cmp(&two.0));
        let mut prices: Vec<f64> = parts.iter().map(|(_, role)| self.of(role)).collect();
        prices.sort_by(f64::total_cmp);
        let floor: f64 = prices.iter().take(at_least).sum();
        let found = cheapest.as_ref().map(|(cost, _)| *cost);
        let at_least = found.map_or(floor, |cost| cost.min(floor));
        let server = self.of(SERVER);
        Cost {
            set: cheapest.map(|(_, set)| set.clone()),
            price: found,
            at_least,
            hardening: found.map(|cost| cost / server),
            hardening_at_least: at_least / server,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheapest_is_not_always_the_smallest() {
        let parts = [(NodeId(9), "bridge"), (NodeId(0), "worker"), (NodeId(1), "worker")];
        let prices = Prices::new([("bridge".to_owned(), 10.0), ("server".to_owned(), 4.0)]);
        let sets = [vec![NodeId(9)], vec![NodeId(0), NodeId(1)]];
        let cost = prices.cheapest(&parts, &sets, 1);
        assert_eq!(cost.set, Some(vec![NodeId(0), NodeId(1)]));
        assert_eq!((cost.price, cost.at_least, cost.hardening), (Some(2.0), 1.0, Some(0.5)));
        assert_eq!(cost.hardening_at_least, 0.25);
        let nothing = prices.cheapest(&parts, &[], 3);
        assert_eq!((nothing.price, nothing.at_least), (None, 12.0));
    }
}
