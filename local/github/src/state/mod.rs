//! What GitHub knows, and its rules.

pub(crate) mod directory;
pub(crate) mod dispatch;
pub(crate) mod jit;
pub(crate) mod jobs;
pub(crate) mod payload;
pub(crate) mod webhooks;
pub(crate) mod world;
