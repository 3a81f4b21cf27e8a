//! Cells on real processes: the coordinator's side and the participants' side.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::casting;
use super::data::Provider;
use super::plan::{Plan, plan_digest};
use super::recorder::{Recorder, Settings};
use super::run::{
    Cell, CellEnd, CellError, OnEnd, Options, config_toml, end_of, manifest, restore,
};
use super::store::{RunFolder, Summary, Totals};
use crate::node::{NodeId, Round};
use crate::runtime::coordinator::{Driver, DriverSettings};
use crate::runtime::hub::Seats;
use crate::runtime::mesh::session::Judging;
use crate::runtime::mesh::supervisor::{Addresses, Supervisor, SupervisorSettings};
use crate::runtime::office::Office;
use crate::runtime::participant::{Lines, Part, Participation};
use crate::runtime::process::{self, Children, Recipe};
use crate::runtime::token::Tokens;
use crate::runtime::{self, Cast, RunError, Seat};

/// How a coordinator deals with its participants.
#[derive(Debug, Clone)]
pub struct Coordination {
    /// Where it listens.
    pub listen: String,
    /// The identities' secrets.
    pub tokens: Tokens,
    /// How long a participant may stay away or owe an answer.
    pub patience: Duration,
    /// How its participants are started, where it starts them itself.
    pub children: Option<Recipe>,
}

/// All seats that any of these cells has, but for the parts that the coordinator plays itself.
pub fn seats(cells: &[Cell]) -> BTreeSet<Seat> {
    cells.iter().flat_map(|cell| spoken(&cell.plan).seats()).collect()
}

/// Who speaks for whom on the coordinator's lines: everybody but the parts that it plays itself,
/// whose numbers may be those of workers in other cells.
fn spoken(plan: &Plan) -> Cast {
    let mut cast = plan.cast();
    if plan.wiring.coordinated() {
        for part in plan.wiring.parts() {
            cast.voices.remove(&part.node);
        }
    }
    cast
}

/// The identities that a seat speaks for in any of these cells.
pub fn identities(cells: &[Cell], seat: Seat) -> BTreeSet<NodeId> {
    cells.iter().flat_map(|cell| cell.plan.cast().identities(seat)).collect()
}

/// The seats that speak for each identity in any of these cells.
fn voices(cells: &[Cell]) -> Seats {
    let mut voices = Seats::new();
    for (node, seat) in cells.iter().flat_map(|cell| spoken(&cell.plan).voices) {
        voices.entry(node).or_default().insert(seat);
    }
    voices
}

/// Runs cells as a coordinator.
///
/// `announce` is told where it listens before it waits for anybody.
pub fn coordinate(
    cells: &[Cell],
    pending: &[usize],
    data: &Provider,
    options: &Options,
    coordination: &Coordination,
    announce: &mut dyn FnMut(std::net::SocketAddr),
    on_end: &OnEnd<'_>,
) -> Result<(), RunError> {
    let digest = plan_digest(cells.iter().map(|cell| &cell.plan));
    let office = Office::open(
        &coordination.listen,
        digest,
        coordination.tokens.clone(),
        voices(cells),
        coordination.patience,
    )?;
    announce(office.address);
    if pending.is_empty() {
        office.close();
        return Ok(());
    }
    let wanted: Vec<Cell> = pending.iter().map(|&index| cells[index].clone()).collect();
    let children = match &coordination.children {
        Some(recipe) => Some(start(recipe, &wanted, &coordination.tokens, &office)?),
        None => None,
    };
    let failure = Mutex::new(None);
    let work = |index: usize| {
        let plan = &cells[index].plan;
        let end = if options.stop.load(Ordering::Relaxed) {
            CellEnd::Interrupted
        } else {
            let ended = match plan.wiring.coordinated() {
                true => coordinate_one(plan, data, options, coordination, &office),
                false => supervise_one(plan, data, options, coordination, &office),
            };
            end_of(ended, plan, options)
        };
        on_end(index, &end);
    };
    let gone = |seat: Seat, why: String| {
        let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(format!("the process of {seat} ended: {why}"));
        options.stop.store(true, Ordering::Relaxed);
    };
    let (result, children) = process::tended(children, gone, || {
        runtime::local::for_each(pending, options.jobs, options.threads, work)
    });
    office.close();
    if let Some(children) = children {
        children.end();
    }
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(reason) => Err(RunError::Network(reason)),
        None => result,
    }
}

/// Starts a child for every seat of the cells.
fn start(
    recipe: &Recipe,
    cells: &[Cell],
    tokens: &Tokens,
    office: &Office,
) -> Result<Children, RunError> {
    let mut recipe = recipe.clone();
    recipe.arguments.extend(["--connect".to_owned(), office.address.to_string()]);
    let secrets = seats(cells)
        .into_iter()
        .map(|seat| {
            let held = identities(cells, seat);
            (seat, held.iter().map(|node| (*node, tokens[node])).collect())
        })
        .collect();
    Children::start(recipe, secrets)
}

