//! A table of results: what the cells of a folder's experiments came to, one row for each cell
//! and seed.
//!
//! It is kept beside the experiments themselves, grows as cells finish, and holds what is needed
//! to run any of them again to the same digest: the experiment's file, the run's identity, the
//! version of results, the commit and the processor's features. The columns after `seed` are the
//! swept keys of all experiments in the table, empty where an experiment does not sweep one.

mod statistic;

use std::collections::BTreeMap;

pub use self::statistic::{Curve, Statistic, mean_curve};

/// Columns before the swept keys.
const BEFORE: [&str; 3] = ["config", "run_id", "seed"];

/// Columns after the swept keys, without the statistics.
const AFTER: [&str; 6] =
    ["rounds", "results_version", "commit", "cpu_features", "seconds", "final_digest"];

/// The column of all evaluations: `round:accuracy`, separated by spaces.
const CURVE: &str = "evaluations";

/// The same of the mean of the honest models; there if an experiment of the table has no
/// coordinator.
const AVERAGED: &str = "averaged_evaluations";

/// One cell with one seed.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultRow {
    /// The experiment's file, in the same folder as the table.
    pub config: String,
    /// The run.
    pub run_id: String,
    /// The seed.
    pub seed: u64,
    /// The swept keys with the short names of their values.
    pub swept: Vec<(String, String)>,
    /// How many rounds were closed.
    pub rounds: u32,
    /// Which results can have the same bits.
    pub results_version: u32,
    /// The commit of the program that ran it.
    pub commit: String,
    /// What the processor can do, as far as bits depend on it; separated by spaces.
    pub cpu_features: String,
    /// Wall time, in seconds.
    pub seconds: f64,
    /// The digest of the last model, or over all models in node order.
    pub final_digest: String,
    /// The accuracy on the test set by round, of the worst honest node.
    pub curve: Curve,
    /// The same of the mean of the honest models; empty where there is a coordinator.
    pub averaged: Curve,
}

impl ResultRow {
    /// The curve that a statistic is made of.
    pub fn curve_of(&self, statistic: Statistic) -> &Curve {
        match statistic {
            Statistic::Final | Statistic::Maximum | Statistic::LastFive => &self.curve,
            Statistic::AveragedModel => &self.averaged,
        }
    }
}

/// All rows of a table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Results {
    /// By run.
    pub rows: Vec<ResultRow>,
}

impl Results {
    /// Reads a table; what is wrong with it names the line.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let head = reader.headers().map_err(|error| error.to_string())?.clone();
        let known = |name: &str| {
            let statistic = Statistic::ALL.iter().any(|statistic| statistic.name() == name);
            let curve = name == CURVE || name == AVERAGED;
            BEFORE.contains(&name) || AFTER.contains(&name) || curve || statistic
        };
        let mut rows = Vec::new();
        for (index, record) in reader.records().enumerate() {
            let wrong = |what: String| format!("line {}: {what}", index + 2);
            let record = record.map_err(|error| wrong(error.to_string()))?;
            let cells: BTreeMap<&str, &str> = head.iter().zip(record.iter()).collect();
            let keys = head.iter().filter(|name| !known(name));
            let swept = keys.filter(|key| !cells[key].is_empty());
            let swept = swept.map(|key| (key.to_owned(), cells[key].to_owned())).collect();
            rows.push(row(&cells, swept).map_err(wrong)?);
        }
        Ok(Results { rows })
    }

    /// Puts a row in the place of the one of the same experiment, cell and seed, or at the end.
    pub fn put(&mut self, row: ResultRow) {
        let same = |known: &ResultRow| {
            known.config == row.config && known.seed == row.seed && known.swept == row.swept
        };
        match self.rows.iter_mut().find(|known| same(known)) {
            Some(known) => *known = row,
            None => self.rows.push(row),
        }
    }

    /// Sorts the rows of one experiment as its `runs` are; those of others stay before or after.
    pub fn sort(&mut self, config: &str, runs: &[String]) {
        let place = |row: &ResultRow| match row.config == config {
            true => runs.iter().position(|run| *run == row.run_id).unwrap_or(runs.len()),
            false => 0,
        };
        self.rows.sort_by(|one, other| {
            one.config.cmp(&other.config).then_with(|| place(one).cmp(&place(other)))
        });
    }

    /// The table as text.
    pub fn to_text(&self) -> String {
        let mut keys: Vec<&str> = Vec::new();
        for (key, _) in self.rows.iter().flat_map(|row| &row.swept) {
            if !keys.contains(&key.as_str()) {
                keys.push(key);
            }
        }
        let averaged = self.rows.iter().any(|row| !row.averaged.is_empty());
        let statistics = Statistic::ALL.into_iter();
        let statistics: Vec<Statistic> =
            statistics.filter(|&it| averaged || it != Statistic::AveragedModel).collect();
        let names: Vec<&str> = statistics.iter().map(|statistic| statistic.name()).collect();
        let curves: &[&str] = if averaged { &[CURVE, AVERAGED] } else { &[CURVE] };
        let mut writer = csv::Writer::from_writer(Vec::new());
        let head = BEFORE.iter().chain(&keys).chain(&names).chain(&AFTER).chain(curves);
        let in_memory = "a table in memory can be written";
        writer.write_record(head).expect(in_memory);
        for row in &self.rows {
            let mut fields = fields(row, &keys, &statistics);
            if averaged {
                fields.push(points(&row.averaged));
            }
            writer.write_record(fields).expect(in_memory);
        }
        let bytes = writer.into_inner().expect(in_memory);
        String::from_utf8(bytes).expect("texts make a text")
    }
}

