//! The client at the wire: what it sends, how often, and what it makes of the answers.

// Helpers count as tests here, and a reply is written where it is given away.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod absence;
mod answers;
mod installations;
mod runners;
mod stub;
mod tokens;
