//! Threats: who is corrupted, what they know and what they do.