fn fields(row: &ResultRow, keys: &[&str], statistics: &[Statistic]) -> Vec<String> {
    let mut fields = vec![row.config.clone(), row.run_id.clone(), row.seed.to_string()];
    for key in keys {
        let value = row.swept.iter().find(|(name, _)| name == key);
        fields.push(value.map(|(_, value)| value.clone()).unwrap_or_default());
    }
    for &statistic in statistics {
        let value = statistic.of(row.curve_of(statistic));
        fields.push(value.map_or(String::new(), |value| format!("{value:.4}")));
    }
    fields.extend([
        row.rounds.to_string(),
        row.results_version.to_string(),
        row.commit.clone(),
        row.cpu_features.clone(),
        format!("{:.1}", row.seconds),
        row.final_digest.clone(),
    ]);
    fields.push(points(&row.curve));
    fields
}

/// A curve as it is kept.
fn points(curve: &Curve) -> String {
    let points = curve.iter().map(|(round, value)| format!("{round}:{value}"));
    points.collect::<Vec<_>>().join(" ")
}

/// What is kept in the column `name` as a curve.
fn curve(name: &str, points: &str) -> Result<Curve, String> {
    let point = |point: &str| {
        let (round, value) = point
            .split_once(':')
            .ok_or_else(|| format!("`{name}` has `{point}` where round:accuracy was expected"))?;
        Ok((number(name, round)?, number(name, value)?))
    };
    points.split_whitespace().map(point).collect()
}

fn row(cells: &BTreeMap<&str, &str>, swept: Vec<(String, String)>) -> Result<ResultRow, String> {
    let text = |name: &str| {
        let found = cells.get(name).map(|value| (*value).to_owned());
        found.ok_or_else(|| format!("there is no column `{name}`"))
    };
    Ok(ResultRow {
        config: text("config")?,
        run_id: text("run_id")?,
        seed: number("seed", &text("seed")?)?,
        swept,
        rounds: number("rounds", &text("rounds")?)?,
        results_version: number("results_version", &text("results_version")?)?,
        commit: text("commit")?,
        cpu_features: text("cpu_features")?,
        seconds: number("seconds", &text("seconds")?)?,
        final_digest: text("final_digest")?,
        curve: curve(CURVE, &text(CURVE)?)?,
        averaged: curve(AVERAGED, cells.get(AVERAGED).copied().unwrap_or_default())?,
    })
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{name}` is `{text}`, which is no such number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(config: &str, run_id: &str, swept: &[(&str, &str)], seed: u64) -> ResultRow {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        ResultRow {
            config: config.to_owned(),
            run_id: run_id.to_owned(),
            seed,
            swept: swept.iter().map(owned).collect(),
            rounds: 20,
            results_version: 2,
            commit: "abc".to_owned(),
            cpu_features: "avx2 fma".to_owned(),
            seconds: 1.5,
            final_digest: "d1".to_owned(),
            curve: vec![(10, 0.25), (20, 0.5)],
            averaged: Curve::new(),
        }
    }

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let mut results = Results::default();
        results.put(row("a.toml", "1", &[("rule", "krum"), ("attack", "ipm(epsilon=0.1)")], 1));
        results.put(row("b.toml", "2", &[("rule", "krum"), ("data", "[a, b]")], 1));
        let text = results.to_text();
        assert!(text.starts_with("config,run_id,seed,rule,attack,data,final,maximum,last_five,"));
        assert!(text.contains("10:0.25 20:0.5"), "{text}");
        assert_eq!(Results::read(&text).unwrap(), results);
    }

    #[test]
    fn averaged_models_have_columns_where_there_are_any() {
        let mut results = Results::default();
        results.put(row("a.toml", "1", &[], 1));
        assert!(!results.to_text().contains("averaged"));
        let averaged = vec![(10, 0.5), (20, 0.75)];
        results.put(ResultRow { averaged: averaged.clone(), ..row("b.toml", "2", &[], 1) });
        let text = results.to_text();
        assert!(text.starts_with("config,run_id,seed,final,maximum,last_five,averaged_model,"));
        assert!(text.contains(",10:0.25 20:0.5,10:0.5 20:0.75\n"), "{text}");
        assert_eq!(Results::read(&text).unwrap(), results);
        assert_eq!(results.rows[1].curve_of(Statistic::AveragedModel), &averaged);
    }

    #[test]
    fn a_cell_that_is_run_again_replaces_its_row() {
        let mut results = Results::default();
        results.put(row("a.toml", "1", &[("rule", "krum")], 1));
        results.put(row("a.toml", "9", &[("rule", "krum")], 1));
        results.put(row("a.toml", "3", &[("rule", "krum")], 2));
        let runs: Vec<&str> = results.rows.iter().map(|row| row.run_id.as_str()).collect();
        assert_eq!(runs, ["9", "3"]);
        results.put(row("0.toml", "4", &[], 1));
        results.sort("a.toml", &["3".to_owned(), "9".to_owned()]);
        let runs: Vec<&str> = results.rows.iter().map(|row| row.run_id.as_str()).collect();
        assert_eq!(runs, ["4", "3", "9"]);
    }

    #[test]
    fn what_is_wrong_names_the_line() {
        let text = Results { rows: vec![row("a.toml", "1", &[], 1)] }.to_text();
        let wrong = |from: &str, to: &str| Results::read(&text.replace(from, to)).unwrap_err();
        assert_eq!(
            wrong("10:0.25", "10-0.25"),
            "line 2: `evaluations` has `10-0.25` where round:accuracy was expected"
        );
        assert_eq!(
            wrong(",1,0.5000", ",x,0.5000"),
            "line 2: `seed` is `x`, which is no such number"
        );
        assert_eq!(wrong("final_digest", "digest"), "line 2: there is no column `final_digest`");
    }
}
