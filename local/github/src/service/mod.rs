//! The runners' service, which listeners speak with.

pub(crate) mod registrations;
pub(crate) mod sessions;
