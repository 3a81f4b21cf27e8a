//! Who holds which samples: loads data sets, splits them, poisons the shards of the corrupted.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rand::Rng;
use rand::seq::index;

use super::plan::Plan;
use crate::dataset::{Held, Shard, Split};
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
    /// The partition leaves nothing to judge by.
    #[error("{partition} leaves none of the {samples} test samples to judge by")]
    NoTest {
        /// The partition.
        partition: &'static str,
        /// How many there were.
        samples: usize,
    },
}

/// What a model is judged by, and nobody learns from.
#[derive(Debug, Clone)]
pub struct HeldOut {
    /// The test set.
    pub test: Shard,
    /// Training samples that were held out, where the plan holds some out.
    pub validation: Option<Shard>,
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
    whole: Mutex<Recent<Arc<Held>>>,
    tests: Mutex<Recent<Arc<Held>>>,
    splits: Mutex<Recent<Arc<Vec<Vec<usize>>>>>,
    shards: Mutex<Recent<Arc<Held>>>,
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

impl Provider {
    /// A provider that reads from `store`.
    pub fn new(store: Box<dyn Store>, reach: Reach) -> Self {
        Provider {
            store,
            reach,
            whole: Recent::new(SETS_KEPT, |_| 1),
            tests: Recent::new(SETS_KEPT, |_| 1),
            splits: Recent::new(SPLITS_KEPT, |_| 1),
            shards: Recent::new(OWN_SHARDS_KEPT, |_| 1),
        }
    }

    /// What the models of a plan are judged by.
    pub fn held_out(&self, plan: &Plan) -> Result<HeldOut, LoadError> {
        Ok(HeldOut { test: self.test(plan)?, validation: self.validation(plan)? })
    }

    /// The test set of a plan.
    pub fn test(&self, plan: &Plan) -> Result<Shard, LoadError> {
        let whole = Recent::get(&self.tests, plan.data_key(), || {
            let all: Vec<usize> = (0..plan.dataset.value.len(Split::Test)).collect();
            Ok::<_, LoadError>(Arc::new(self.read(plan, Split::Test, &all)?))
        })?;
        let classes = plan.dataset.value.shape().classes;
        let Some(judges) = plan.partition.value.judges_by(whole.labels(), classes) else {
            return Ok(whole.into());
        };
        if judges.is_empty() {
            let (partition, samples) = (plan.partition.name, whole.len());
            return Err(LoadError::NoTest { partition, samples });
        }
        Ok(Shard::of(whole, judges))
    }

    /// The training samples that are held out, if any are.
    fn validation(&self, plan: &Plan) -> Result<Option<Shard>, LoadError> {
        let (held_out, _) = divided(plan);
        if held_out.is_empty() {
            return Ok(None);
        }
        self.training(plan, held_out).map(Some)
    }

    /// Which samples each worker holds.
    pub fn split(&self, plan: &Plan) -> Result<Arc<Vec<Vec<usize>>>, LoadError> {
        Recent::get(&self.splits, plan.split_key(), || {
            let mut labels = plan.dataset.value.labels(Split::Train, &*self.store)?;
            // A worker is small: where all samples are given out, there is no list of them.
            let given = (plan.held_out() > 0).then(|| divided(plan).1);
            if let Some(given) = &given {
                labels = given.iter().map(|&index| labels[index]).collect();
            }
            let mut rng = run_stream(plan.seed, Purpose::Partition);
            let classes = plan.dataset.value.shape().classes;
            let holders = plan.holders();
            let pieces = plan.partition.value.split(&labels, classes, holders.len(), &mut rng)?;
            let mut split = vec![Vec::new(); plan.system.value.workers()];
            for (node, mut piece) in holders.into_iter().zip(pieces) {
                if let Some(given) = &given {
                    for place in &mut piece {
                        *place = given[*place];
                    }
                }
                split[node.index()] = piece;
            }
            add_copies(plan, &mut split);
            Ok(Arc::new(split))
        })
    }

    /// The samples of one worker, poisoned if the plan says so.
    pub fn shard(&self, plan: &Plan, node: NodeId) -> Result<Shard, LoadError> {
        let clean = self.clean(plan, node)?;
        let Some(poison) = plan.threat.poison.as_ref().filter(|_| plan.threat.corrupts(node))
        else {
            return Ok(clean);
        };
        let mut samples = clean.samples();
        let mut rng = stream(plan.seed, Purpose::Poison, Round(0), node);
        let place = plan.threat.corrupted.partition_point(|other| *other < node);
        poison.poison(&mut samples, plan.dataset.value.shape(), place, &mut rng);
        Ok(Shard::from(samples))
    }

    /// The samples that the server holds itself: clean, and drawn from the training set whatever
    /// the workers hold of it.
    pub fn trusted(&self, plan: &Plan, server: NodeId) -> Result<Shard, LoadError> {
        // No worker has this number, so that no split has this stream.
        let mut rng = stream(plan.seed, Purpose::Partition, Round(0), server);
        let (_, given) = divided(plan);
        let drawn = drawn(&given, plan.trusted, &mut rng);
        Ok(Shard::from(Arc::new(self.read(plan, Split::Train, &drawn)?)))
    }

