//! The recorder: watches a run, judges its models, and writes rows as they come.
//!
//! A round is written when everybody who is to report it has: the server, or every honest node
//! that holds a model of its own and every part that has not fallen.

mod classes;
mod detection;
mod diverged;
mod fold;
mod pace;
mod robustness;
mod row;
mod standing;
mod traffic;
mod trigger;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use self::fold::{digest, held, roles, senders, skipped};
use self::robustness::Updates;
use self::standing::Standing;
use self::traffic::{Bytes, Traffic};
use self::trigger::Trigger;
use super::data::HeldOut;
use super::event::RunEvent;
use super::plan::Plan;
use super::store::{NodeRow, RoundRow, RunFolder, Summary, Totals};
use crate::ledger::file;
use crate::metrics::Evaluation;
use crate::node::{NodeId, Round};
use crate::protocol::{Message, Outcome, Refusal, RoundRecord, SenderRecord};
use crate::runtime::{Next, Notice, Observer, RunError, States};
use crate::vector::{Shared, as_slice};

/// Refusals of one sender in one round that are written out; the rest are counted.
const REFUSALS_TOLD: u32 = 3;

/// How a recorder is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which runtime drives the run.
    pub runtime: &'static str,
    /// Whether every round is checkpointed, or only every so many seconds.
    pub checkpoint_every_round: bool,
    /// Seconds between checkpoints otherwise.
    pub checkpoint_seconds: f64,
    /// Set when the run is to stop after the open round.
    pub stop: Arc<AtomicBool>,
}

/// The records of one round by node.
type Records = BTreeMap<NodeId, RoundRecord>;

/// Watches one run.
#[derive(Debug)]
pub struct Recorder {
    plan: Plan,
    run_id: String,
    roles: BTreeMap<NodeId, &'static str>,
    honest: BTreeSet<NodeId>,
    /// Who is still to report every round.
    reporters: BTreeSet<NodeId>,
    held_out: HeldOut,
    trigger: Option<Trigger>,
    folder: RunFolder,
    settings: Settings,
    totals: Totals,
    traffic: Traffic,
    updates: Updates,
    processes: BTreeMap<NodeId, u32>,
    told: BTreeMap<NodeId, u32>,
    open: BTreeMap<Round, Records>,
    closed: Round,
    model: Shared,
    last: Option<(Standing, String)>,
    success: Option<f64>,
    validated: Option<Evaluation>,
    last_checkpoint: (Round, f64),
}

impl Recorder {
    /// A recorder for a run that begins, or goes on after `totals` and `closed`.
    pub fn new(
        plan: Plan,
        held_out: HeldOut,
        folder: RunFolder,
        settings: Settings,
        closed: Round,
        totals: Totals,
    ) -> Self {
        let own = std::process::id();
        let processes = plan.cast().voices.keys().map(|&node| (node, own)).collect();
        let parts = plan.wiring.parts();
        let stands = |node: &NodeId| !plan.threat.fallen.contains(node);
        let mut reporters: BTreeSet<NodeId> =
            parts.iter().map(|part| part.node).filter(stands).collect();
        if !plan.wiring.coordinated() {
            reporters.extend(plan.honest());
        }
        Recorder {
            run_id: plan.run_id(),
            roles: roles(&plan),
            honest: plan.honest(),
            reporters,
            model: plan.initial(),
            traffic: Traffic::new(plan.wiring.coordinated()),
            trigger: Trigger::of(&plan, &held_out.test),
            updates: Updates::new(plan.evaluation.robustness),
            plan,
            held_out,
            folder,
            settings,
            totals,
            processes,
            told: BTreeMap::new(),
            open: BTreeMap::new(),
            closed,
            last: None,
            success: None,
            validated: None,
            last_checkpoint: (closed, 0.0),
        }
    }

