//! The protocol: every participant is a state machine, `step(event) -> actions`.
