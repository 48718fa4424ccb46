//! Shared by the repository's tools: paths, progress, and running programs with their output.

mod chromium;
mod command;
mod definition;
mod exit;
mod number;
mod paths;
mod progress;
mod stack;
mod tinyproxy;

pub use chromium::{CHROMIUMS, chromium};
pub use command::{run, shown};
pub use definition::Tasks;
pub use exit::exit;
pub use number::thousands;
pub use paths::{Architecture, Checkout};
pub use progress::{Progress, Step, seconds};
pub use stack::StackOptions;
pub use tinyproxy::tinyproxy;
