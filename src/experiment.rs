//! Experiments: a config as typed, a plan that is checked, a run.
