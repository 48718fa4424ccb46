//! How an installation stands, and a refusal that it does not explain.

use std::collections::BTreeMap;

use crate::Error;
use crate::transport::{Answer, Call, unavailable};

/// How an installation stands, by the App's own look.
pub(crate) enum Standing {
    /// GitHub knows no such installation, and answered so twice.
    Gone,
    /// It is suspended and refuses every call.
    Suspended,
    /// It works, with these permissions.
    Granted(BTreeMap<String, String>),
}

/// That GitHub refused a call although the App, its installation and its permissions are as needed.
pub(crate) fn contradicted(call: &Call, answer: &Answer) -> Error {
    unavailable(call, unexplained(answer.status.as_u16(), &answer.message()))
}

pub(crate) fn unexplained(status: u16, message: &str) -> String {
    format!(
        "status {status}: {message}; GitHub shows the App, its installation and its permissions as they should be, so this is taken for an outage"
    )
}
