//! Local training: what a worker does with a model and its shard in one round.
use crate::{
    dataset::Samples,
    models::Model,
    node::{NodeId, Round},
};
use ndarray::{Array1, ArrayView1};
use serde::{Deserialize, Serialize};
#[derive(Debug, Clone)]
pub struct Training {
    pub batch: usize,
    pub learning_rate: f32,
    pub momentum: f32,
    pub dampening: f32,
    pub weight_decay: f32,
    pub local_steps: u32,
}
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct WorkerState {
    velocity: Vec<f32>,
}
pub struct Update {
    pub vector: Array1<f32>,
    pub loss: f32,
}
pub fn local_update(
    _: u64,
    _: Round,
    _: NodeId,
    _: &dyn Model,
    _: ArrayView1<'_, f32>,
    _: &Samples,
    _: &Training,
    s: &WorkerState,
) -> (Update, WorkerState) {
    (Update { vector: Array1::zeros(0), loss: 0.0 }, s.clone())
}
