//! `byzlab bench aggregators`: milliseconds of every rule, next to the speed of memory.

mod rounds;
mod table;

use clap::Args;

use self::rounds::{Size, Timed, Values, time};
use self::table::{as_json, as_text};
use super::bandwidth::{self, memory_gb_per_second};
use crate::aggregators;
use crate::catalog::did_you_mean;
use crate::cli::print;
use crate::cli::usage::Usage;
use crate::preaggregators;

/// Times every rule and pre-aggregator on random rows, a fifth of them declared byzantine.
///
/// Parameters are the defaults, with 3 steps of the geometric median and 1 of centered clipping.
/// What is printed is the least time of several runs, the bytes of the rows over that time, and
/// its share of the speed at which the same threads read memory.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// How many updates there are
    #[arg(long, value_name = "N", default_value_t = 50,
          value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rows: u64,
    /// How many parameters an update has
    #[arg(long, value_name = "D", default_value_t = 1_000_000,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    columns: u64,
    /// How many threads a rule may use; its result does not depend on it
    #[arg(long, value_name = "T", default_value_t = 1,
          value_parser = clap::value_parser!(u64).range(1..=1024))]
    threads: u64,
    /// The rules and pre-aggregators, separated by commas [default: all]
    #[arg(long, value_name = "RULES", value_delimiter = ',', num_args = 1..)]
    rules: Vec<String>,
    /// What the byzantine rows hold
    #[arg(long, value_enum, default_value_t = Values::Random)]
    values: Values,
    /// For how long each rule is run again
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = super::seconds)]
    seconds: f64,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// What was measured.
#[derive(Debug)]
struct Report {
    size: Size,
    threads: usize,
    memory_gb_per_second: f64,
    rules: Vec<Timed>,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let names = chosen(&arguments.rules)?;
    let size = Size { rows: arguments.rows as usize, columns: arguments.columns as usize };
    fits(size)?;
    let threads = arguments.threads as usize;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let report = pool.install(|| {
        let memory_gb_per_second = memory_gb_per_second(arguments.seconds);
        let rules = time(&names, size, arguments.values, arguments.seconds)?;
        Ok::<_, Usage>(Report { size, threads, memory_gb_per_second, rules })
    })?;
    if arguments.json {
        return print(&format!("{:#}\n", as_json(&report)));
    }
    print(&as_text(&report))
}

/// The names to be timed, in the order of the catalogs.
fn chosen(wanted: &[String]) -> Result<Vec<&'static str>, Usage> {
    let rules = aggregators::CATALOG.entries.iter().map(|entry| entry.name);
    let before = preaggregators::CATALOG.entries.iter().map(|entry| entry.name);
    let names: Vec<&str> = rules.chain(before).collect();
    if let Some(wrong) = wanted.iter().find(|wanted| !names.contains(&wanted.as_str())) {
        let help = did_you_mean(wrong, names.iter().copied())
            .unwrap_or_else(|| format!("there are: {}", names.join(", ")));
        return Err(Usage(format!("no rule or pre-aggregator is called `{wrong}`; {help}")));
    }
    let taken = |name: &&str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    Ok(names.into_iter().filter(taken).collect())
}

/// Refuses rows that memory does not hold: a rule needs them, as much again, and distances.
fn fits(size: Size) -> Result<(), Usage> {
    let (rows, columns) = (size.rows as u128, size.columns as u128);
    let needed = (2 * rows * columns * 4 + 2 * rows * rows * 8).max(bandwidth::BYTES as u128);
    let Some(free) = free_memory() else { return Ok(()) };
    if needed <= u128::from(free) {
        return Ok(());
    }
    let gigabytes = |bytes: u128| bytes as f64 / 1e9;
    Err(Usage(format!(
        "{rows} x {columns} needs {:.1} GB of memory and {:.1} GB are free; take fewer --rows or \
         --columns",
        gigabytes(needed),
        gigabytes(free.into()),
    )))
}

/// Bytes that can be had without swapping, where the system says so.
#[allow(clippy::disallowed_methods, reason = "the command line may ask the system")]
fn free_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_both_catalogs() {
        let wanted = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            chosen(&names).map_err(|error| error.0)
        };
        let both = wanted(&["nearest_neighbour_mixing", "median"]);
        assert_eq!(both, Ok(vec!["median", "nearest_neighbour_mixing"]));
        assert!(wanted(&[]).unwrap().contains(&"krum"));
        let error = wanted(&["meidan"]).unwrap_err();
        let text = "no rule or pre-aggregator is called `meidan`; did you mean `median`?";
        assert_eq!(error, text);
    }

    #[test]
    fn rows_that_cannot_be_held_are_refused() {
        assert_eq!(fits(Size { rows: 3, columns: 4 }), Ok(()));
        if free_memory().is_some() {
            let error = fits(Size { rows: 100_000, columns: 1_000_000_000 }).unwrap_err();
            assert!(error.0.starts_with("100000 x 1000000000 needs 800160.0 GB"), "{}", error.0);
        }
    }

    #[test]
    fn every_rule_is_timed_or_says_why_not() {
        let size = Size { rows: 10, columns: 40 };
        let rules = time(&chosen(&[]).unwrap(), size, Values::Nan, 0.0).unwrap();
        let report = Report { size, threads: 1, memory_gb_per_second: 10.0, rules };
        let json = as_json(&report);
        for rule in json["rules"].as_array().unwrap() {
            let seen = |key: &str| rule[key].is_number();
            let timed = seen("milliseconds") && seen("gb_per_second");
            assert!(timed && seen("share_of_memory_bandwidth") || rule["reason"].is_string());
        }
        let median = json["rules"].as_array().unwrap().iter().find(|rule| rule["rule"] == "median");
        assert!(median.unwrap()["reason"].is_null());
        assert_eq!(json["memory_gb_per_second"], 10.0);
    }
}
