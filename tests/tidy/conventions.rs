//! `docs/conventions.md` is what the catalogs and the tables of other libraries come to on one
//! example: which name elsewhere is which member here, what its convention is in our parameters,
//! and how far the outcome is from our default's.

use byzlab::aggregators::{self, Aggregator as _, Context};
use byzlab::attacks::{self, View};
use byzlab::catalog::{Catalog, Choice};
use byzlab::like::{self, Entry, Kind, Resolved};
use byzlab::memory::Memory;
use byzlab::node::{NodeId, Round};
use byzlab::preaggregators::{self, Chain};
use byzlab::seed::{Purpose, run_stream};
use ndarray::{Array1, Array2, Axis};
use rand::RngExt;
use serde_json::{Map, Value};

use super::readme::BLESS;
use super::tree::{read, root};

/// Senders of the example.
const ROWS: usize = 11;

/// How many of them lie.
const LIARS: usize = 2;

/// Coordinates of the example.
const COLUMNS: usize = 6;

const PAGE: &str = "docs/conventions.md";

const OPENING: &str = "\
# Conventions

Papers leave things open, and libraries fill them in differently: whether Krum counts a row as its
own neighbour, whether a deviation is divided by n or n - 1, where an iteration starts. Here each
such choice is a parameter, and `like = \"LIBRARY.NAME\"` sets them to what that library does. This
page is made from these tables by `BYZLAB_BLESS=1 cargo test --test tidy`.

**Differs** is what a convention changes on one example: eleven updates of six coordinates, nine of
them drawn between 1 and 2 and two far off, with f = 2 declared and 1 to 11 samples; an attack speaks for the two and
reads the nine. It is the largest distance in any coordinate between what the library's convention
and our default come to, as a share of the default's largest coordinate. `0` is no difference in
single precision, and does not mean that there is none on other updates. Parameters are ours, those
alone that are not our default. Members that draw numbers draw the same ones for both.
";

/// Nine honest rows and two that are far off.
fn example() -> Array2<f32> {
    let mut rng = run_stream(1, Purpose::Attack);
    let mut rows = Array2::from_shape_fn((ROWS, COLUMNS), |_| 1.0 + rng.random::<f32>());
    rows.slice_mut(ndarray::s![ROWS - LIARS.., ..]).map_inplace(|value| *value *= -8.0);
    rows
}

/// What a chain makes of the example, row after row, or why it refuses.
fn aggregated(chain: &Resolved) -> Result<Vec<f32>, String> {
    let updates = example();
    let senders: Vec<NodeId> = (0..ROWS as u32).map(NodeId).collect();
    let samples = match &chain.samples {
        None => (1..=ROWS as u64).collect(),
        Some(samples) => samples.counts(ROWS).map_err(|error| error.to_string())?,
    };
    let honest = updates.slice(ndarray::s![..ROWS - LIARS, ..]).mean_axis(Axis(0)).unwrap();
    let zero = Array1::zeros(COLUMNS);
    let mut context = Context {
        round: Round(1),
        rounds_total: 1,
        byzantine: LIARS,
        senders: &senders,
        samples: Some(&samples),
        previous: Some(zero.view()),
        trusted: Some(honest.view()),
        head: Some(0..COLUMNS / 2),
        memory: &mut Memory::default(),
        rng: &mut run_stream(1, Purpose::Aggregation),
    };
    let refused = |error: aggregators::AggregateError| error.to_string();
    match chain.chain() {
        Some(chain) => {
            Ok(chain.aggregate(updates.view(), &mut context).map_err(refused)?.vector.to_vec())
        }
        None => Ok(Chain::prepare(&chain.links(), updates, &mut context)
            .map_err(refused)?
            .iter()
            .copied()
            .collect()),
    }
}

/// What the liars of the example send.
fn crafted(attack: &dyn attacks::Attack) -> Result<Vec<f32>, String> {
    let honest = example().slice(ndarray::s![..ROWS - LIARS, ..]).to_owned();
    let identities: Vec<NodeId> = (0..LIARS as u32).map(NodeId).collect();
    let senders: Vec<NodeId> = (LIARS as u32..ROWS as u32).map(NodeId).collect();
    let (global, own) = (Array1::zeros(COLUMNS), Array2::zeros((0, COLUMNS)));
    let view = View {
        round: Round(1),
        global: global.view(),
        identities: &identities,
        own: own.view(),
        honest: Some(&honest.view().into()),
        senders: &senders,
        participants: ROWS,
        corrupted: LIARS,
        defence: None,
        victim: None,
    };
    let mut rng = run_stream(1, Purpose::Attack);
    match attack.craft(&view, &mut Memory::default(), &mut rng) {
        Ok(crafted) => match crafted.per_node() {
            Some(rows) => Ok(rows.iter().copied().collect()),
            None => Err("sends nothing".to_owned()),
        },
        Err(error) => Err(error.to_string()),
    }
}