/// Runs one cell whose workers are at the other ends of the office's lines.
fn coordinate_one(
    plan: &Plan,
    data: &Provider,
    options: &Options,
    coordination: &Coordination,
    office: &Office,
) -> Result<Summary, CellError> {
    let run_id = plan.run_id();
    let held_out = data.held_out(plan)?;
    let cast = spoken(plan);
    let part = plan.wiring.parts().into_iter().next().ok_or_else(|| {
        RunError::Network(format!("system {} has no server to coordinate", plan.labels.system))
    })?;
    let seat = Seat::Node(part.node);
    let mut machine = casting::machine(plan, seat, data)?;
    let (folder, resumed) =
        RunFolder::open(&options.folder(&run_id), &config_toml(plan), &BTreeSet::from([seat]))?;
    let (closed, totals) = match &resumed {
        Some(resumed) => (resumed.round, resumed.totals.clone()),
        None => (Round(0), Totals::default()),
    };
    if let Some(resumed) = &resumed {
        restore(seat, machine.as_mut(), resumed)?;
    }
    let settings = Settings {
        runtime: "processes",
        checkpoint_every_round: true,
        checkpoint_seconds: options.checkpoint_seconds,
        stop: Arc::clone(&options.stop),
    };
    let mut recorder = Recorder::new(plan.clone(), held_out, folder, settings, closed, totals);
    recorder.begin()?;
    let settings = DriverSettings {
        node: part.node,
        happenings: office.hub.open(&run_id, &cast, plan.model.len()),
        handle: office.handle.clone(),
        patience: coordination.patience,
        stop: Arc::clone(&options.stop),
    };
    let ended = Driver::new(settings, &cast, machine, &mut recorder).run();
    let kept = ended.and_then(|parting| {
        let mut manifest = manifest(plan, "processes", options.threads);
        manifest["strangers"] = serde_json::json!(office.strangers.counts());
        manifest["turned_away"] = serde_json::json!(office.strangers.turned_away());
        let summary = recorder.finish(&manifest)?;
        parting.tell();
        Ok(summary)
    });
    office.hub.close(&run_id);
    Ok(kept?)
}

/// Watches one cell whose seats talk to each other.
fn supervise_one(
    plan: &Plan,
    data: &Provider,
    options: &Options,
    coordination: &Coordination,
    office: &Office,
) -> Result<Summary, CellError> {
    let run_id = plan.run_id();
    let held_out = data.held_out(plan)?;
    let cast = spoken(plan);
    // Nobody's state is kept, so no checkpoint has these seats, and the run begins anew.
    let (folder, _) =
        RunFolder::open(&options.folder(&run_id), &config_toml(plan), &BTreeSet::new())?;
    let settings = Settings {
        runtime: "processes",
        checkpoint_every_round: false,
        checkpoint_seconds: f64::INFINITY,
        stop: Arc::clone(&options.stop),
    };
    let totals = Totals::default();
    let mut recorder = Recorder::new(plan.clone(), held_out, folder, settings, Round(0), totals);
    recorder.begin()?;
    let links = cast.voices.keys().map(|&node| (node, plan.wiring.links(node))).collect();
    let settings = SupervisorSettings {
        run_id: run_id.clone(),
        happenings: office.hub.open(&run_id, &cast, plan.model.len()),
        addresses: Arc::clone(&office.hub) as Arc<dyn Addresses>,
        links,
        handle: office.handle.clone(),
        patience: coordination.patience,
        stop: Arc::clone(&options.stop),
    };
    let ended = Supervisor::new(settings, &cast, &mut recorder).run();
    let kept = ended.and_then(|dismissal| {
        let summary = recorder.finish(&manifest(plan, "processes", options.threads))?;
        dismissal.tell();
        Ok(summary)
    });
    office.hub.close(&run_id);
    Ok(kept?)
}

/// How a process takes its seat.
#[derive(Debug)]
pub struct SeatOptions {
    /// Where the coordinator listens.
    pub connect: String,
    /// The seat.
    pub seat: Seat,
    /// The secrets of its identities.
    pub tokens: Tokens,
    /// How long a lost connection is tried to be taken up again.
    pub patience: Duration,
    /// The folder under which each run has `<run_id>/checkpoint`.
    pub state: PathBuf,
}

/// A seat's participation in a sweep.
pub fn participation(cells: Vec<Cell>, data: Arc<Provider>, options: SeatOptions) -> Participation {
    let plan = plan_digest(cells.iter().map(|cell| &cell.plan));
    let listens = cells.iter().any(|cell| !cell.plan.wiring.coordinated());
    let plans: BTreeMap<String, Plan> =
        cells.into_iter().map(|cell| (cell.plan.run_id(), cell.plan)).collect();
    let SeatOptions { connect, seat, tokens, patience, state } = options;
    let casting = move |run_id: &str| {
        let plan = plans.get(run_id).ok_or_else(|| format!("run {run_id} is not in this plan"))?;
        let cast = plan.cast();
        let lines = Lines {
            identities: cast.identities(seat),
            values: plan.model.len(),
            tapped: cast.tapped && seat == Seat::Adversary,
            apart: (!plan.wiring.coordinated())
                .then_some(Judging { every: plan.evaluation.every, rounds: plan.rounds }),
        };
        if lines.identities.is_empty() {
            return Err(format!("{seat} has no part in run {run_id}"));
        }
        let machine = casting::machine(plan, seat, &data).map_err(|error| error.to_string())?;
        Ok(Part { machine, lines, checkpoint: state.join(run_id).join("checkpoint") })
    };
    Participation {
        address: connect,
        seat,
        tokens,
        plan,
        patience,
        casting: Arc::new(casting),
        listens,
    }
}
