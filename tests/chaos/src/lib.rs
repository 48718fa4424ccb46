//! A seeded run of many jobs under faults on the local stack, and what it is measured by.
//!
//! [`schedule`] says from a seed what happens when, [`orders`] what a fault means to the engine or to
//! GitHub, [`site`] starts the stack, [`play`] lets it happen and waits until all has settled,
//! [`account`] finds what is amiss, and [`report`] shows it.

pub mod account;
pub mod orders;
pub mod play;
pub mod report;
pub mod schedule;
pub mod site;
