//! Who holds which samples: loads data sets, splits them, poisons the shards of the corrupted.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rand::seq::index;

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

/// Bytes of shards kept by a process that plays everybody.
const SHARD_BYTES_KEPT: usize = 1 << 30;

/// Shards kept by a process that plays one worker: this cell's and the last one's.
const OWN_SHARDS_KEPT: usize = 2;

/// Values kept by key up to a total size, the oldest leaving first. The newest always stays.
struct Recent<T> {
    room: usize,
    size_of: fn(&T) -> usize,
    entries: VecDeque<(String, T)>,
}

impl<T: Clone> Recent<T> {
    fn new(room: usize, size_of: fn(&T) -> usize) -> Mutex<Self> {
        Mutex::new(Recent { room, size_of, entries: VecDeque::new() })
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
        recent.entries.push_back((key, value.clone()));
        let size_of = recent.size_of;
        let mut total: usize = recent.entries.iter().map(|(_, value)| size_of(value)).sum();
        while total > recent.room && recent.entries.len() > 1 {
            total -= recent.entries.pop_front().map_or(0, |(_, value)| size_of(&value));
        }
        Ok(value)
    }
}

/// Bytes of the inputs of samples; labels are small beside them.
fn bytes(samples: &Arc<Samples>) -> usize {
    samples.inputs.len() * size_of::<f32>()
}

impl Provider {
    /// A provider that reads from `store`.
    pub fn new(store: Box<dyn Store>, reach: Reach) -> Self {
        let shards = match reach {
            Reach::Everything => Recent::new(SHARD_BYTES_KEPT, bytes),
            Reach::OwnShards => Recent::new(OWN_SHARDS_KEPT, |_| 1),
        };
        Provider {
            store,
            reach,
            whole: Recent::new(SETS_KEPT, |_| 1),
            tests: Recent::new(SETS_KEPT, |_| 1),
            splits: Recent::new(SPLITS_KEPT, |_| 1),
            shards,
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
        let place = plan.threat.corrupted.partition_point(|other| *other < node);
        poison.poison(&mut samples, plan.dataset.value.shape(), place, &mut rng);
        Ok(Arc::new(samples))
    }

    /// The samples that the server holds itself: clean, and drawn from the training set whatever
    /// the workers hold of it.
    pub fn trusted(&self, plan: &Plan, server: NodeId) -> Result<Arc<Samples>, LoadError> {
        // No worker has this number, so that no split has this stream.
        let mut rng = stream(plan.seed, Purpose::Partition, Round(0), server);
        let held = plan.dataset.value.len(Split::Train);
        let mut drawn = index::sample(&mut rng, held, plan.trusted.min(held)).into_vec();
        drawn.sort_unstable();
        Ok(Arc::new(plan.dataset.value.samples(Split::Train, &drawn, &*self.store)?))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_leave_when_there_is_no_more_room() {
        let recent = Recent::<usize>::new(10, |size| *size);
        let mut made = Vec::new();
        for (key, size) in [("a", 4), ("b", 4), ("a", 4), ("c", 4), ("a", 4), ("d", 100)] {
            let value = Recent::get(&recent, key.to_owned(), || {
                made.push(key);
                Ok::<usize, ()>(size)
            });
            assert_eq!(value, Ok(size));
        }
        // The third call found `a`; the fourth pushed it out, so the fifth made it again.
        assert_eq!(made, ["a", "b", "c", "a", "d"]);
        assert_eq!(recent.lock().unwrap().entries.len(), 1);
    }
}
