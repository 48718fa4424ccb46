//! Settings of `launch`.

use placement::Placement;
use runtime::settings::{Error, Settings, Variable, shared};
use runtime::telemetry;

pub const VARIABLES: &[&[Variable]] = &[
    placement::VARIABLES,
    &[shared::PREFIX],
    telemetry::VARIABLES,
];

#[derive(Clone, Debug)]
pub struct Config {
    /// The first segment of SSM paths.
    pub prefix: String,
    pub placement: Placement,
}

impl Config {
    pub fn from_settings(settings: &Settings) -> Result<Self, Error> {
        Ok(Self {
            placement: Placement::from_settings(settings)?,
            prefix: settings.text(&shared::PREFIX)?,
        })
    }
}
