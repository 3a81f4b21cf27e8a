//! Who holds which samples: loads data sets, splits them, poisons the shards of the corrupted.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::plan::Plan;
use crate::dataset::{Samples, Split};
use crate::datasets::{DataError, Store};
use crate::node::{NodeId, Round};
use crate::seed::{Purpose, run_stream, stream};

/// Why a node's samples could not be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoadError {
    /// The data set could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// It could not be split as asked.
    #[error(transparent)]
    Partition(#[from] crate::partitions::PartitionError),
}

/// How much of a training set a process may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// All of it: one process simulates every worker.
    Everything,
    /// Only the shards that it asks for: a worker's own.
    OwnShards,
}

/// Loads samples and remembers what the cells of a sweep share.
pub struct Provider {
    store: Box<dyn Store>,
    reach: Reach,
    whole: Mutex<Recent<Arc<Samples>>>,
    tests: Mutex<Recent<Arc<Samples>>>,
    splits: Mutex<Recent<Arc<Vec<Vec<usize>>>>>,
    shards: Mutex<Recent<Arc<Samples>>>,
}

impl fmt::Debug for Provider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Provider").field("reach", &self.reach).finish_non_exhaustive()
    }
}

/// Whole data sets kept at a time.
const SETS_KEPT: usize = 2;

/// Splits kept at a time: a sweep goes through its seeds first.
const SPLITS_KEPT: usize = 32;

/// Values kept by key, the oldest leaving first.
struct Recent<T> {
    capacity: usize,
    entries: VecDeque<(String, T)>,
}

impl<T: Clone> Recent<T> {
    fn new(capacity: usize) -> Mutex<Self> {
        Mutex::new(Recent { capacity, entries: VecDeque::new() })
    }

    /// The value under `key`, made if it is not there. Whoever comes second waits for it.
    fn get<E>(
        recent: &Mutex<Self>,
        key: String,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        // A panic while loading leaves the list as it was, so it can be used further.
        let mut recent = recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, value)) = recent.entries.iter().find(|(found, _)| *found == key) {
            return Ok(value.clone());
        }
        let value = make()?;
        if recent.entries.len() == recent.capacity {
            recent.entries.pop_front();
        }
        recent.entries.push_back((key, value.clone()));
        Ok(value)
    }
}

impl Provider {
    /// A provider that reads from `store`.
    pub fn new(store: Box<dyn Store>, reach: Reach) -> Self {
        Provider {
            store,
            reach,
            whole: Recent::new(SETS_KEPT),
            tests: Recent::new(SETS_KEPT),
            splits: Recent::new(SPLITS_KEPT),
            shards: Recent::new(match reach {
                // The shards of a few splits of a hundred workers.
                Reach::Everything => 1000,
                Reach::OwnShards => 2,
            }),
        }
    }

    /// The test set of a plan.
    pub fn test(&self, plan: &Plan) -> Result<Arc<Samples>, LoadError> {
        Recent::get(&self.tests, plan.data_key(), || {
            let all: Vec<usize> = (0..plan.dataset.value.len(Split::Test)).collect();
            Ok(Arc::new(plan.dataset.value.samples(Split::Test, &all, &*self.store)?))
        })
    }

    /// Which samples each worker holds.
    pub fn split(&self, plan: &Plan) -> Result<Arc<Vec<Vec<usize>>>, LoadError> {
        Recent::get(&self.splits, plan.split_key(), || {
            let labels = plan.dataset.value.labels(Split::Train, &*self.store)?;
            let mut rng = run_stream(plan.seed, Purpose::Partition);
            let classes = plan.dataset.value.shape().classes;
            let workers = plan.system.value.workers();
            Ok(Arc::new(plan.partition.value.split(&labels, classes, workers, &mut rng)?))
        })
    }

    /// The samples of one worker, poisoned if the plan says so.
    pub fn shard(&self, plan: &Plan, node: NodeId) -> Result<Arc<Samples>, LoadError> {
        let key = format!("{} {node}", plan.split_key());
        let clean = Recent::get(&self.shards, key, || self.read_shard(plan, node))?;
        let Some(poison) = plan.threat.poison.as_ref().filter(|_| plan.threat.corrupts(node))
        else {
            return Ok(clean);
        };
        let mut samples = Samples::clone(&clean);
        let mut rng = stream(plan.seed, Purpose::Poison, Round(0), node);
        poison.poison(&mut samples, plan.dataset.value.shape(), &mut rng);
        Ok(Arc::new(samples))
    }

    fn read_shard(&self, plan: &Plan, node: NodeId) -> Result<Arc<Samples>, LoadError> {
        let split = self.split(plan)?;
        let indices = &split[node.index()];
        let samples = match self.reach {
            Reach::OwnShards => plan.dataset.value.samples(Split::Train, indices, &*self.store)?,
            Reach::Everything => self.whole(plan)?.select(indices),
        };
        Ok(Arc::new(samples))
    }

    fn whole(&self, plan: &Plan) -> Result<Arc<Samples>, LoadError> {
        Recent::get(&self.whole, plan.data_key(), || {
            let all: Vec<usize> = (0..plan.dataset.value.len(Split::Train)).collect();
            Ok(Arc::new(plan.dataset.value.samples(Split::Train, &all, &*self.store)?))
        })
    }
}
