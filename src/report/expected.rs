//! Published numbers beside our own: ours, theirs, the difference, and whether it lies in the
//! stated band.
//!
//! `expected.csv` has one row for each published number. Its columns are the swept keys that name
//! a cell, by the short names of their values (an empty field names nothing), and
//!
//! - `metric`: `final`, `maximum` or `last_five`, of the accuracy's mean over seeds by round, or
//!   `averaged_model`, the last accuracy of the mean of the honest models;
//! - `over`: nothing, for one cell; `minimum over KEY`, `maximum over KEY` or `mean over KEY`, of
//!   the metric of all cells that differ in that key; `A minus B over KEY`, of the two cells in
//!   which it is A and B;
//! - `expected`: the published number, from 0 to 1; empty where only an ordering was published;
//! - `low`, `high`: the band that ours is to lie in; an empty one bounds nothing;
//! - `source`: where it stands: a table, a figure.

mod table;

use std::collections::BTreeMap;
use std::fmt;

pub use self::table::render;
use crate::experiment::store::results::{Curve, ResultRow, Results, Statistic, mean_curve};

/// Columns that are no keys.
const COLUMNS: [&str; 6] = ["metric", "over", "expected", "low", "high", "source"];

/// A published number.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// The keys that name the cell, with the short names of their values.
    pub keys: Vec<(String, String)>,
    /// What is made of a cell's curve.
    pub metric: Statistic,
    /// What is made of several cells.
    pub over: Over,
    /// The published number, 0 to 1.
    pub expected: Option<f64>,
    /// The least that ours may be.
    pub low: Option<f64>,
    /// The most that ours may be.
    pub high: Option<f64>,
    /// Where it stands.
    pub source: String,
}

/// What is made of several cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Over {
    /// There is one cell.
    One,
    /// The least over the values of a key.
    Minimum(String),
    /// The greatest.
    Maximum(String),
    /// The mean.
    Mean(String),
    /// The cell with the first value of the key minus the one with the second.
    Difference {
        /// The key.
        key: String,
        /// What is subtracted from.
        from: String,
        /// What is subtracted.
        subtracted: String,
    },
}

impl Over {
    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Over::One);
        }
        let expected = || {
            format!(
                "`over` is `{text}`; expected nothing, `minimum over KEY`, `maximum over KEY`, \
                 `mean over KEY` or `A minus B over KEY`"
            )
        };
        let (what, key) = text.rsplit_once(" over ").ok_or_else(expected)?;
        let key = key.to_owned();
        Ok(match (what, what.split_once(" minus ")) {
            ("minimum", _) => Over::Minimum(key),
            ("maximum", _) => Over::Maximum(key),
            ("mean", _) => Over::Mean(key),
            (_, Some((from, subtracted))) => {
                Over::Difference { key, from: from.to_owned(), subtracted: subtracted.to_owned() }
            }
            _ => return Err(expected()),
        })
    }

    fn key(&self) -> Option<&str> {
        match self {
            Over::One => None,
            Over::Minimum(key)
            | Over::Maximum(key)
            | Over::Mean(key)
            | Over::Difference { key, .. } => Some(key),
        }
    }

    /// What the values of the key come to, or nothing where one is missing that must be there.
    fn fold(&self, values: &BTreeMap<String, f64>) -> Option<f64> {
        let all = || values.values().copied();
        match self {
            Over::One | Over::Mean(_) => {
                (!values.is_empty()).then(|| all().sum::<f64>() / values.len() as f64)
            }
            Over::Minimum(_) => all().reduce(f64::min),
            Over::Maximum(_) => all().reduce(f64::max),
            Over::Difference { from, subtracted, .. } => {
                Some(values.get(from)? - values.get(subtracted)?)
            }
        }
    }
}

impl fmt::Display for Over {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Over::One => Ok(()),
            Over::Minimum(key) => write!(formatter, "minimum over {key}"),
            Over::Maximum(key) => write!(formatter, "maximum over {key}"),
            Over::Mean(key) => write!(formatter, "mean over {key}"),
            Over::Difference { key, from, subtracted } => {
                write!(formatter, "{from} minus {subtracted} over {key}")
            }
        }
    }
}

