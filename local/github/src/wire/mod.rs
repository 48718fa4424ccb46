//! How a call comes in and an answer or a webhook goes out.

pub(crate) mod answer;
pub(crate) mod auth;
pub(crate) mod call;
pub(crate) mod jwt;
pub(crate) mod meter;
pub(crate) mod paging;
pub(crate) mod sender;
