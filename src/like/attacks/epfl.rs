//! Two code bases of EPFL: `epfl-byzmom` (El Mhamdi, Guerraoui and Rouault, Distributed Momentum
//! for Byzantine-resilient Stochastic Gradient Descent, ICLR 2021) and `epfl-rcl` (Farhadkhani et
//! al., Robust Collaborative Learning with Linear Gradient Overhead, ICML 2023).
//!
//! There, a factor below 0 is the number of tries of a line search with the rule: here those are
//! names of their own, `OptimalEmpire` and `OptimalLittle`. `BulyanAttack` has one name for both:
//! its vectors are compared for given factors, and its search is the one that those two have.

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Entry, Kind, Nothing, Translation, number, read};
use crate::catalog::ConfigError;

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "epfl-byzmom.Empire",
        kind: Kind::Attack,
        member: "inner_product",
        parameters: || schema_for!(Factor),
        byzantine: None,
        translate: |given| read(given, |given: Factor| given.empire()),
    },
    Entry {
        name: "epfl-byzmom.OptimalEmpire",
        kind: Kind::Attack,
        member: "optimised_inner_product",
        parameters: || schema_for!(Factor),
        byzantine: None,
        translate: |given| read(given, |given: Factor| given.search("from_mean = true")),
    },
    Entry {
        name: "epfl-byzmom.Little",
        kind: Kind::Attack,
        member: "little_is_enough",
        parameters: || schema_for!(Factor),
        byzantine: None,
        translate: |given| read(given, |given: Factor| given.little()),
    },
    Entry {
        name: "epfl-byzmom.OptimalLittle",
        kind: Kind::Attack,
        member: "optimised_little_is_enough",
        parameters: || schema_for!(Factor),
        byzantine: None,
        translate: |given| read(given, |given: Factor| given.search("sample = true")),
    },
    Entry {
        name: "epfl-byzmom.BulyanAttack",
        kind: Kind::Attack,
        member: "one_coordinate",
        parameters: || schema_for!(Factor),
        byzantine: None,
        translate: |given| read(given, |given: Factor| given.one_coordinate()),
    },
    Entry {
        name: "epfl-byzmom.AntiCGE",
        kind: Kind::Attack,
        member: "anti_elimination",
        parameters: || schema_for!(Declared),
        byzantine: None,
        translate: |given| read(given, |given: Declared| Ok(given.translation())),
    },
    Entry {
        name: "epfl-rcl.AntiCGE",
        kind: Kind::Attack,
        member: "anti_elimination",
        parameters: || schema_for!(Declared),
        byzantine: None,
        translate: |given| read(given, |given: Declared| Ok(given.translation())),
    },
    Entry {
        name: "epfl-rcl.MimicHeuristic",
        kind: Kind::Attack,
        member: "mimic",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| {
            read(given, |Nothing {}| {
                Ok(Translation::to("warm_up = 0\nafter = \"direction\"\npick = \"magnitude\""))
            })
        },
    },
];

/// How far it goes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the library's own name for it")]
struct Factor {
    /// The factor; for those that search, minus the number of tries.
    factor: f64,
    /// Whether factors are negated.
    negative: bool,
    /// How many copies a try holds; absent: one for each corrupted identity.
    f: Option<usize>,
}

impl Default for Factor {
    fn default() -> Self {
        Factor { factor: -16.0, negative: false, f: None }
    }
}

impl Factor {
    /// The factor with its sign; where it is the number of tries, the 1.1 of the experiments.
    fn signed(&self) -> f64 {
        let factor = if self.factor < 0.0 { 1.1 } else { self.factor };
        if self.negative { -factor } else { factor }
    }

    fn empire(&self) -> Result<Translation, ConfigError> {
        let epsilon = number("factor", self.signed() - 1.0)?;
        Ok(Translation::to(format!("epsilon = {epsilon}")))
    }

    fn little(&self) -> Result<Translation, ConfigError> {
        let deviations = number("factor", self.signed())?;
        let more = "sign = \"plus\"\nsample = true";
        Ok(Translation::to(format!("deviations = {deviations}\n{more}")))
    }

    fn one_coordinate(&self) -> Result<Translation, ConfigError> {
        if self.factor < 0.0 {
            return self.search("scale = \"one\"");
        }
        let factor = number("factor", self.signed())?;
        Ok(Translation::to(format!("factor = {factor}\nscale = \"one\"")))
    }

    fn search(&self, more: &str) -> Result<Translation, ConfigError> {
        number("factor", self.factor)?;
        let evaluations = self.factor.abs() as u32;
        let copies = self.f.map_or_else(String::new, |f| format!("copies = {f}\n"));
        let negative = self.negative;
        let doubling = format!(
            "evaluations = {evaluations}, start = 0.0, step = 1.0, ratio = 0.8, back = true"
        );
        let search = format!("search = {{ doubling = {{ {doubling} }} }}");
        Ok(Translation::to(format!("{more}\nnegative = {negative}\n{copies}{search}")))
    }
}

/// How many are declared.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Declared {
    /// How many the rule takes to be corrupted; absent: as many as there are.
    f_decl: Option<usize>,
}

impl Declared {
    fn translation(self) -> Translation {
        let declared = self.f_decl.map_or_else(String::new, |f| format!("declared = {f}\n"));
        Translation::to(format!("{declared}twice = true"))
    }
}