    /// The samples of one worker before anybody poisons them.
    fn clean(&self, plan: &Plan, node: NodeId) -> Result<Shard, LoadError> {
        let split = self.split(plan)?;
        let indices = &split[node.index()];
        if self.reach == Reach::Everything {
            return self.training(plan, indices.clone());
        }
        let key = format!("{} {node}", plan.split_key());
        let read = || Ok::<_, LoadError>(Arc::new(self.read(plan, Split::Train, indices)?));
        Ok(Shard::from(Recent::get(&self.shards, key, read)?))
    }

    /// The training samples at `indices`: those only, or a share of all.
    fn training(&self, plan: &Plan, indices: Vec<usize>) -> Result<Shard, LoadError> {
        Ok(match self.reach {
            Reach::OwnShards => Arc::new(self.read(plan, Split::Train, &indices)?).into(),
            Reach::Everything => Shard::of(self.whole(plan)?, indices),
        })
    }

    /// The samples at `indices`, to be scaled as the plan says.
    fn read(&self, plan: &Plan, split: Split, indices: &[usize]) -> Result<Held, DataError> {
        plan.dataset.value.held(split, indices, &plan.scale, &*self.store)
    }

    fn whole(&self, plan: &Plan) -> Result<Arc<Held>, LoadError> {
        Recent::get(&self.whole, plan.data_key(), || {
            let all: Vec<usize> = (0..plan.dataset.value.len(Split::Train)).collect();
            Ok(Arc::new(self.read(plan, Split::Train, &all)?))
        })
    }
}

/// Which training samples are held out, and which are given out, both ascending.
fn divided(plan: &Plan) -> (Vec<usize>, Vec<usize>) {
    let samples = plan.dataset.value.len(Split::Train);
    let all: Vec<usize> = (0..samples).collect();
    let held_out = drawn(&all, plan.held_out(), &mut run_stream(plan.seed, Purpose::Validation));
    let given = all.into_iter().filter(|index| held_out.binary_search(index).is_err()).collect();
    (held_out, given)
}

/// `count` of `indices`, or all if there are fewer, ascending.
fn drawn(indices: &[usize], count: usize, rng: &mut impl Rng) -> Vec<usize> {
    let mut places = index::sample(rng, indices.len(), count.min(indices.len())).into_vec();
    places.sort_unstable();
    places.into_iter().map(|place| indices[place]).collect()
}

/// Gives those who hold no piece copies of samples that are drawn from all, as many as a holder
/// has in the mean.
fn add_copies(plan: &Plan, split: &mut [Vec<usize>]) {
    let holders = plan.holders();
    if holders.len() == split.len() {
        return;
    }
    let (_, given) = divided(plan);
    let held: usize = split.iter().map(Vec::len).sum();
    let mean = (held / holders.len().max(1)).max(1);
    for &node in plan.roster().ids() {
        if holders.binary_search(&node).is_err() {
            // Round 0 is the stream of the server's own samples and of the partition itself.
            let mut rng = stream(plan.seed, Purpose::Partition, Round(1), node);
            split[node.index()] = drawn(&given, mean, &mut rng);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::datasets::NoFiles;
    use crate::experiment::source::Source;
    use crate::experiment::sweep::Sweep;

    /// A plan for 100 + 50 digits and 8 workers, 3 of them corrupted, with these lines in the
    /// section of the data.
    fn plan(data: &str, seed: u64) -> Result<Plan, String> {
        let text = format!(
            "schema = 1\nname = 'held'\nmodel = 'softmax'\n\
             training = {{ rounds = 1, learning_rate = 0.1 }}\n\
             aggregation = {{ rule = 'fltrust', trusted = 10 }}\n\
             threat = {{ corrupted = 3 }}\nsystem = {{ central = {{ workers = 8 }} }}\n\
             [data]\nset = {{ digits = {{ train = 100, test = 50 }} }}\n{data}"
        );
        let source = Source::new("held.toml", text.as_bytes()).map_err(|error| error.message)?;
        let cells = Sweep::read(&source).map_err(|errors| errors[0].message.clone())?;
        Plan::check(&cells[0].config, seed).map_err(|errors| errors[0].message.clone())
    }

    fn provider(reach: Reach) -> Provider {
        Provider::new(Box::new(NoFiles), reach)
    }

    /// Which samples each worker holds.
    fn split(data: &str, seed: u64) -> Vec<Vec<usize>> {
        provider(Reach::OwnShards).split(&plan(data, seed).unwrap()).unwrap().to_vec()
    }

    #[test]
    fn what_is_held_out_is_given_to_nobody() {
        let plan = plan("validation = 0.2", 1).unwrap();
        let data = provider(Reach::OwnShards);
        let (held_out, given) = divided(&plan);
        assert_eq!((held_out.len(), given.len()), (20, 80));
        let mut dealt = data.split(&plan).unwrap().concat();
        dealt.sort_unstable();
        assert_eq!(dealt, given);
        let both: BTreeSet<usize> = held_out.iter().chain(&given).copied().collect();
        assert_eq!(both.len(), 100);
        // The samples are those of the set, whoever reads them.
        let expected =
            plan.dataset.value.scaled(Split::Train, &held_out, &plan.scale, &NoFiles).unwrap();
        for reach in [Reach::OwnShards, Reach::Everything] {
            let found = provider(reach).held_out(&plan).unwrap();
            assert_eq!(found.validation.unwrap().samples(), expected);
            assert_eq!(found.test.len(), 50);
        }
        let trusted = data.trusted(&plan, NodeId(8)).unwrap();
        assert_eq!(trusted.len(), 10);
        let trusted = trusted.samples();
        let among_held_out = |row: &ndarray::ArrayView1<'_, f32>| {
            expected.inputs.rows().into_iter().any(|other| other == row)
        };
        assert!(!trusted.inputs.rows().into_iter().any(|row| among_held_out(&row)));
    }

    #[test]
    fn what_is_held_out_follows_the_seed_and_not_the_partition() {
        let held = |data: &str, seed| divided(&plan(data, seed).unwrap()).0;
        let first = held("validation = 0.2", 1);
        assert_eq!(held("validation = 0.2\npartition = 'label_sorted'", 1), first);
        assert_ne!(held("validation = 0.2", 2), first);
        assert!(held("", 1).is_empty());
        assert!(
            provider(Reach::Everything)
                .held_out(&plan("", 1).unwrap())
                .unwrap()
                .validation
                .is_none()
        );
    }

    #[test]
    fn the_honest_alone_share_what_the_corrupted_hold_copies_of() {
        let usual = split("", 1);
        assert_eq!(usual.iter().map(Vec::len).sum::<usize>(), 100);
        let given = split("holders = 'honest'\npartition = 'label_sorted'", 1);
        let (corrupted, honest) = given.split_at(3);
        let mut held = honest.concat();
        held.sort_unstable();
        assert_eq!(held, (0..100).collect::<Vec<_>>());
        for copies in corrupted {
            assert_eq!(copies.len(), 20);
            assert!(copies.is_sorted_by(|a, b| a < b) && copies.iter().all(|index| *index < 100));
        }
        assert_ne!(corrupted[0], corrupted[1]);
        assert_ne!(split("holders = 'honest'", 2)[0], split("holders = 'honest'", 1)[0]);
    }

    #[test]
    fn a_long_tail_cuts_the_test_set_where_it_is_told_to() {
        let judged = |parameters: &str| {
            let data = format!("partition = {{ long_tail = {{ {parameters} }} }}");
            let plan = plan(&data, 1).unwrap();
            provider(Reach::Everything).test(&plan).unwrap().samples().labels
        };
        assert_eq!(judged("").len(), 50);
        let cut = judged("test = true");
        let mut counts = [0; 10];
        for label in cut {
            counts[usize::from(label)] += 1;
        }
        assert_eq!(counts, [5, 2, 1, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn the_plan_says_how_values_are_scaled() {
        let usual = plan("", 1).unwrap();
        let resolved = |plan: &Plan| plan.resolved["data"]["scale"].to_string();
        assert_eq!(resolved(&usual), r#"{"standard":{"deviation":[0.5],"mean":[0.135]}}"#);
        let same = "scale = { standard = { mean = [0.135], deviation = [0.5] } }";
        assert_eq!(plan(same, 1).unwrap().run_id(), usual.run_id());
        let raw = plan("scale = 'none'", 1).unwrap();
        assert_ne!(raw.run_id(), usual.run_id());
        let largest = |plan: &Plan| {
            let test = provider(Reach::Everything).test(plan).unwrap().samples();
            test.inputs.fold(0.0f32, |largest, &value| largest.max(value))
        };
        assert_eq!(largest(&raw), 255.0);
        assert_eq!(largest(&plan("scale = 'unit'", 1).unwrap()), 1.0);
        assert_eq!(largest(&usual), (1.0 - 0.135) / 0.5);
        assert_eq!(
            plan("scale = 'measured'", 1).unwrap_err(),
            "data.scale of digits: `measured` needs a data set that is measured"
        );
    }

    #[test]
    fn too_little_to_go_round_is_refused_with_the_numbers() {
        let refused = |data: &str| plan(data, 1).unwrap_err();
        assert_eq!(
            refused("validation = 0.004"),
            "data.validation = 0.004 of 100 training samples is not one"
        );
        assert_eq!(refused("validation = 0.91"), "aggregation.trusted = 10 of 9 training samples");
        assert_eq!(
            refused("validation = 1.0"),
            "`data.validation` is 1 and must be from 0 to below 1"
        );
        assert_eq!(refused("holders = 'liars'"), "`data.holders` cannot be `liars`");
    }

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
