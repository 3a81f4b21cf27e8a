//! The recorder: watches a run, judges its models, and writes rows as they come.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::event::RunEvent;
use super::plan::Plan;
use super::store::{NodeRow, RoundRow, RunFolder, Summary, Totals};
use crate::dataset::Samples;
use crate::metrics::Evaluation;
use crate::node::{NodeId, Round};
use crate::protocol::{Message, Outcome, Refusal, RoundRecord, SenderRecord};
use crate::runtime::{Next, Notice, Observer, RunError, States};
use crate::systems::Part;
use crate::training::evaluate;
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

/// Watches one run.
#[derive(Debug)]
pub struct Recorder {
    plan: Plan,
    run_id: String,
    parts: Vec<Part>,
    test: Arc<Samples>,
    folder: RunFolder,
    settings: Settings,
    totals: Totals,
    traffic: BTreeMap<(NodeId, NodeId), (Round, u64)>,
    processes: BTreeMap<NodeId, u32>,
    told: BTreeMap<NodeId, u32>,
    closed: Round,
    model: Shared,
    last: Option<(Evaluation, String)>,
    last_checkpoint: (Round, f64),
}

impl Recorder {
    /// A recorder for a run that begins, or goes on after `totals` and `closed`.
    pub fn new(
        plan: Plan,
        test: Arc<Samples>,
        folder: RunFolder,
        settings: Settings,
        closed: Round,
        totals: Totals,
    ) -> Self {
        let own = std::process::id();
        let processes = plan.cast().voices.keys().map(|&node| (node, own)).collect();
        Recorder {
            run_id: plan.run_id(),
            parts: plan.system.value.parts(),
            model: plan.initial(),
            plan,
            test,
            folder,
            settings,
            totals,
            traffic: BTreeMap::new(),
            processes,
            told: BTreeMap::new(),
            closed,
            last: None,
            last_checkpoint: (closed, 0.0),
        }
    }

    /// Notes how the run began.
    pub fn begin(&mut self) -> Result<(), RunError> {
        let process = std::process::id();
        self.folder.event(if self.closed == Round(0) {
            RunEvent::Started { runtime: self.settings.runtime.to_owned(), process }
        } else {
            RunEvent::Resumed { round: self.closed, process }
        })
    }

    /// Ends a run whose last round is closed.
    pub fn finish(mut self, manifest: &serde_json::Value) -> Result<Summary, RunError> {
        self.folder.event(RunEvent::Finished { round: self.closed })?;
        let (evaluation, digest) = self.last.take().expect("the last round is always judged");
        let labels = self.plan.labels.clone();
        let summary = Summary {
            run_id: self.run_id.clone(),
            system: labels.system,
            runtime: self.settings.runtime.to_owned(),
            rule: labels.rule,
            attack: labels.attack,
            partition: labels.partition,
            seed: self.plan.seed,
            rounds: self.closed.0,
            final_accuracy: evaluation.accuracy,
            final_loss: evaluation.loss,
            final_digest: digest,
            skipped: self.totals.skipped,
            refused: self.totals.refused,
            timed_out: self.totals.timed_out,
            seconds: self.folder.seconds(),
        };
        self.folder.done(manifest, as_slice(&self.model), &summary)?;
        Ok(summary)
    }

    fn judge(&self) -> Evaluation {
        evaluate(&*self.plan.model, self.model.view(), &self.test)
    }

    fn due(&self, round: Round) -> bool {
        round.0.is_multiple_of(self.plan.evaluate_every) || round.0 >= self.plan.rounds
    }

    /// What every node sent and was sent in `round`, in bytes.
    fn traffic_of(&self, round: Round) -> BTreeMap<NodeId, (u64, u64)> {
        let mut bytes: BTreeMap<NodeId, (u64, u64)> = BTreeMap::new();
        for ((from, to), (sent, length)) in &self.traffic {
            if *sent == round {
                bytes.entry(*from).or_default().0 += length;
                bytes.entry(*to).or_default().1 += length;
            }
        }
        bytes
    }

