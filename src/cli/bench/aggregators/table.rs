//! What was measured, as a table and as JSON.

use serde_json::{Value, json};

use super::Report;
use super::rounds::Timed;

/// The report as JSON: what could not be timed is null, with a reason.
pub(super) fn as_json(report: &Report) -> Value {
    let rules: Vec<Value> = report.rules.iter().map(|timed| rule(report, timed)).collect();
    json!({
        "rows": report.size.rows,
        "columns": report.size.columns,
        "byzantine": report.size.byzantine(),
        "threads": report.threads,
        "memory_gb_per_second": report.memory_gb_per_second,
        "rules": rules,
    })
}

fn rule(report: &Report, timed: &Timed) -> Value {
    match &timed.seconds {
        Ok(seconds) => {
            let speed = gb_per_second(report, *seconds);
            json!({
                "rule": timed.rule,
                "milliseconds": 1e3 * seconds,
                "gb_per_second": speed,
                "share_of_memory_bandwidth": speed / report.memory_gb_per_second,
            })
        }
        Err(reason) => json!({
            "rule": timed.rule,
            "milliseconds": null,
            "gb_per_second": null,
            "share_of_memory_bandwidth": null,
            "reason": reason,
        }),
    }
}

/// A line for each rule.
pub(super) fn as_text(report: &Report) -> String {
    let (size, threads) = (report.size, report.threads);
    let plural = if threads == 1 { "thread" } else { "threads" };
    let mut text = format!(
        "{} x {}, f = {}, {threads} {plural}; memory is read at {:.1} GB/s\n\n",
        size.rows,
        size.columns,
        size.byzantine(),
        report.memory_gb_per_second,
    );
    let width = report.rules.iter().map(|timed| timed.rule.len()).max().unwrap_or(0);
    text +=
        &format!("  {:width$}  {:>12}  {:>8}  {:>9}\n", "rule", "milliseconds", "GB/s", "share");
    for timed in &report.rules {
        let name = timed.rule;
        text += &match &timed.seconds {
            Ok(seconds) => {
                let speed = gb_per_second(report, *seconds);
                let share = 100.0 * speed / report.memory_gb_per_second;
                let milliseconds = 1e3 * seconds;
                format!("  {name:width$}  {milliseconds:12.3}  {speed:8.2}  {share:7.0} %\n")
            }
            Err(reason) => format!("  {name:width$}  {:>12}  {reason}\n", "-"),
        };
    }
    text
}

fn gb_per_second(report: &Report, seconds: f64) -> f64 {
    report.size.bytes() as f64 / seconds / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::aggregators::rounds::Size;

    fn report() -> Report {
        let timed = |rule, seconds| Timed { rule, seconds };
        Report {
            size: Size { rows: 10, columns: 1_000_000 },
            threads: 1,
            memory_gb_per_second: 16.0,
            rules: vec![timed("mean", Ok(0.005)), timed("bulyan", Err("too few".to_owned()))],
        }
    }

    #[test]
    fn figures_by_hand() {
        let json = as_json(&report());
        assert_eq!(json["rules"][0]["milliseconds"], 5.0);
        assert_eq!(json["rules"][0]["gb_per_second"], 8.0);
        assert_eq!(json["rules"][0]["share_of_memory_bandwidth"], 0.5);
        assert!(json["rules"][1]["milliseconds"].is_null());
        assert_eq!(json["rules"][1]["reason"], "too few");
    }

    #[test]
    fn the_table_holds_the_same() {
        let text = as_text(&report());
        assert!(text.starts_with("10 x 1000000, f = 2, 1 thread; memory is read at 16.0 GB/s\n"));
        assert!(text.contains("  mean           5.000      8.00       50 %\n"), "{text}");
        assert!(text.contains("  bulyan             -  too few\n"), "{text}");
    }
}
