//! What the tests of the whole share.

mod browser;
mod description;
mod recorder;

pub use browser::{Browser, Screen};
pub use description::check_exchanges;
pub use recorder::{Exchange, Recorder};
