//! What is said about experiment files that are wrong, and what is read from one that is right.

#![allow(clippy::disallowed_methods, reason = "bounds on time are part of what is tested")]

use std::fmt::Write as _;
use std::time::Instant;

use byzlab::attacks::Knowledge;
use byzlab::catalog::Choice;
use byzlab::experiment::plan::Plan;
use byzlab::experiment::source::{BYTES_MAX, Source};
use byzlab::experiment::sweep::{Cell, Sweep, label};
use insta::assert_snapshot;

/// A valid file, to be spoilt by each test.
const SMALL: &str = r#"schema = 1
name = "small"

[data]
set = "digits"

[model.softmax]

[training]
rounds = 150
learning_rate = 0.3

[system.central]
workers = 13

[aggregation]
byzantine = 3
rule = { trimmed_mean = {} }
"#;

/// The example of the README.
const QUICKSTART: &str = r#"#:schema ../byzlab.schema.json
schema = 1
name = "quickstart"
question = "Which rule still learns when 3 of 13 workers lie?"
seeds = [1, 2, 3]

[data]
set = { digits = { train = 10000, test = 2000 } }
partition = { gamma_similarity = { gamma = 0.5 } }

[model.softmax]

[training]
rounds = 150
batch = 25
learning_rate = 0.3
momentum = 0.9
local_steps = 1

[system.central]
workers = 13

[aggregation]
byzantine = 3
before = [{ nearest_neighbour_mixing = {} }]
rule = { trimmed_mean = {} }

[threat]
corrupted = 3
placement = { first = {} }
knowledge = "omniscient"
attack = { inner_product = { epsilon = 4.0 } }
poison = { label_flip = {} }

[faults]
absences = 0.05

[evaluation]
every = 10

[sweep]
"aggregation.rule" = [{ mean = {} }, { median = {} }, { krum = {} }]
"threat.attack" = ["none", { inner_product = { epsilon = 4.0 } }]
"#;

fn source(text: &str) -> Source {
    Source::new("test.toml", text.as_bytes()).expect("a small text")
}

fn cells(source: &Source) -> Vec<Cell> {
    Sweep::read(source).unwrap_or_else(|errors| panic!("{}", source.render_all(&errors, false)))
}

fn complaint_of(source: &Source) -> String {
    let errors = Sweep::read(source).expect_err("the file is wrong");
    source.render_all(&errors, false)
}

fn complaint(text: &str) -> String {
    complaint_of(&source(text))
}

/// The small file with one passage changed.
fn spoilt(right: &str, wrong: &str) -> String {
    assert!(SMALL.contains(right), "{right} is not in the file");
    SMALL.replace(right, wrong)
}

fn swept(axes: &str) -> String {
    format!("{SMALL}\n[sweep]\n{axes}\n")
}

fn name(choice: Option<&Choice>) -> &str {
    choice.map_or("none", |choice| choice.name.as_str())
}

