//! Counts calls against GitHub's limits.

use crate::state::refusal::Refusal;
use crate::state::traffic::count;
use crate::state::world::World;

const HOUR: i64 = 3600;

const MINUTE: i64 = 60;

impl World {
    /// Counts a call against the hour's limit: the headers that say how it stands, and whether it is
    /// too much.
    pub(crate) fn count_call(&mut self, installation: u64) -> (Vec<(&'static str, String)>, bool) {
        let now = self.now().unix_timestamp();
        let limit = self.settings.hourly_limit;
        let window = count(&mut self.traffic.hours, installation, now, HOUR);
        let headers = vec![
            ("x-ratelimit-limit", limit.to_string()),
            (
                "x-ratelimit-remaining",
                limit.saturating_sub(window.used).to_string(),
            ),
            ("x-ratelimit-reset", window.ends.to_string()),
            ("x-ratelimit-used", window.used.min(limit).to_string()),
            ("x-ratelimit-resource", "core".to_owned()),
        ];
        (headers, self.settings.enforce_limits && window.used > limit)
    }

    /// Counts a just-in-time configuration against the minute's limit.
    pub(crate) fn count_configuration(&mut self, installation: u64) -> Result<(), Refusal> {
        let now = self.now().unix_timestamp();
        let window = count(&mut self.traffic.configurations, installation, now, MINUTE);
        if self.settings.enforce_limits && window.used > self.settings.configurations_per_minute {
            let retry_after = u64::try_from(window.ends - now).unwrap_or(1).max(1);
            return Err(Refusal::secondary_limit(retry_after));
        }
        Ok(())
    }
}
