//! What the repository's tools share: where things are, how long they take, and running other
//! people's programs without hiding what those say.

mod command;
mod exit;
mod paths;
mod progress;
mod stack;

pub use command::{run, shown};
pub use exit::exit;
pub use paths::{Architecture, Checkout};
pub use progress::{Progress, Step, seconds};
pub use stack::StackOptions;