#[test]
fn the_example_expands_to_its_cells() {
    let cells = cells(&source(QUICKSTART));
    assert_eq!(cells.len(), 3 * 2 * 3);
    let mut table = String::new();
    for cell in &cells {
        let swept: Vec<String> =
            cell.swept.iter().map(|(key, value)| format!("{key}={}", label(value))).collect();
        writeln!(table, "{} seed={}", swept.join(" "), cell.seed).unwrap();
    }
    assert_snapshot!(table, @r"
    aggregation.rule=mean threat.attack=none seed=1
    aggregation.rule=mean threat.attack=none seed=2
    aggregation.rule=mean threat.attack=none seed=3
    aggregation.rule=mean threat.attack=inner_product(epsilon=4) seed=1
    aggregation.rule=mean threat.attack=inner_product(epsilon=4) seed=2
    aggregation.rule=mean threat.attack=inner_product(epsilon=4) seed=3
    aggregation.rule=median threat.attack=none seed=1
    aggregation.rule=median threat.attack=none seed=2
    aggregation.rule=median threat.attack=none seed=3
    aggregation.rule=median threat.attack=inner_product(epsilon=4) seed=1
    aggregation.rule=median threat.attack=inner_product(epsilon=4) seed=2
    aggregation.rule=median threat.attack=inner_product(epsilon=4) seed=3
    aggregation.rule=krum threat.attack=none seed=1
    aggregation.rule=krum threat.attack=none seed=2
    aggregation.rule=krum threat.attack=none seed=3
    aggregation.rule=krum threat.attack=inner_product(epsilon=4) seed=1
    aggregation.rule=krum threat.attack=inner_product(epsilon=4) seed=2
    aggregation.rule=krum threat.attack=inner_product(epsilon=4) seed=3
    ");
    let config = &cells[3].config;
    assert_eq!((config.name.as_str(), config.seeds.as_slice()), ("quickstart", &[1, 2, 3][..]));
    assert_eq!(name(config.aggregation.rule.as_ref()), "mean");
    assert_eq!(name(config.threat.attack.as_ref()), "inner_product");
    assert_eq!(name(config.threat.poison.as_ref()), "label_flip");
    assert_eq!(config.aggregation.before[0].name, "nearest_neighbour_mixing");
    assert_eq!((config.training.rounds, config.training.momentum), (150, 0.9));
    assert_eq!(config.faults.absences, 0.05);
}

#[test]
fn defaults() {
    let config = cells(&source(SMALL)).remove(0).config;
    assert_eq!(config.seeds, [1]);
    assert_eq!(config.question, None);
    assert_eq!(config.data.partition.name, "iid");
    assert_eq!((config.training.batch, config.training.local_steps), (25, 1));
    assert_eq!((config.training.momentum, config.training.dampening), (0.0, None));
    assert_eq!(config.training.weight_decay, 0.0);
    assert_eq!((config.threat.corrupted, config.threat.knowledge), (0, Knowledge::Omniscient));
    assert_eq!(config.threat.placement.name, "first");
    assert!(config.threat.attack.is_none() && config.threat.poison.is_none());
    assert!(config.aggregation.before.is_empty() && config.aggregation.like.is_empty());
    assert_eq!((config.faults.absences, config.evaluation.every), (0.0, 10));
    let without_system = spoilt("[system.central]\nworkers = 13\n", "");
    assert_eq!(cells(&source(&without_system))[0].config.system.name, "central");
}

#[test]
fn places_of_values_are_kept() {
    let source = source(SMALL);
    let config = cells(&source).remove(0).config;
    let at = |key: &str| config.span(key).map(|span| &SMALL[span]);
    assert_eq!(at("aggregation.byzantine"), Some("3"));
    assert_eq!(at("aggregation.rule"), Some("{ trimmed_mean = {} }"));
    assert_eq!(at("training"), Some("[training]"));
    assert_eq!(at("threat.corrupted"), None);
    assert_eq!(&SMALL[config.system.span.clone()], "central");
}

#[test]
fn all_spellings_of_a_choice() {
    for (written, rule) in [
        ("rule = \"krum\"", "krum"),
        ("rule = { krum = { keep = 2 } }", "krum"),
        ("[aggregation.rule.krum]\nkeep = 2", "krum"),
        ("like = \"byzfl.Krum\"", "none"),
        ("like = { \"byzfl.Krum\" = { f = 3 } }", "none"),
        ("like = [\"byzfl.NNM\", { \"byzfl.TrMean\" = { f = 3 } }]", "none"),
    ] {
        let text = spoilt("rule = { trimmed_mean = {} }", written);
        let aggregation = cells(&source(&text)).remove(0).config.aggregation;
        assert_eq!(name(aggregation.rule.as_ref()), rule, "{written}");
        assert_eq!(aggregation.like.is_empty(), rule == "krum", "{written}");
    }
}

#[test]
fn misspelt_section() {
    assert_snapshot!(complaint(&spoilt("[training]", "[trainig]").replace("rounds = 150", "rounds = 0")), @r"
    error: no key is called `trainig`
     --> test.toml:9:2
      |
    9 | [trainig]
      |  ^^^^^^^
      |
      = help: did you mean `training`?

    error: `training.rounds` is 0 and must be from 1 to 1000000
      --> test.toml:10:10
       |
    10 | rounds = 0
       |          ^
    ");
}

#[test]
fn misspelt_key() {
    assert_snapshot!(complaint(&spoilt("rounds = 150", "rounds = 150\nmomentun = 0.9")), @r"
    error: no key is called `training.momentun`
      --> test.toml:11:1
       |
    11 | momentun = 0.9
       | ^^^^^^^^
       |
       = help: did you mean `momentum`?
    ");
}

#[test]
fn quoted_dots() {
    let text = format!("\"aggregation.rule\" = \"krum\"\n\"training.rounds\" = \"x\"\n{SMALL}");
    assert_snapshot!(complaint(&text), @r#"
    error: no key is called `"aggregation.rule"`
     --> test.toml:1:1
      |
    1 | "aggregation.rule" = "krum"
      | ^^^^^^^^^^^^^^^^^^
      |
      = help: dots divide a key where it has no quotes

    error: no key is called `"training.rounds"`
     --> test.toml:2:1
      |
    2 | "training.rounds" = "x"
      | ^^^^^^^^^^^^^^^^^
      |
      = help: dots divide a key where it has no quotes
    "#);
}

#[test]
fn wrong_types() {
    let text = spoilt("rounds = 150", "rounds = \"many\"").replace("= 3", "= -3");
    assert_snapshot!(complaint(&text), @r#"
    error: `training.rounds`: invalid type: string "many", expected a whole number, 0 or more
      --> test.toml:10:10
       |
    10 | rounds = "many"
       |          ^^^^^^

    error: `aggregation.byzantine`: invalid value: integer `-3`, expected a whole number, 0 or more
      --> test.toml:17:13
       |
    17 | byzantine = -3
       |             ^^
    "#);
}

#[test]
fn misspelt_word() {
    assert_snapshot!(complaint(&format!("{SMALL}\n[threat]\nknowledge = \"omnicient\"\n")), @r#"
    error: `threat.knowledge` cannot be `omnicient`
      --> test.toml:21:13
       |
    21 | knowledge = "omnicient"
       |             ^^^^^^^^^^^
       |
       = help: did you mean `omniscient`?
    "#);
}

#[test]
fn choices_that_are_none() {
    let text = spoilt("{ trimmed_mean = {} }", "{ krum = {}, mean = {} }")
        .replace("set = \"digits\"", "set = 3")
        + "\n[threat]\nattack = { none = { epsilon = 4 } }\n";
    assert_snapshot!(complaint(&text), @r"
    error: `data.set`: expected a name or a table with one name, found integer
     --> test.toml:5:7
      |
    5 | set = 3
      |       ^

    error: `aggregation.rule`: expected one name with its parameters, found 2
      --> test.toml:18:8
       |
    18 | rule = { krum = {}, mean = {} }
       |        ^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: write a name, or { name = { parameter = value } }

    error: `threat.attack`: `none` has no parameters
      --> test.toml:21:21
       |
    21 | attack = { none = { epsilon = 4 } }
       |                     ^^^^^^^
    ");
}

#[test]
fn numbers_out_of_range() {
    let text = spoilt("rounds = 150", "rounds = 0\nmomentum = 1\nbatch = 5_000_000_000")
        .replace("0.3", "nan")
        .replace("name = \"small\"", "name = \"../small\"\nseeds = [1, 2, 1]")
        + "\n[faults]\nabsences = -0.5\n\n[evaluation]\nevery = 0\n";
    assert_snapshot!(complaint(&text), @r#"
    error: `name` is "../small", which cannot name a folder everywhere
     --> test.toml:2:8
      |
    2 | name = "../small"
      |        ^^^^^^^^^^
      |
      = help: use 1 to 64 letters, digits, `_` and `-`

    error: `seeds` holds 1 twice
     --> test.toml:3:9
      |
    3 | seeds = [1, 2, 1]
      |         ^^^^^^^^^
      |
      = help: the same seed gives the same run: keep one

    error: `training.rounds` is 0 and must be from 1 to 1000000
      --> test.toml:11:10
       |
    11 | rounds = 0
       |          ^

    error: `training.momentum` is 1 and must be from 0 to below 1
      --> test.toml:12:12
       |
    12 | momentum = 1
       |            ^

    error: `training.batch` is 5000000000 and must be from 1 to 1000000
      --> test.toml:13:9
       |
    13 | batch = 5_000_000_000
       |         ^^^^^^^^^^^^^

    error: `training.learning_rate` is NaN and must be above 0
      --> test.toml:14:17
       |
    14 | learning_rate = nan
       |                 ^^^

    error: `faults.absences` is -0.5 and must be from 0 to below 1
      --> test.toml:24:12
       |
    24 | absences = -0.5
       |            ^^^^

    error: `evaluation.every` is 0 and must be 1 or more
      --> test.toml:27:9
       |
    27 | every = 0
       |         ^
    "#);
}

#[test]
fn missing_section_and_key() {
    let text = spoilt("[data]\nset = \"digits\"\n", "").replace("learning_rate = 0.3\n", "");
    assert_snapshot!(complaint(&text), @r#"
    error: the section [data] is missing
    --> test.toml
     = help: for example: data = { set = "digits" }

    error: `training.learning_rate` is missing
     --> test.toml:7:1
      |
    7 | [training]
      | ^^^^^^^^^^
      |
      = help: for example: learning_rate = 0.3
    "#);
}

#[test]
fn rule_and_like() {
    assert_snapshot!(complaint(&format!("{SMALL}like = \"byzfl.Krum\"\n")), @r#"
    error: `aggregation.rule` and `aggregation.like` cannot stand together
      --> test.toml:19:8
       |
    19 | like = "byzfl.Krum"
       |        ^^^^^^^^^^^^
       |
       = help: keep one of them
    "#);
}

#[test]
fn neither_rule_nor_like() {
    assert_snapshot!(complaint(&spoilt("rule = { trimmed_mean = {} }\n", "")), @r#"
    error: [aggregation] names no rule
      --> test.toml:16:1
       |
    16 | [aggregation]
       | ^^^^^^^^^^^^^
       |
       = help: for example: rule = "median"
    "#);
}

#[test]
fn bad_syntax() {
    assert_snapshot!(complaint(&spoilt("rounds = 150", "rounds = 150 200")), @r"
    error: string values must be quoted, expected literal string
      --> test.toml:10:10
       |
    10 | rounds = 150 200
       |          ^^^^^^^
    ");
}

#[test]
fn duplicate_key() {
    assert_snapshot!(complaint(&spoilt("rounds = 150", "rounds = 150\nrounds = 200")), @r"
    error: duplicate key
      --> test.toml:11:1
       |
    11 | rounds = 200
       | ^^^^^^
    ");
}

#[test]
fn empty_file() {
    assert_snapshot!(complaint(""), @r#"
    error: `schema` is missing
    --> test.toml
     = help: for example: schema = 1

    error: `name` is missing
    --> test.toml
     = help: for example: name = "quickstart"

    error: the section [data] is missing
    --> test.toml
     = help: for example: data = { set = "digits" }

    error: `model` is missing
    --> test.toml
     = help: for example: model = "softmax"

    error: the section [training] is missing
    --> test.toml
     = help: for example: training = { rounds = 150, learning_rate = 0.3 }

    error: the section [aggregation] is missing
    --> test.toml
     = help: for example: aggregation = { rule = "median" }
    "#);
}

#[test]
fn bad_axes() {
    let axes = "\"agregation.rule\" = [\"krum\"]\n\"training.batch\" = []\n\
        \"training.momentum\" = 0.9\nseeds = [1, 2]\n\"model\" = [\"softmax\"]\n\
        \"model.mlp.hidden\" = [[128]]";
    assert_snapshot!(complaint(&swept(axes)), @r#"
    error: no key is called `agregation.rule`
      --> test.toml:21:1
       |
    21 | "agregation.rule" = ["krum"]
       | ^^^^^^^^^^^^^^^^^
       |
       = help: did you mean `aggregation.rule`?

    error: the sweep over `training.batch` has no values
      --> test.toml:22:20
       |
    22 | "training.batch" = []
       |                    ^^
       |
       = help: give it some, or take the line out

    error: `training.momentum`: expected an array of values, found float
      --> test.toml:23:23
       |
    23 | "training.momentum" = 0.9
       |                       ^^^
       |
       = help: for example: "aggregation.rule" = ["mean", "median"]

    error: `seeds` cannot be swept
      --> test.toml:24:1
       |
    24 | seeds = [1, 2]
       | ^^^^^
       |
       = help: it belongs to the whole experiment, which is run with each of its `seeds`

    error: `model.mlp.hidden` cannot be swept beside `model`: one holds the other
      --> test.toml:26:1
       |
    26 | "model.mlp.hidden" = [[128]]
       | ^^^^^^^^^^^^^^^^^^
       |
       = help: take one of them out, or sweep over whole values
    "#);
}

#[test]
fn swept_values_are_wrong_once() {
    let axes = "\"training.momentum\" = [0.5, 2, \"high\"]\n\"training.batch\" = [1, 2, 3]";
    assert_snapshot!(complaint(&swept(axes)), @r#"
    error: `training.momentum` is 2 and must be from 0 to below 1
      --> test.toml:21:29
       |
    21 | "training.momentum" = [0.5, 2, "high"]
       |                             ^

    error: `training.momentum`: invalid type: string "high", expected a number
      --> test.toml:21:32
       |
    21 | "training.momentum" = [0.5, 2, "high"]
       |                                ^^^^^^
    "#);
}

#[test]
fn too_many_cells() {
    let values = vec!["1"; 400].join(", ");
    let axes = format!("\"training.batch\" = [{values}]\n\"training.rounds\" = [{values}]");
    let complaint = complaint(&swept(&axes));
    assert!(complaint.contains("error: 400 x 400 x 1 (seeds) are more than 100000 runs"));
    assert!(complaint.contains("test.toml:21:1"), "{complaint}");
}

#[test]
fn axes_vary_in_the_order_of_the_text() {
    let axes = "\"training.momentum\" = [0.0, 0.5]\n\"aggregation.byzantine\" = [1, 2]\n\
        [sweep.model.mlp]\nhidden = [[8], [16, 8]]";
    let source = source(&swept(axes)).seeds(&[7, 5]);
    let labels: Vec<String> = cells(&source)
        .iter()
        .map(|cell| {
            let labels: Vec<String> = cell.swept.iter().map(|(_, value)| label(value)).collect();
            format!("{} {}", labels.join(" "), cell.seed)
        })
        .collect();
    assert_eq!(labels.len(), 2 * 2 * 2 * 2);
    assert_eq!(
        labels[..5],
        ["0 1 [8] 7", "0 1 [8] 5", "0 1 [16, 8] 7", "0 1 [16, 8] 5", "0 2 [8] 7"]
    );
    let config = &cells(&source)[2].config;
    assert_eq!(config.model.name, "mlp", "a swept parameter chooses its member");
    assert_eq!(source.text_at(config.span("aggregation.byzantine").unwrap()), "1");
}

#[test]
fn sweeping_a_rule_replaces_like_and_the_reverse() {
    let like = spoilt("rule = { trimmed_mean = {} }", "like = \"byzfl.Krum\"");
    let text = format!("{like}\n[sweep]\n\"aggregation.rule\" = [\"krum\", {{ median = {{}} }}]\n");
    for (cell, rule) in cells(&source(&text)).iter().zip(["krum", "median"]) {
        assert_eq!(name(cell.config.aggregation.rule.as_ref()), rule);
        assert!(cell.config.aggregation.like.is_empty());
    }
    let text = swept("\"aggregation.like\" = [\"byzfl.Krum\", [\"byzfl.NNM\", \"byzfl.Median\"]]");
    for (cell, parts) in cells(&source(&text)).iter().zip([1, 2]) {
        assert!(cell.config.aggregation.rule.is_none());
        assert_eq!(cell.config.aggregation.like.len(), parts);
    }
}

#[test]
fn overrides_come_before_the_sweep() {
    let source = source(QUICKSTART)
        .set("training.rounds = 5")
        .set("aggregation.rule=krum")
        .set("threat.attack={\"inner_product\": {\"epsilon\": 2}}")
        .set("data.partition.dirichlet.alpha=0.3")
        .seeds(&[9]);
    let cells = cells(&source);
    assert_eq!(cells.len(), 1, "no axis is left, and one seed");
    let config = &cells[0].config;
    assert_eq!((cells[0].seed, config.training.rounds), (9, 5));
    assert_eq!(name(config.aggregation.rule.as_ref()), "krum");
    assert_eq!(name(config.threat.attack.as_ref()), "inner_product");
    assert_eq!(config.data.partition.name, "dirichlet");
}

#[test]
fn bad_overrides() {
    let source = source(QUICKSTART)
        .set("training.rounds")
        .set("trainig.rounds=3")
        .set("training.batch=")
        .set("threat.attack={ inner_product = 4")
        .set("training.batch.size=4");
    assert_snapshot!(complaint_of(&source), @r"
    error: `training.rounds` gives no value
     --> --set:1:1
      |
    1 | training.rounds
      | ^^^^^^^^^^^^^^^
      |
      = help: write --set key=value, as in --set training.rounds=50

    error: no key is called `trainig.rounds`
     --> --set:1:1
      |
    1 | trainig.rounds=3
      | ^^^^^^^^^^^^^^
      |
      = help: did you mean `training.rounds`?

    error: no value is given
     --> --set:1:1
      |
    1 | training.batch=
      | ^^^^^^^^^^^^^^^
      |
      = help: write --set key=value

    error: unclosed inline table, expected `}`
     --> --set:1:34
      |
    1 | threat.attack={ inner_product = 4
      |                                  ^
      |
      = help: the value is read as TOML, or else as JSON

    error: no key is called `training.batch.size`
     --> --set:1:1
      |
    1 | training.batch.size=4
      | ^^^^^^^^^^^^^^^^^^^
      |
      = help: did you mean `training.batch`?
    ");
}

#[test]
fn overridden_values_are_wrong_where_they_were_given() {
    let source = source(SMALL).set("training.rounds = 1O").seeds(&[3, 3]);
    assert_snapshot!(complaint_of(&source), @r#"
    error: `training.rounds`: invalid type: string "1O", expected a whole number, 0 or more
     --> --set:1:19
      |
    1 | training.rounds = 1O
      |                   ^^

    error: `seeds` holds 3 twice
     --> --seeds:1:9
      |
    1 | seeds = [3, 3]
      |         ^^^^^^
      |
      = help: the same seed gives the same run: keep one
    "#);
}

#[test]
fn an_override_that_the_sweep_would_undo() {
    let source = source(QUICKSTART).set("threat.attack.inner_product.epsilon=1");
    assert_snapshot!(complaint_of(&source), @r#"
    error: `threat.attack` cannot be swept beside `threat.attack.inner_product.epsilon`: one holds the other
      --> test.toml:43:1
       |
    43 | "threat.attack" = ["none", { inner_product = { epsilon = 4.0 } }]
       | ^^^^^^^^^^^^^^^
       |
       = help: take one of them out, or sweep over whole values
    "#);
}

#[test]
fn long_lines_are_cut() {
    let value = "9".repeat(5000);
    let text = spoilt("rounds = 150", &format!("rounds = 150 # é{value}\nbatch = \"{value}\""));
    let text = text.replace("schema = 1", &format!("question = \"{value}\"; schema = 1"));
    for line in complaint(&text).lines() {
        assert!(line.chars().count() < 300, "{line}");
    }
    let wide = spoilt("rounds = 150", &format!("x = [{}], y = 1", "1, ".repeat(300)));
    for line in complaint(&wide).lines() {
        assert!(line.chars().count() < 300, "{line}");
    }
}

#[test]
fn colours_only_when_asked_for() {
    let source = source("schema = 2");
    let errors = Sweep::read(&source).unwrap_err();
    assert!(source.render_all(&errors, true).contains('\u{1b}'));
    assert!(!source.render_all(&errors, false).contains('\u{1b}'));
}

#[test]
fn files_that_are_no_configs() {
    let garbage = vec![b'x'; 10 << 20];
    assert_snapshot!(Source::new("big.toml", &garbage).unwrap_err(), @"big.toml has 10485760 bytes, which is no config");
    let binary = b"schema = 1\nname = \xff\xfe\x00";
    assert_snapshot!(Source::new("model.npy", binary).unwrap_err(), @"model.npy:2: byte 0xff is not UTF-8 text");
    assert_snapshot!(complaint("\u{0}\u{1}\u{2}"), @r"
    error: key with no value, expected `=`
     --> test.toml:1:4
      |
    1 | ␀␁␂
      |    ^
    ");
}

#[test]
fn hostile_files_are_refused_soon() {
    let pieces =
        ["[", "x", "[[a]]\n", "{", "a.", "\"", "=", "\n", "[a]\n", "a=1\n", "'''", "\u{0}"];
    for piece in pieces {
        let text = piece.repeat((BYTES_MAX - 1) / piece.len());
        let start = Instant::now();
        let shown = complaint(&text);
        assert!(shown.len() < 20_000, "{piece:?} gives {} bytes", shown.len());
        assert!(start.elapsed().as_secs() < 20, "{piece:?} takes {:?}", start.elapsed());
    }
    let keys: Vec<String> = (0..60_000).map(|key| format!("k{key} = {key}")).collect();
    let start = Instant::now();
    assert_eq!(complaint(&keys.join("\n")).matches("error: ").count(), 20);
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn deep_nesting() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert_snapshot!(complaint(&spoilt("150", &deep)).lines().next().unwrap(), @"error: cannot recurse further; max recursion depth met");
    let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    complaint_of(&source(SMALL).set(&format!("threat.attack={deep}")));
}

#[test]
fn many_cells_are_read_soon() {
    let numbers: Vec<String> = (1..=300).map(|number| number.to_string()).collect();
    let values = numbers.join(", ");
    let axes = format!("\"training.batch\" = [{values}]\n\"training.rounds\" = [{values}]");
    let start = Instant::now();
    assert_eq!(cells(&source(&swept(&axes))).len(), 90_000);
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

/// What is wrong with the plan of a file's only cell.
fn plan_complaint(text: &str) -> String {
    let source = source(text);
    let cell = cells(&source).remove(0);
    let errors = Plan::check(&cell.config, cell.seed).expect_err("it cannot be run");
    source.render_all(&errors, false)
}

#[test]
fn momentum_at_the_server_and_drawn_workers_need_servers() {
    let asks = "momentum_at = \"server\"\nclients_per_round = 6\nlearning_rate = 0.3\n";
    let text = spoilt("learning_rate = 0.3\n", asks);
    let gossip = text.replace("[system.central]", "[system.gossip]");
    let complaint = plan_complaint(&gossip);
    for part in [
        "error: momentum at the server needs one, and gossip:complete has none",
        "11 | momentum_at = \"server\"",
        "help: peers keep their own: write momentum_at = \"worker\", or leave it out",
        "error: workers are drawn by servers that all share, and gossip:complete has none",
        "12 | clients_per_round = 6",
        "help: take system `central` or `replicated`, or leave clients_per_round out",
    ] {
        assert!(complaint.contains(part), "{part} in {complaint}");
    }
    let many = text.replace("= 6", "= 14");
    let complaint = plan_complaint(&many);
    assert!(
        complaint.contains("error: 14 of 13 workers cannot be drawn for a round"),
        "{complaint}"
    );
    // The rule must stand what is declared among those who are drawn.
    let complaint = plan_complaint(&text);
    assert!(complaint.contains("draw more clients_per_round (now 6)"), "{complaint}");
    let source = source(&text.replace("= 6", "= 7"));
    let cell = cells(&source).remove(0);
    let plan = Plan::check(&cell.config, cell.seed).expect("7 > 2 · 3");
    assert_eq!(plan.overdrawn(), Some(0.0), "nobody is corrupted");
}