/// How far two outcomes are apart, as the page says it.
fn difference(theirs: Result<Vec<f32>, String>, ours: Result<Vec<f32>, String>) -> String {
    let (theirs, ours) = match (theirs, ours) {
        (Ok(theirs), Ok(ours)) => (theirs, ours),
        (Err(refusal), _) => return format!("refuses: {refusal}"),
        (_, Err(refusal)) => return format!("ours refuses: {refusal}"),
    };
    if theirs.len() != ours.len() {
        return format!("{} rows in place of {}", theirs.len() / COLUMNS, ours.len() / COLUMNS);
    }
    let all = || theirs.iter().zip(&ours);
    if all().any(|(theirs, ours)| !theirs.is_finite() || !ours.is_finite()) {
        let same = all().all(|(theirs, ours)| theirs.to_bits() == ours.to_bits());
        return if same { "0".to_owned() } else { "not finite".to_owned() };
    }
    let largest = ours.iter().fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
    let off = all().map(|(theirs, ours)| (theirs - ours).abs()).fold(0.0, f32::max) / largest;
    if off < 2e-5 { "0".to_owned() } else { format!("{:.1} %", 100.0 * off) }
}

/// Our parameters where they are not the default's.
fn unlike(parameters: &Value, defaults: &Value) -> String {
    let nothing = Map::new();
    let default = defaults.as_object().unwrap_or(&nothing);
    let set = parameters.as_object().unwrap_or(&nothing).iter();
    let other = set.filter(|(name, value)| default.get(*name) != Some(value));
    let shown: Vec<String> = other.map(|(name, value)| format!("`{name} = {value}`")).collect();
    if shown.is_empty() { "our default".to_owned() } else { shown.join(", ") }
}

/// The default of a member as a chain of its own.
fn by_default(entry: &Entry) -> Resolved {
    let choice = Choice::named(entry.member);
    let mut resolved = Resolved { before: Vec::new(), rule: None, samples: None };
    if entry.kind == Kind::Aggregator {
        let member = aggregators::CATALOG.build(&choice).unwrap();
        resolved.rule = Some(like::Part { like: entry.name, member, byzantine: None });
    } else {
        let member = preaggregators::CATALOG.build(&choice).unwrap();
        resolved.before.push(like::Part { like: entry.name, member, byzantine: None });
    }
    resolved
}

/// The line of one entry: its convention in our parameters, and what that changes.
fn line(entry: &Entry) -> String {
    let choice = Choice::named(entry.name);
    let (convention, differs) = if entry.kind == Kind::Attack {
        let theirs = like::attack(&choice).unwrap();
        let ours = attacks::CATALOG.build_default(entry.member).unwrap();
        let differs = difference(crafted(&*theirs.value), crafted(&*ours.value));
        (unlike(&theirs.parameters, &ours.parameters), differs)
    } else {
        let theirs = like::chain(&[choice], Some(LIARS)).unwrap();
        let ours = by_default(entry);
        let parameters = |chain: &Resolved| match (&chain.rule, chain.before.first()) {
            (Some(rule), _) => rule.member.parameters.clone(),
            (None, before) => before.unwrap().member.parameters.clone(),
        };
        let convention = unlike(&parameters(&theirs), &parameters(&ours));
        (convention, difference(aggregated(&theirs), aggregated(&ours)))
    };
    format!("| `{}` | {convention} | {differs} |\n", entry.name)
}

/// One table for each member of a catalog that another library has, too.
fn section<T: ?Sized, C>(title: &str, catalog: &Catalog<T, C>, kind: Kind) -> String {
    let mut text = format!("\n## {title}\n");
    for member in catalog.entries {
        let names = like::entries().filter(|it| it.kind == kind && it.member == member.name);
        let lines: String = names.map(line).collect();
        if !lines.is_empty() {
            let head = "| There | In our parameters | Differs |\n|---|---|---|\n";
            let (first, rest) = member.summary.split_at(1);
            let summary = format!("{}{rest}", first.to_uppercase());
            text.push_str(&format!("\n### {}\n\n{summary}.\n\n{head}{lines}", member.name));
        }
    }
    let others = catalog.entries.iter().map(|member| member.name);
    let others = others.filter(|name| !like::entries().any(|it| it.member == *name));
    let others: Vec<String> = others.map(|name| format!("`{name}`")).collect();
    if !others.is_empty() {
        text.push_str(&format!("\nWithout a name elsewhere: {}.\n", others.join(", ")));
    }
    text
}

#[test]
fn the_page_of_conventions_is_what_the_catalogs_come_to() {
    let page = [
        OPENING.to_owned(),
        section("Aggregators", &aggregators::CATALOG, Kind::Aggregator),
        section("Pre-aggregators", &preaggregators::CATALOG, Kind::PreAggregator),
        section("Attacks", &attacks::CATALOG, Kind::Attack),
    ]
    .concat();
    if std::env::var_os(BLESS).is_some() {
        std::fs::create_dir_all(root().join("docs")).unwrap();
        std::fs::write(root().join(PAGE), page).unwrap();
        return;
    }
    let written = read(PAGE);
    let (now, before) = (page.lines(), written.lines());
    for (number, (now, before)) in now.zip(before).enumerate() {
        assert_eq!(now, before, "{PAGE}:{} ({BLESS}=1 cargo test --test tidy)", number + 1);
    }
    assert_eq!(page.len(), written.len(), "{PAGE} is of another length");
}
