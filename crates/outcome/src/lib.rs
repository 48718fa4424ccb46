//! What became of an attempt, and what follows from it.

mod exit;

pub use exit::AgentExit;
