//! The state machine's retries, read from its definition: how often and after how long it repeats a
//! state by itself.

use anyhow::Context;
use protocol::State;
use serde_json::Value;
use tooling::{Checkout, Tasks};

use crate::limit::{SECOND, Time};

/// Of each state, its retriers in order.
#[derive(Clone, Debug)]
pub(crate) struct Machine(Vec<(State, Vec<Retrier>)>);

/// A retrier.
#[derive(Clone, Debug)]
struct Retrier {
    errors: Vec<String>,
    interval: f64,
    rate: f64,
    longest: f64,
    attempts: u8,
}

/// How often each of a state's retriers was used since the state was entered; more retriers than any
/// state has.
pub(crate) type Tries = [u8; 4];

impl Machine {
    pub(crate) fn read(checkout: &Checkout) -> anyhow::Result<Self> {
        let definition = checkout.definition(Tasks::Warm)?;
        let states = definition["States"].as_object().context("no states")?;
        let read = |(name, state): (&String, &Value)| {
            let retriers = state["Retry"].as_array().into_iter().flatten();
            let retriers = retriers.map(|retrier| Retrier::read(name, retrier));
            Ok((name.parse()?, retriers.collect::<anyhow::Result<_>>()?))
        };
        states
            .iter()
            .map(read)
            .collect::<anyhow::Result<_>>()
            .map(Self)
    }

    /// How long a state waits before it is repeated after this error; `None` if its Catch is next.
    /// `fraction` is a random number in `0..1`.
    pub(crate) fn retries(
        &self,
        state: State,
        error: &str,
        tries: &mut Tries,
        fraction: f64,
    ) -> Option<Time> {
        let (_, retriers) = self.0.iter().find(|(other, _)| *other == state)?;
        let named = |retrier: &Retrier| {
            let all = |name: &String| name == error || name == "States.ALL";
            retrier.errors.iter().any(all)
        };
        let index = retriers.iter().position(named)?;
        let (retrier, used) = (&retriers[index], tries.get_mut(index)?);
        if *used >= retrier.attempts {
            return None;
        }
        let longest = retrier.interval * retrier.rate.powi(i32::from(*used));
        *used += 1;
        // `JitterStrategy: FULL` draws from zero to the delay.
        let delay = longest.min(retrier.longest) * fraction;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let delay = (delay * 1e6) as Time;
        Some(delay.min(SECOND * 3_600))
    }
}

impl Retrier {
    fn read(state: &str, retrier: &Value) -> anyhow::Result<Self> {
        let number = |field: &str| {
            let number = retrier[field].as_f64();
            number.with_context(|| format!("a retrier of {state} has no {field}"))
        };
        let errors = retrier["ErrorEquals"].as_array().into_iter().flatten();
        anyhow::ensure!(
            retrier["JitterStrategy"] == "FULL",
            "a retrier of {state} has no full jitter"
        );
        Ok(Self {
            errors: errors
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            interval: number("IntervalSeconds")?,
            rate: number("BackoffRate")?,
            longest: number("MaxDelaySeconds")?,
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            attempts: number("MaxAttempts")? as u8,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttled_token_is_repeated_eight_times_and_a_refused_one_never() {
        let machine = Machine::read(&Checkout::here()).unwrap();
        let mut tries = Tries::default();
        let mut delays = Vec::new();
        while let Some(delay) = machine.retries(State::Token, "Throttled", &mut tries, 1.0) {
            delays.push(delay / SECOND);
        }
        assert_eq!(delays, [2, 4, 8, 16, 32, 60, 60, 60]);
        let mut tries = Tries::default();
        assert_eq!(
            machine.retries(State::Token, "GitHubRefused", &mut tries, 1.0),
            None
        );
    }
}