    /// Notes how the run began.
    pub fn begin(&mut self) -> Result<(), RunError> {
        if let Some(genesis) = self.plan.wiring.genesis(&self.run_id) {
            self.folder.keep_ledger(&file::first_line(&genesis))?;
        }
        let process = std::process::id();
        self.folder.event(if self.closed == Round(0) {
            RunEvent::Started { runtime: self.settings.runtime.to_owned(), process }
        } else {
            RunEvent::Resumed { round: self.closed, process }
        })
    }

    /// Whether every round is written.
    pub fn is_complete(&self) -> bool {
        self.closed.0 >= self.plan.rounds
    }

    /// Ends a run whose last round is closed.
    pub fn finish(mut self, manifest: &serde_json::Value) -> Result<Summary, RunError> {
        self.folder.event(RunEvent::Finished { round: self.closed })?;
        let Some((standing, digest)) = self.last.take() else {
            return Err(RunError::Stalled { round: self.closed });
        };
        let labels = self.plan.labels.clone();
        let worst = standing.worst();
        let rounds = f64::from(self.plan.rounds);
        let summary = Summary {
            run_id: self.run_id.clone(),
            system: labels.system,
            runtime: self.settings.runtime.to_owned(),
            rule: labels.rule,
            attack: labels.attack,
            downfall: labels.downfall,
            partition: labels.partition,
            seed: self.plan.seed,
            rounds: self.closed.0,
            final_accuracy: worst.accuracy,
            final_loss: worst.loss,
            final_validation_accuracy: self.validated.map(|judged| judged.accuracy),
            final_validation_loss: self.validated.map(|judged| judged.loss),
            final_digest: digest,
            accuracy_p10: standing.quantile(0.1),
            accuracy_median: standing.quantile(0.5),
            accuracy_mean: standing.mean(),
            averaged_model_accuracy: standing.averaged.accuracy,
            disagreement: standing.disagreement,
            attack_success_rate: self.success,
            overdrawn: self.plan.overdrawn(),
            availability: self.totals.completed / rounds,
            virtual_seconds: self.totals.virtual_seconds,
            bytes_total: self.totals.bytes_total,
            bytes_busiest: self.totals.bytes_busiest,
            skipped: self.totals.skipped,
            refused: self.totals.refused,
            timed_out: self.totals.timed_out,
            diverged: self.totals.diverged.clone(),
            seconds: self.folder.seconds(),
        };
        self.folder.done(manifest, as_slice(&self.model), &summary)?;
        Ok(summary)
    }

    fn due(&self, round: Round) -> bool {
        round.0.is_multiple_of(self.plan.evaluation.every) || round.0 >= self.plan.rounds
    }

    /// Writes every round that everybody has reported; says what is to be done next.
    fn write_complete(&mut self) -> Result<Next, RunError> {
        let mut next = Next::Continue;
        while let Some((round, records)) = self.open.pop_first() {
            if !self.reporters.iter().all(|node| records.contains_key(node)) {
                self.open.insert(round, records);
                break;
            }
            next = self.write(round, &records)?;
        }
        Ok(next)
    }

