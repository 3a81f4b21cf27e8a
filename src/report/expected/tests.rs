//! Comparisons by hand.

use super::*;

const HEAD: &str = "rule,attack,metric,over,expected,low,high,source\n";

fn row(rule: &str, attack: &str, seed: u64, accuracies: &[f64]) -> ResultRow {
    let swept = [("rule", rule), ("attack", attack)];
    ResultRow {
        config: "experiment.toml".to_owned(),
        run_id: format!("{rule}-{attack}-{seed}"),
        seed,
        swept: swept.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
        rounds: 10 * accuracies.len() as u32,
        results_version: 2,
        commit: String::new(),
        cpu_features: String::new(),
        seconds: 1.0,
        final_digest: String::new(),
        curve: (1..).map(|index| 10 * index).zip(accuracies.iter().copied()).collect(),
        averaged: (1..).map(|index| 10 * index).zip(accuracies.iter().map(|it| it / 2.0)).collect(),
    }
}

fn results() -> Results {
    Results {
        rows: vec![
            row("krum", "flip", 1, &[0.5, 0.25]),
            row("krum", "flip", 2, &[0.25, 0.75]),
            row("krum", "none", 1, &[0.5, 1.0]),
            row("mean", "flip", 1, &[0.125, 0.0]),
            row("mean", "none", 1, &[0.75, 1.0]),
        ],
    }
}

fn only(line: &str) -> Comparison {
    let expectations = read(&format!("{HEAD}{line}\n")).unwrap();
    compare(&expectations, &results()).unwrap().remove(0)
}

#[test]
fn one_cell_is_the_mean_of_its_seeds() {
    // Means by round: 0.375 and 0.5.
    let last = only("krum,flip,final,,0.45,0.4,0.6,Table 1");
    assert_eq!((last.ours, last.seeds, last.place()), (Some(0.5), 2, Place::Inside));
    assert!((last.difference().unwrap() - 0.05).abs() < 1e-12);
    assert_eq!(only("krum,flip,maximum,,0.5,0.5,0.5,x").place(), Place::Inside);
    assert_eq!(only("krum,flip,last_five,,,0.44,,x").ours, Some(0.4375));
    assert_eq!(only("krum,flip,averaged_model,,,0,1,x").ours, Some(0.25));
    let outside = only("krum,flip,last_five,,0.5,0.45,,x");
    assert_eq!(outside.place(), Place::Outside);
    assert_eq!(only("krum,flip,final,,,,0.4,x").place(), Place::Outside);
}

#[test]
fn several_cells_are_folded_over_a_key() {
    assert_eq!(only("krum,,final,minimum over attack,,0,1,x").ours, Some(0.5));
    assert_eq!(only("krum,,final,maximum over attack,,0,1,x").ours, Some(1.0));
    let mean = only("krum,,final,mean over attack,,0,1,x");
    assert_eq!((mean.ours, mean.cells, mean.seeds), (Some(0.75), 2, 1));
    let gain = only(",flip,final,krum minus mean over rule,,0,,x");
    assert_eq!((gain.ours, gain.place(), gain.difference()), (Some(0.5), Place::Inside, None));
    assert_eq!(only(",flip,final,mean minus krum over rule,,0,,x").place(), Place::Outside);
}

#[test]
fn what_has_not_been_run_is_missing() {
    assert_eq!(only("median,flip,final,,0.5,0.4,0.6,x").place(), Place::Missing);
    assert_eq!(only(",flip,final,krum minus median over rule,,0,,x").place(), Place::Missing);
    assert_eq!(only("median,,final,minimum over attack,,0,1,x").place(), Place::Missing);
}

#[test]
fn what_is_wrong_names_the_line_or_the_cells() {
    let wrong = |line: &str| read(&format!("{HEAD}{line}\n")).unwrap_err();
    assert_eq!(
        wrong("krum,flip,best,,0.5,0.4,0.6,x"),
        "line 2: `metric` is `best`; there are final, maximum, last_five, averaged_model"
    );
    assert_eq!(
        wrong("krum,flip,final,,half,0.4,0.6,x"),
        "line 2: `expected` is `half`, which is no number"
    );
    assert!(wrong("krum,flip,final,worst,0.5,0.4,0.6,x").contains("`over` is `worst`"));
    assert!(wrong("krum,flip,final,,0.5,,,x").contains("nothing could be outside"));
    assert_eq!(read("rule,metric\n").unwrap_err(), "line 1: there is no column `over`");
    let two = read(&format!("{HEAD}krum,,final,,0.5,0,1,x\n")).unwrap();
    assert_eq!(
        compare(&two, &results()).unwrap_err(),
        "`krum` names more than one cell, of the runs krum-flip-1 and krum-none-1: name more keys"
    );
}

#[test]
fn the_table_fits_eighty_columns_and_counts() {
    let long = "{multi_krum=(keep=25, distance=plain, neighbours=inclusive, tolerance=majority)}";
    let text = format!(
        "{HEAD}krum,flip,final,,0.45,0.4,0.6,Table 1\nmean,flip,final,,0.5,0.4,0.6,Table 1\n\
         \"{long}\",flip,final,,0.5,0.4,,Table 1\n,flip,final,krum minus mean over rule,,-0.02,,x\n"
    );
    let comparisons = compare(&read(&text).unwrap(), &results()).unwrap();
    let shown = render("paper", &comparisons);
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    for part in ["50.0", "45.0", "+5.0", "40.0..60.0", "inside", "OUTSIDE", "not run", "from -2.0"]
    {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(shown.contains("2 of 4 inside the band, 1 outside, 1 not run"), "{shown}");
}
