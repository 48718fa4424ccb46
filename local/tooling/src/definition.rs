//! The state machine's definition, as CDK deploys it.

use std::fs;

use anyhow::Context;
use serde_json::Value;

use crate::Checkout;

/// Which deployment's definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tasks {
    /// Every job starts its task: `runner.asl.json`.
    Cold,
    /// Some runner has warm tasks: `warm.asl.json` is merged into it.
    Warm,
    /// The number of runners is capped: `caps.asl.json` is merged into it.
    Capped,
    /// Both are merged into it, the caps last.
    WarmAndCapped,
}

impl Tasks {
    pub const ALL: [Self; 4] = [Self::Cold, Self::Warm, Self::Capped, Self::WarmAndCapped];

    /// Whether some runner has warm tasks.
    pub const fn are_warm(self) -> bool {
        matches!(self, Self::Warm | Self::WarmAndCapped)
    }

    /// Whether the number of runners is capped.
    pub const fn are_capped(self) -> bool {
        matches!(self, Self::Capped | Self::WarmAndCapped)
    }
}

impl Checkout {
    /// Reads the state machine's definition, with CDK's substitutions unresolved.
    pub fn definition(&self, tasks: Tasks) -> anyhow::Result<Value> {
        let read = |name: &str| -> anyhow::Result<Value> {
            let path = self.path("statemachine").join(name);
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            serde_json::from_str(&text)
                .with_context(|| format!("{} is not valid JSON", path.display()))
        };
        let mut definition = read("runner.asl.json")?;
        if tasks.are_warm() {
            merge(&mut definition, read("warm.asl.json")?);
        }
        if tasks.are_capped() {
            merge(&mut definition, read("caps.asl.json")?);
        }
        Ok(definition)
    }
}

/// Applies a JSON merge patch ([RFC 7396]): objects are merged, null removes, all else replaces.
///
/// [RFC 7396]: https://www.rfc-editor.org/rfc/rfc7396
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(fields) = target else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            fields.remove(&key);
        } else {
            merge(fields.entry(key).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_merges_objects_removes_what_is_null_and_replaces_all_else() {
        let mut target = json!({ "a": { "b": 1, "c": 2 }, "d": [1, 2], "e": "text" });
        merge(
            &mut target,
            json!({ "a": { "b": null, "f": { "g": 3 } }, "d": [3], "e": { "h": null } }),
        );
        assert_eq!(
            target,
            json!({ "a": { "c": 2, "f": { "g": 3 } }, "d": [3], "e": {} })
        );
    }

    #[test]
    fn warm_tasks_add_states_and_leave_the_others_as_they_are() {
        let checkout = Checkout::here();
        let cold = checkout.definition(Tasks::Cold).unwrap();
        let warm = checkout.definition(Tasks::Warm).unwrap();
        for (name, state) in cold["States"].as_object().unwrap() {
            assert_eq!(*state == warm["States"][name], name != "Token", "{name}");
        }
        assert_eq!(
            warm["States"]["WarmRunner"]["TimeoutSeconds"],
            cold["States"]["Runner"]["TimeoutSeconds"]
        );
        assert_eq!(
            warm["States"]["Token"]["Retry"],
            cold["States"]["Token"]["Retry"]
        );
        assert_eq!(
            warm["States"]["Token"]["Catch"],
            cold["States"]["Token"]["Catch"]
        );
    }

    #[test]
    fn caps_add_a_state_and_one_rule_to_token() {
        let checkout = Checkout::here();
        for (without, with) in [
            (Tasks::Cold, Tasks::Capped),
            (Tasks::Warm, Tasks::WarmAndCapped),
        ] {
            let without = checkout.definition(without).unwrap();
            let with = checkout.definition(with).unwrap();
            for (name, state) in without["States"].as_object().unwrap() {
                assert_eq!(*state == with["States"][name], name != "Token", "{name}");
            }
            let rules = |machine: &Value| {
                machine["States"]["Token"]["Catch"]
                    .as_array()
                    .unwrap()
                    .clone()
            };
            let (before, after) = (rules(&without), rules(&with));
            assert_eq!(after[1..], before, "the others are as they are");
            for field in ["Retry", "Output", "Assign", "Next"] {
                assert_eq!(
                    with["States"]["Token"][field],
                    without["States"]["Token"][field]
                );
            }
        }
    }
}