    fn write(&mut self, round: Round, records: &Records) -> Result<Next, RunError> {
        self.closed = round;
        self.told.clear();
        let held = held(records, &self.honest);
        if let Some((model, _)) = held.values().next() {
            self.model = Arc::clone(model);
        }
        let skipped = skipped(records);
        if let Some(reason) = &skipped {
            self.totals.skipped += 1;
            self.folder.event(RunEvent::Skipped { round, reason: reason.clone() })?;
        }
        let timed_out = records.values().any(|record| record.timed_out);
        self.totals.timed_out += u32::from(timed_out);
        let digest = digest(&held);
        let standing = match self.due(round) {
            true => Standing::judge(&*self.plan.model, &held, &self.held_out.test),
            false => None,
        };
        let success = self.trigger.as_ref().filter(|_| standing.is_some());
        let success = success.and_then(|it| it.success(&*self.plan.model, &held));
        if standing.is_some() {
            self.success = success;
        }
        if let Some(standing) = &standing {
            let worst = standing.worst();
            let event = RunEvent::Evaluated { round, accuracy: worst.accuracy, loss: worst.loss };
            self.folder.event(event)?;
            self.last = Some((standing.clone(), digest.clone()));
        }
        let (traffic, edges) = self.traffic.take(round);
        let senders = senders(records);
        self.note_diverged(round, records, &senders)?;
        let row = self.round_row(round, records, standing.as_ref(), &traffic, &senders);
        let row = RoundRow {
            model_digest: digest,
            skipped,
            timed_out,
            traffic_digest: edges.to_string(),
            attack_success_rate: self.trigger.as_ref().map(|_| success),
            ..row
        };
        let row = self.measured(row, round, records, &senders);
        let row = self.by_class(row, standing.as_ref(), &held);
        let row = self.validated(row, round, &held);
        self.totals.completed += row.completed;
        self.totals.virtual_seconds += row.virtual_seconds;
        self.totals.bytes_total += row.bytes_total;
        self.totals.bytes_busiest += row.bytes_busiest;
        self.folder.round(&row)?;
        if let Some(line) = records.values().find_map(|record| record.block.as_deref()) {
            self.folder.ledger_line(line)?;
        }
        self.write_nodes(round, records, standing.as_ref(), &traffic, &senders)?;
        if standing.is_some() || self.settings.runtime == "processes" {
            // Whoever waits for the end of a long run watches these files, and so does whoever
            // kills a process to see what becomes of it.
            self.folder.flush()?;
        }
        Ok(self.next(round))
    }

    fn round_row(
        &self,
        round: Round,
        records: &Records,
        standing: Option<&Standing>,
        traffic: &BTreeMap<NodeId, Bytes>,
        senders: &BTreeMap<NodeId, SenderRecord>,
    ) -> RoundRow {
        let count = |outcome| senders.values().filter(|sender| sender.outcome == outcome).count();
        let roster = self.plan.roster();
        let workers = traffic.iter().filter(|(node, _)| roster.contains(**node));
        let (bytes_up, bytes_down) =
            workers.fold((0, 0), |sum, (_, bytes)| (sum.0 + bytes.sent, sum.1 + bytes.received));
        let busiest = traffic.values().map(|bytes| bytes.sent + bytes.received).max().unwrap_or(0);
        RoundRow {
            run_id: self.run_id.clone(),
            round: round.0,
            test_accuracy: standing.map(|standing| standing.worst().accuracy),
            test_loss: standing.map(|standing| standing.worst().loss),
            train_loss: self.honest_loss(records, senders),
            model_digest: String::new(),
            accepted: count(Outcome::Shared),
            refused: records.values().map(RoundRecord::refusals).sum(),
            absent: count(Outcome::Absent) + count(Outcome::Lost),
            skipped: None,
            timed_out: false,
            bytes_up,
            bytes_down,
            accuracy_p10: standing.map(|standing| standing.quantile(0.1)),
            accuracy_median: standing.map(|standing| standing.quantile(0.5)),
            accuracy_mean: standing.map(Standing::mean),
            averaged_model_accuracy: standing.map(|standing| standing.averaged.accuracy),
            disagreement: standing.map(|standing| standing.disagreement),
            completed: self.completed(records),
            bytes_total: traffic.values().map(|bytes| bytes.sent).sum(),
            bytes_busiest: busiest,
            virtual_seconds: pace::seconds(
                traffic,
                self.plan.wiring.steps(),
                &self.plan.network,
                &self.plan.slow,
            ),
            traffic_digest: String::new(),
            attack_success_rate: None,
            validation_accuracy: None,
            validation_loss: None,
            corrupted_weight: None,
            detection_precision: None,
            detection_recall: None,
            distance_to_honest_mean: None,
            measured_robustness: None,
            robustness_bound: None,
            worst_class_accuracy: None,
            class_accuracies: None,
        }
    }

