//! Settings of `stock`.

use placement::Placement;
use runtime::settings::{Error, Settings, Variable};
use runtime::telemetry;

use crate::stocks::Stocks;

const STOCK: Variable = Variable::required(
    "STOCK",
    "JSON: how many warm tasks of each family are kept ready, and when; the CDK app writes it from `warm`",
);

pub const VARIABLES: &[&[Variable]] = &[
    placement::VARIABLES,
    &[STOCK],
    pool::VARIABLES,
    aws::VARIABLES,
    telemetry::VARIABLES,
];

#[derive(Clone, Debug)]
pub struct Config {
    pub placement: Placement,
    pub stocks: Stocks,
}

impl Config {
    pub fn from_settings(settings: &Settings) -> Result<Self, Error> {
        Ok(Self {
            placement: Placement::from_settings(settings)?,
            stocks: settings.parsed(&STOCK)?,
        })
    }
}
