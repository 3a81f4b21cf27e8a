//! Local training: what a worker does with a model and its shard in one round.
