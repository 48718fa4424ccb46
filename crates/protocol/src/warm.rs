//! Warm tasks: what the steps tell each other about them.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Repository;

/// Maximum number of warm tasks of one family: slots are numbered with two digits.
pub const MAX_SLOTS: u8 = 100;

/// A warm task that an execution adopted. JSON fields are in camel case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Adopted {
    pub task_arn: String,
}

/// A message from `token` to the keeper of the stock: a job came for a family, and how it starts. JSON
/// fields are in camel case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Demand {
    pub family: String,
    pub repository: Repository,
    pub start: Start,
}

/// Whether a job took a task of the stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Start {
    /// It took a ticket.
    Warm,
    /// There was none for it.
    Cold,
}

impl Start {
    /// Its name in metrics and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warm => "warm",
            Self::Cold => "cold",
        }
    }
}

/// What a family's tag `GH:warm` tells of its pool: the number of slots, then in any order `spot` if
/// the pool's tasks run on Spot, and `max=N` for what one repository may take in a minute (`2`, `2 spot`,
/// `5 spot max=3`). JSON fields are in camel case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Warm {
    /// Slots of the stock: the most tasks that are ever wanted.
    pub slots: u8,
    /// Whether its tasks run on Spot.
    #[serde(default)]
    pub spot: bool,
    /// How many of its tasks one repository may take in a minute; no limit if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_repository: Option<u32>,
}

/// A tag that says nothing usable about a pool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} does not describe a pool: use the number of slots (1 to {MAX_SLOTS}), then `spot` and `max=N` if they apply"
)]
pub struct WarmError(String);

impl FromStr for Warm {
    type Err = WarmError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || WarmError(text.to_owned());
        let mut words = text.split_whitespace();
        let slots = words.next().and_then(|word| word.parse().ok());
        let mut warm = Self {
            slots: slots
                .filter(|slots| (1..=MAX_SLOTS).contains(slots))
                .ok_or_else(error)?,
            spot: false,
            max_per_repository: None,
        };
        for word in words {
            match word.split_once('=') {
                None if word == "spot" => warm.spot = true,
                Some(("max", limit)) => {
                    let limit = limit.parse().ok().filter(|limit| *limit > 0);
                    warm.max_per_repository = Some(limit.ok_or_else(error)?);
                }
                _ => return Err(error()),
            }
        }
        Ok(warm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demand_reads_back_from_its_own_json() {
        let json =
            serde_json::json!({ "family": "f", "repository": "octo/hello", "start": "warm" });
        let demand: Demand = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&demand).unwrap(), json);
    }

    #[test]
    fn a_tag_tells_slots_spot_and_the_share_of_a_repository() {
        let warm = |slots, spot, max_per_repository| Warm {
            slots,
            spot,
            max_per_repository,
        };
        for (text, expected) in [
            ("2", warm(2, false, None)),
            (" 100 spot ", warm(100, true, None)),
            ("5 max=3 spot", warm(5, true, Some(3))),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in ["", "0", "101", "two", "2 Spot", "2 max=0", "2 5", "spot 2"] {
            assert!(text.parse::<Warm>().is_err(), "{text}");
        }
    }
}