/// Reads `expected.csv`; what is wrong with it names the line.
pub fn read(text: &str) -> Result<Vec<Expectation>, String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let head = reader.headers().map_err(|error| error.to_string())?.clone();
    if let Some(missing) = COLUMNS.iter().find(|column| !head.iter().any(|name| name == **column)) {
        return Err(format!("line 1: there is no column `{missing}`"));
    }
    let mut expectations = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let wrong = |what: String| format!("line {}: {what}", index + 2);
        let record = record.map_err(|error| wrong(error.to_string()))?;
        let fields: BTreeMap<&str, &str> = head.iter().zip(record.iter()).collect();
        let keys = head.iter().filter(|name| !COLUMNS.contains(name) && !fields[name].is_empty());
        let keys = keys.map(|key| (key.to_owned(), fields[key].to_owned())).collect();
        expectations.push(expectation(keys, &fields).map_err(wrong)?);
    }
    Ok(expectations)
}

fn expectation(
    keys: Vec<(String, String)>,
    fields: &BTreeMap<&str, &str>,
) -> Result<Expectation, String> {
    let number = |name: &str| match fields[name] {
        "" => Ok(None),
        text => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => Err(format!("`{name}` is `{text}`, which is no number")),
        },
    };
    let metric = Statistic::named(fields["metric"]).ok_or_else(|| {
        let names = Statistic::ALL.map(Statistic::name).join(", ");
        format!("`metric` is `{}`; there are {names}", fields["metric"])
    })?;
    let expectation = Expectation {
        keys,
        metric,
        over: Over::read(fields["over"])?,
        expected: number("expected")?,
        low: number("low")?,
        high: number("high")?,
        source: fields["source"].to_owned(),
    };
    if expectation.low.is_none() && expectation.high.is_none() {
        return Err("neither `low` nor `high` is given: nothing could be outside".to_owned());
    }
    Ok(expectation)
}

/// A published number beside ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What was published.
    pub expectation: Expectation,
    /// Ours; nothing where a cell has not been run.
    pub ours: Option<f64>,
    /// How many cells ours is made of.
    pub cells: usize,
    /// The fewest seeds of any of them.
    pub seeds: usize,
}

/// Where ours lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the band.
    Inside,
    /// Out of it.
    Outside,
    /// There is none yet.
    Missing,
}

impl Comparison {
    /// Ours minus theirs.
    pub fn difference(&self) -> Option<f64> {
        Some(self.ours? - self.expectation.expected?)
    }

    /// Where ours lies.
    pub fn place(&self) -> Place {
        let Some(ours) = self.ours else { return Place::Missing };
        let above = self.expectation.low.is_none_or(|low| ours >= low);
        let below = self.expectation.high.is_none_or(|high| ours <= high);
        if above && below { Place::Inside } else { Place::Outside }
    }
}

/// Sets every published number beside ours, or says which one names more than one cell.
pub fn compare(expectations: &[Expectation], results: &Results) -> Result<Vec<Comparison>, String> {
    expectations.iter().map(|expectation| compared(expectation, results)).collect()
}

fn compared(expectation: &Expectation, results: &Results) -> Result<Comparison, String> {
    let key = expectation.over.key();
    // The seeds of each cell, by the value of the key that is folded over.
    let mut cells: BTreeMap<String, Vec<&ResultRow>> = BTreeMap::new();
    for row in results.rows.iter().filter(|row| is_named(expectation, row)) {
        let value = key.and_then(|key| value(row, key)).unwrap_or_default();
        cells.entry(value.to_owned()).or_default().push(row);
    }
    let mut values = BTreeMap::new();
    for (name, rows) in &cells {
        let [first, rest @ ..] = rows.as_slice() else { continue };
        if let Some(other) =
            rest.iter().find(|row| row.swept != first.swept || row.config != first.config)
        {
            return Err(format!(
                "`{}` names more than one cell, of the runs {} and {}: name more keys",
                table::name(&expectation.keys),
                first.run_id,
                other.run_id
            ));
        }
        let metric = expectation.metric;
        let curves: Vec<&Curve> = rows.iter().map(|row| row.curve_of(metric)).collect();
        let value = metric.of(&mean_curve(&curves));
        values.extend(value.map(|value| (name.clone(), value)));
    }
    Ok(Comparison {
        expectation: expectation.clone(),
        ours: expectation.over.fold(&values),
        cells: values.len(),
        seeds: cells.values().map(Vec::len).min().unwrap_or(0),
    })
}

/// Whether a row is one of the cells that an expectation names.
fn is_named(expectation: &Expectation, row: &ResultRow) -> bool {
    expectation.keys.iter().all(|(key, named)| value(row, key) == Some(named))
        && match &expectation.over {
            Over::Difference { key, from, subtracted } => {
                value(row, key).is_some_and(|value| value == from || value == subtracted)
            }
            _ => true,
        }
}

fn value<'a>(row: &'a ResultRow, key: &str) -> Option<&'a str> {
    row.swept.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests;
