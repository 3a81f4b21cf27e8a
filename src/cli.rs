//! The command line: one file per command.

<<<<<<< HEAD
pub mod data;
=======
pub mod schema;
>>>>>>> config