    fn write_round(
        &mut self,
        record: &RoundRecord,
        evaluation: Option<Evaluation>,
        traffic: &BTreeMap<NodeId, (u64, u64)>,
    ) -> Result<(), RunError> {
        let workers = record.senders.iter().filter_map(|sender| traffic.get(&sender.node));
        let (bytes_up, bytes_down) =
            workers.fold((0, 0), |sum, bytes| (sum.0 + bytes.0, sum.1 + bytes.1));
        self.folder.round(&RoundRow {
            run_id: self.run_id.clone(),
            round: record.round.0,
            test_accuracy: evaluation.map(|evaluation| evaluation.accuracy),
            test_loss: evaluation.map(|evaluation| evaluation.loss),
            train_loss: self.honest_loss(record),
            model_digest: record.digest.to_string(),
            accepted: record.count(Outcome::Shared),
            refused: record.refusals(),
            absent: record.count(Outcome::Absent) + record.count(Outcome::Lost),
            skipped: record.skipped.clone(),
            timed_out: record.timed_out,
            bytes_up,
            bytes_down,
        })
    }

    /// The mean loss that the honest declared, in node order.
    fn honest_loss(&self, record: &RoundRecord) -> Option<f64> {
        let honest = record.senders.iter().filter(|sender| !self.plan.threat.corrupts(sender.node));
        let losses: Vec<f64> = honest.filter_map(|sender| sender.loss).map(f64::from).collect();
        (!losses.is_empty()).then(|| losses.iter().sum::<f64>() / losses.len() as f64)
    }

    fn write_nodes(
        &mut self,
        record: &RoundRecord,
        traffic: &BTreeMap<NodeId, (u64, u64)>,
    ) -> Result<(), RunError> {
        for sender in &record.senders {
            let bytes = traffic.get(&sender.node).copied().unwrap_or_default();
            let row = self.sender_row(record.round, sender, bytes);
            self.folder.node(&row)?;
        }
        for part in &self.parts {
            let (bytes_sent, bytes_received) = traffic.get(&part.node).copied().unwrap_or_default();
            self.folder.node(&NodeRow {
                run_id: self.run_id.clone(),
                round: record.round.0,
                node: part.node.0,
                role: part.role.to_owned(),
                outcome: None,
                loss: None,
                norm: None,
                weight: None,
                refused: 0,
                bytes_sent,
                bytes_received,
                model_digest: Some(record.digest.to_string()),
                pid: self.processes[&part.node],
            })?;
        }
        Ok(())
    }

    fn sender_row(
        &self,
        round: Round,
        sender: &SenderRecord,
        (bytes_sent, bytes_received): (u64, u64),
    ) -> NodeRow {
        let corrupted = self.plan.threat.corrupts(sender.node);
        NodeRow {
            run_id: self.run_id.clone(),
            round: round.0,
            node: sender.node.0,
            role: if corrupted { "corrupted" } else { "worker" }.to_owned(),
            outcome: Some(sender.outcome.name().to_owned()),
            loss: sender.loss,
            norm: sender.norm,
            weight: sender.weight,
            refused: sender.refusals,
            bytes_sent,
            bytes_received,
            model_digest: None,
            pid: self.processes[&sender.node],
        }
    }
}

impl Observer for Recorder {
    fn sent(&mut self, from: NodeId, to: NodeId, message: &Message, bytes: u64) {
        self.traffic.insert((from, to), (message.round(), bytes));
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
        self.closed = record.round;
        self.model = Arc::clone(&record.model);
        self.told.clear();
        if let Some(reason) = &record.skipped {
            self.totals.skipped += 1;
            let event = RunEvent::Skipped { round: record.round, reason: reason.clone() };
            self.folder.event(event)?;
        }
        self.totals.timed_out += u32::from(record.timed_out);
        let evaluation = self.due(record.round).then(|| self.judge());
        if let Some(Evaluation { accuracy, loss }) = evaluation {
            let event = RunEvent::Evaluated { round: record.round, accuracy, loss };
            self.folder.event(event)?;
            self.last = Some((Evaluation { accuracy, loss }, record.digest.to_string()));
        }
        let traffic = self.traffic_of(record.round);
        self.write_round(record, evaluation, &traffic)?;
        self.write_nodes(record, &traffic)?;
        if record.round.0 >= self.plan.rounds {
            // A run that is cut off here repeats its last round, and so ends as it would have.
            return Ok(Next::Continue);
        }
        if self.settings.stop.load(Ordering::Relaxed) {
            return Ok(Next::Stop);
        }
        let (before, at) = self.last_checkpoint;
        let elapsed = self.folder.seconds() - at;
        // Even and odd rounds have a file each: one round later, and the checkpoint before is
        // still whole if this process is killed while it writes.
        let due = elapsed >= self.settings.checkpoint_seconds && record.round.0 % 2 != before.0 % 2;
        if self.settings.checkpoint_every_round || due {
            return Ok(Next::Checkpoint);
        }
        Ok(Next::Continue)
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
            Notice::Lost { node } => RunEvent::Lost { round, node },
        })
    }
}
