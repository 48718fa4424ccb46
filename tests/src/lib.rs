//! What the tests of the whole share.

mod description;
mod recorder;

pub use description::check_exchanges;
pub use recorder::{Exchange, Recorder};
