//! How answers are written and callers are known.

pub(crate) mod answer;
pub(crate) mod auth;
pub(crate) mod jwt;
pub(crate) mod meter;
