//! What liars can do to each rule, searched for, against what is proven.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "tests read and write what is recorded")]

use byzlab::aggregators::CATALOG;
use byzlab::analyses::robustness::{Bounds, Search, lower_bound, worst_case};
use byzlab::catalog::Choice;

/// Rows of every search.
const ROWS: usize = 11;

/// By how much a search may miss the worst case: it proves nothing by not finding more.
const MISSED: f64 = 0.1;

fn kappa(choice: &Choice, byzantine: usize) -> (f64, Bounds) {
    let member = CATALOG.build(choice).unwrap();
    let search = Search { rows: ROWS, byzantine, evaluations: 6000, seed: 1 };
    let worst = worst_case(&*member.value, search).unwrap();
    (worst.kappa, Bounds::of(member.name, &*member.value, &member.parameters, ROWS, byzantine))
}

/// Holds a rule with these parameters to its bounds for every f that it admits.
fn hold(name: &str, parameters: &str) {
    let choice = Choice::with(name, parameters).unwrap();
    let rule = CATALOG.build(&choice).unwrap().value;
    let mut last = 0.0;
    for byzantine in (1..ROWS).take_while(|&f| rule.admits(ROWS, f).is_ok()) {
        let (found, bounds) = kappa(&choice, byzantine);
        let what = format!("{name} {parameters} with f = {byzantine}: found {found}");
        let least = lower_bound(ROWS, byzantine);
        assert!(found >= (1.0 - MISSED) * least, "{what}, below the {least} of every rule");
        assert!(found >= (1.0 - MISSED) * last, "{what}, less than {last} with one liar fewer");
        for bound in [bounds.published, bounds.sharper].into_iter().flatten() {
            assert!(found <= bound * (1.0 + 1e-4), "{what}, above the bound {bound}");
        }
        if bounds.exact {
            let exact = bounds.sharper.unwrap();
            assert!(found >= (1.0 - MISSED) * exact, "{what}, and {exact} can be attained");
        }
        last = found;
    }
}

#[test]
fn every_robust_rule_stays_under_its_bounds_and_gets_no_better_with_more_liars() {
    for entry in CATALOG.entries.iter().filter(|entry| entry.claims.robust) {
        hold(entry.name, "");
    }
}

#[test]
fn so_do_the_conventions_that_have_bounds() {
    hold("median", "middle = \"lower\"");
    hold("krum", "neighbours = \"inclusive\"\ntolerance = \"majority\"");
    hold("multi_krum", "neighbours = \"inclusive\"\ntolerance = \"majority\"");
}

#[test]
fn rules_that_promise_nothing_have_no_bound() {
    for name in ["mean", "comparative_gradient_elimination", "nearest_to_own"] {
        let (found, bounds) = kappa(&Choice::named(name), 2);
        assert!(found > 100.0, "{name}: {found}");
        assert_eq!(bounds, Bounds::default());
    }
}

/// What was found for every rule: the README's table carries it.
const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/robustness.csv");

/// The same for one rule by its defaults, `-` where it refuses: 11 rows, 2 of them liars, 20 000
/// inputs, seed 1.
fn recorded(name: &str) -> String {
    let rule = CATALOG.build(&Choice::named(name)).unwrap().value;
    let search = Search { rows: ROWS, byzantine: 2, evaluations: 20_000, seed: 1 };
    match worst_case(&*rule, search) {
        Ok(worst) => format!("{:.4e}", worst.kappa),
        Err(_) => "-".to_owned(),
    }
}

/// `BYZLAB_BLESS=1 cargo test --test robustness` writes the record.
#[test]
fn what_is_recorded_is_what_is_found() {
    let names: Vec<&str> = CATALOG.entries.iter().map(|entry| entry.name).collect();
    if std::env::var_os("BYZLAB_BLESS").is_some() {
        let lines = names.iter().map(|name| format!("{name},{}\n", recorded(name)));
        let text = format!("rule,kappa\n{}", lines.collect::<String>());
        std::fs::write(RECORD, text).unwrap();
    }
    let text = std::fs::read_to_string(RECORD).unwrap();
    let lines: Vec<(&str, &str)> =
        text.lines().skip(1).map(|line| line.split_once(',').unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line.0).collect::<Vec<_>>(), names);
    for name in ["median", "trimmed_mean", "krum", "multi_krum", "bulyan", "fltrust"] {
        let kappa = lines.iter().find(|line| line.0 == name).unwrap().1;
        assert_eq!(recorded(name), kappa, "{name}");
    }
}
