//! Chaos tests: a seeded run of many jobs under faults on the local stack.
//!
//! [`schedule`] derives from a seed what happens when. [`orders`] translates a fault for the engine
//! or GitHub. [`site`] starts the stack. [`play`] carries out the schedule and waits until
//! everything has settled. [`injected`] tells what `why` must name of that. [`account`] finds problems,
//! and [`report`] shows them.

pub mod account;
pub mod injected;
pub mod orders;
pub mod play;
pub mod report;
pub mod schedule;
pub mod site;
pub mod stock;
