//! An installation's status, and rejections that it does not explain.

use std::collections::BTreeMap;

use crate::Error;
use crate::transport::{Answer, Call, unavailable};

/// An installation, as the App sees it.
pub(crate) enum Standing {
    /// GitHub knows no such installation, and said so twice.
    Gone,
    /// Suspended: it rejects every call.
    Suspended,
    /// It works, with these permissions.
    Granted(BTreeMap<String, String>),
}

/// The error for a rejection although the App, its installation and its permissions are correct.
pub(crate) fn contradicted(call: &Call, answer: &Answer) -> Error {
    unavailable(call, unexplained(answer.status.as_u16(), &answer.message()))
}

pub(crate) fn unexplained(status: u16, message: &str) -> String {
    format!(
        "status {status}: {message}; the App, its installation and its permissions are correct, so this counts as an outage"
    )
}