    fn write_nodes(
        &mut self,
        round: Round,
        records: &Records,
        standing: Option<&Standing>,
        traffic: &BTreeMap<NodeId, Bytes>,
        senders: &BTreeMap<NodeId, SenderRecord>,
    ) -> Result<(), RunError> {
        let judged: BTreeMap<NodeId, f64> = standing
            .filter(|_| !self.plan.wiring.coordinated())
            .into_iter()
            .flat_map(|standing| &standing.nodes)
            .map(|(node, evaluation)| (*node, evaluation.accuracy))
            .collect();
        for (&node, &role) in &self.roles {
            let record = records.get(&node);
            let sender = senders.get(&node);
            let own = record.and_then(|record| record.own);
            let bytes = traffic.get(&node).copied().unwrap_or_default();
            let outcome = own.map(|own| own.outcome).or(sender.map(|sender| sender.outcome));
            let row = NodeRow {
                run_id: self.run_id.clone(),
                round: round.0,
                node: node.0,
                role: role.to_owned(),
                outcome: outcome.map(|outcome| outcome.name().to_owned()),
                loss: own.and_then(|own| own.loss).or(sender.and_then(|sender| sender.loss)),
                norm: sender.and_then(|sender| sender.norm),
                weight: sender.and_then(|sender| sender.weight),
                refused: sender.map_or(0, |sender| sender.refusals),
                bytes_sent: bytes.sent,
                bytes_received: bytes.received,
                model_digest: record.map(|record| record.digest.to_string()),
                pid: self.processes[&node],
                test_accuracy: judged.get(&node).copied(),
            };
            self.folder.node(&row)?;
        }
        Ok(())
    }

    /// What is to be done after a round that is written.
    fn next(&self, round: Round) -> Next {
        if round.0 >= self.plan.rounds {
            // A run that is cut off here repeats its last round, and so ends as it would have.
            return Next::Continue;
        }
        if self.settings.stop.load(Ordering::Relaxed) {
            return Next::Stop;
        }
        let (before, at) = self.last_checkpoint;
        let elapsed = self.folder.seconds() - at;
        // Even and odd rounds have a file each: one round later, and the checkpoint before is
        // still whole if this process is killed while it writes.
        let due = elapsed >= self.settings.checkpoint_seconds && round.0 % 2 != before.0 % 2;
        if self.settings.checkpoint_every_round || due {
            return Next::Checkpoint;
        }
        Next::Continue
    }
}

impl Observer for Recorder {
    fn sent(&mut self, from: NodeId, to: NodeId, message: &Message, bytes: u64) {
        self.traffic.count(message.round(), from, to, bytes);
        self.updates.note(from, message);
    }

    fn refused(&mut self, refusal: &Refusal) -> Result<(), RunError> {
        self.totals.refused += 1;
        let told = self.told.entry(refusal.from).or_default();
        *told += 1;
        if *told > REFUSALS_TOLD {
            return Ok(());
        }
        self.folder.event(RunEvent::Refused {
            round: refusal.round,
            from: refusal.from,
            reason: refusal.reason.to_string(),
        })
    }

    fn closed(&mut self, record: &RoundRecord) -> Result<Next, RunError> {
        if !self.reporters.contains(&record.node) {
            return Ok(Next::Continue);
        }
        self.open.entry(record.round).or_default().insert(record.node, record.clone());
        self.write_complete()
    }

    fn checkpoint(&mut self, round: Round, states: &States) -> Result<(), RunError> {
        self.folder.checkpoint(round, states, &self.totals)?;
        self.last_checkpoint = (round, self.folder.seconds());
        Ok(())
    }

    fn noticed(&mut self, notice: Notice) -> Result<(), RunError> {
        let round = self.closed;
        self.folder.event(match notice {
            Notice::Joined { node, process } => {
                self.processes.insert(node, process);
                RunEvent::Joined { round, node, process }
            }
            Notice::Left { node } => RunEvent::Left { round, node },
            Notice::Lost { node } => {
                self.reporters.remove(&node);
                RunEvent::Lost { round, node }
            }
        })?;
        self.write_complete().map(|_| ())
    }
}
