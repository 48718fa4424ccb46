//! Parses the listener's output.
//!
//! The lines are those of the runner's console
//! ([listener](https://github.com/actions/runner/blob/main/src/Runner.Listener/Runner.cs),
//! [dispatcher](https://github.com/actions/runner/blob/main/src/Runner.Listener/JobDispatcher.cs)),
//! each after a time like `2026-01-01 00:00:00Z: `. A job's output goes to GitHub and never appears
//! here. A job's name does, so lines with a name are not searched in the middle.

/// A recognized line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The registration was accepted; GitHub may assign a job.
    Listening,
    /// A job started; its display name.
    Started(String),
    /// That job ended.
    Completed(JobResult),
    /// GitHub rejects this runner version.
    Deprecated,
    /// GitHub is unreachable, with the listener's reason. The listener prints it once and retries
    /// every 30 s for ever
    /// ([source](https://github.com/actions/runner/blob/main/src/Runner.Listener/BrokerMessageListener.cs)).
    ConnectError(String),
    /// Another listener has the session. The listener waits four minutes for it (same source).
    Conflict,
}

/// A job's result, as the listener spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobResult(String);

impl JobResult {
    /// Whether the job ended by itself. A job that is shut down ends as `Canceled`, `Failed` or
    /// `Abandoned`.
    pub fn is_success(&self) -> bool {
        matches!(
            self.0.as_str(),
            "Succeeded" | "SucceededWithIssues" | "Skipped"
        )
    }

    /// Whether the listener reports this result for a job whose worker died: an unknown exit code
    /// counts as a failure
    /// ([source](https://github.com/actions/runner/blob/main/src/Runner.Common/Util/TaskResultUtil.cs)),
    /// and a job that it could not renew is abandoned.
    pub fn may_hide_a_death(&self) -> bool {
        matches!(self.0.as_str(), "Failed" | "Abandoned")
    }

    /// The listener's spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for JobResult {
    fn from(result: &str) -> Self {
        Self(result.to_owned())
    }
}

impl Event {
    /// Parses one line, without its line end.
    pub fn read(line: &str) -> Option<Self> {
        let text = without_time(line.trim_end());
        if text == "Listening for Jobs" {
            Some(Self::Listening)
        } else if let Some(name) = text.strip_prefix("Running job: ") {
            Some(Self::Started(name.to_owned()))
        } else if let Some(rest) = text.strip_prefix("Job ") {
            let (_, result) = rest.rsplit_once(" completed with result: ")?;
            Some(Self::Completed(result.into()))
        } else if let Some(reason) = text.strip_prefix("Runner connect error: ") {
            Some(Self::ConnectError(reason.to_owned()))
        } else if text == "A session for this runner already exists." {
            Some(Self::Conflict)
        } else if text.contains("unner version")
            && text.contains("is deprecated and cannot receive messages")
        {
            Some(Self::Deprecated)
        } else {
            None
        }
    }
}

fn without_time(line: &str) -> &str {
    let shape = b"0000-00-00 00:00:00Z: ";
    let fits = line.len() >= shape.len()
        && line.bytes().zip(shape).all(|(byte, form)| {
            if *form == b'0' {
                byte.is_ascii_digit()
            } else {
                byte == *form
            }
        });
    if fits { &line[shape.len()..] } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_the_listener_prints_them() {
        for (line, event) in [
            (
                "2026-03-01 10:00:00Z: Listening for Jobs",
                Some(Event::Listening),
            ),
            ("Listening for Jobs", Some(Event::Listening)),
            (
                "2026-03-01 10:00:07Z: Running job: build (x64)\r",
                Some(Event::Started("build (x64)".into())),
            ),
            (
                "2026-03-01 10:00:09Z: Job build (x64) completed with result: Succeeded",
                Some(Event::Completed("Succeeded".into())),
            ),
            (
                "An error occurred: Runner version v2.300.0 is deprecated and cannot receive messages.",
                Some(Event::Deprecated),
            ),
            (
                "2026-03-01 10:00:00Z: Runner connect error: Name or service not known (api.github.com:443). Retrying until reconnected.",
                Some(Event::ConnectError(
                    "Name or service not known (api.github.com:443). Retrying until reconnected."
                        .into(),
                )),
            ),
            (
                "A session for this runner already exists.",
                Some(Event::Conflict),
            ),
            ("Current runner version: '2.338.0'", None),
            ("√ Connected to GitHub", None),
            ("", None),
        ] {
            assert_eq!(Event::read(line), event, "{line}");
        }
    }

    #[test]
    fn a_jobs_name_cannot_pass_for_another_line() {
        let named = |name: &str| Event::read(&format!("2026-03-01 10:00:07Z: Running job: {name}"));
        for name in [
            "Listening for Jobs",
            "Job x completed with result: Succeeded",
            "Runner version v1 is deprecated and cannot receive messages",
            "Runner connect error: x",
            "A session for this runner already exists.",
        ] {
            assert_eq!(named(name), Some(Event::Started(name.into())));
        }
        let line = "2026-03-01 10:00:09Z: Job a completed with result: Succeeded completed with result: Failed";
        assert_eq!(Event::read(line), Some(Event::Completed("Failed".into())));
    }

    #[test]
    fn only_results_that_no_shutdown_causes_are_successes() {
        for (result, success) in [
            ("Succeeded", true),
            ("SucceededWithIssues", true),
            ("Skipped", true),
            ("Failed", false),
            ("Canceled", false),
            ("Abandoned", false),
        ] {
            assert_eq!(JobResult::from(result).is_success(), success, "{result}");
        }
    }
}
