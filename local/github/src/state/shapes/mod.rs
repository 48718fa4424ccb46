//! How GitHub writes what it knows, in answers and webhooks alike.

pub(crate) mod account;
pub(crate) mod event;
pub(crate) mod job;
pub(crate) mod repository;
