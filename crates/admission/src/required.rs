//! What a job must ask for: alternatives, of which one has to be met.

use std::fmt;
use std::str::FromStr;

use protocol::LabelSet;

/// What an alternative for a runner group begins with.
const GROUP: &str = "group:";

/// What a job must ask for to be served, as `self-hosted | group:Build | dependabot`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Required(Vec<Alternative>);

/// One way to ask for a runner of this deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Alternative {
    /// Every one of these labels; one that ends in `=` stands for any label that begins with it.
    Labels(LabelSet),
    /// No label, only a runner group of this name (`runs-on: {group: NAME}`).
    Group(String),
}

/// Text that names no alternatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequiredError {
    /// Nothing stands between two bars.
    #[error("empty alternative: write labels or `group:NAME` on both sides of each `|`")]
    Empty,
    /// A group without a name.
    #[error("`group:` has no name: write the runner group's name after it")]
    NoGroup,
    /// A group among labels.
    #[error(
        "`group:NAME` stands among labels; make it an alternative of its own (`LABEL | group:NAME`), \
         because a job that asks for labels as well is told by those"
    )]
    GroupAmongLabels,
}

impl Default for Required {
    fn default() -> Self {
        Self(vec![Alternative::Labels(LabelSet::new([
            protocol::SELF_HOSTED,
        ]))])
    }
}

impl FromStr for Required {
    type Err = RequiredError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split('|')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl FromStr for Alternative {
    type Err = RequiredError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if let Some(name) = after_group(text) {
            // The whole rest is the name: groups have names with spaces.
            return match name.trim() {
                "" => Err(RequiredError::NoGroup),
                name => Ok(Self::Group(name.to_owned())),
            };
        }
        let labels = LabelSet::parse(text);
        if labels.is_empty() {
            return Err(RequiredError::Empty);
        }
        if labels
            .iter()
            .any(|label| after_group(label.as_str()).is_some())
        {
            return Err(RequiredError::GroupAmongLabels);
        }
        Ok(Self::Labels(labels))
    }
}

fn after_group(text: &str) -> Option<&str> {
    let (start, rest) = text.split_at_checked(GROUP.len())?;
    start.eq_ignore_ascii_case(GROUP).then_some(rest)
}

impl Required {
    /// Whether a job asks for a runner of this deployment. `group` is the runner group that its
    /// event names.
    ///
    /// GitHub's event of a queued job does not tell which group it asks for: `runner_group_name` is
    /// null until a runner has the job, and a job that asks for a group alone has an empty list of
    /// labels ([peer], 2021-11-26). So such a job is taken to ask for the named group unless the
    /// event says otherwise.
    ///
    /// [peer]: https://github.com/actions/actions-runner-controller/pull/922
    pub fn met(&self, labels: &LabelSet, group: Option<&str>) -> bool {
        self.0.iter().any(|alternative| match alternative {
            Alternative::Labels(required) => labels.lacking(required).iter().all(|missing| {
                let start = missing.as_str();
                start.ends_with('=') && labels.iter().any(|label| label.as_str().starts_with(start))
            }),
            Alternative::Group(name) => {
                labels.is_empty()
                    && group.is_none_or(|group| group.to_lowercase() == name.to_lowercase())
            }
        })
    }

    /// The labels to ask for, where there is only one way.
    pub fn only_labels(&self) -> Option<&LabelSet> {
        match &self.0[..] {
            [Alternative::Labels(labels)] => Some(labels),
            _ => None,
        }
    }
}

impl fmt::Display for Required {
    /// As it is written in the variable.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, alternative) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" | ")?;
            }
            match alternative {
                Alternative::Labels(labels) => labels.fmt(f)?,
                Alternative::Group(name) => write!(f, "{GROUP}{name}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn required(text: &str) -> Required {
        text.parse().unwrap()
    }

    #[test]
    fn one_alternative_is_enough() {
        let required = required("self-hosted fargate | group:Build Machines|Dependabot");
        for (labels, group, met) in [
            ("self-hosted fargate linux", None, true),
            ("self-hosted", None, false),
            ("dependabot", None, true),
            ("", None, true),
            ("", Some("build machines"), true),
            ("", Some("Default"), false),
            ("linux", Some("Build Machines"), false),
            ("ubuntu-latest", None, false),
        ] {
            let told = required.met(&LabelSet::parse(labels), group);
            assert_eq!(told, met, "[{labels}] {group:?}");
        }
    }

    #[test]
    fn a_job_without_labels_is_served_only_where_a_group_is_named() {
        for text in ["self-hosted", "dependabot | gpu"] {
            assert!(!required(text).met(&LabelSet::default(), None), "{text}");
        }
        assert_eq!(required("Self-Hosted"), Required::default());
    }

    #[test]
    fn a_label_that_ends_in_an_equals_sign_stands_for_all_that_begin_with_it() {
        let required = required("self-hosted | Fargate=");
        for (labels, met) in [
            ("fargate=99/cpu=4", true),
            ("FARGATE=99 linux", true),
            ("fargate=", true),
            ("fargate", false),
            ("linux", false),
            ("self-hosted fargate=99", true),
        ] {
            assert_eq!(
                required.met(&LabelSet::parse(labels), None),
                met,
                "{labels}"
            );
        }
    }

    #[test]
    fn what_names_no_alternative_is_told_in_a_sentence() {
        for (text, error) in [
            ("", RequiredError::Empty),
            (" , ", RequiredError::Empty),
            ("self-hosted |", RequiredError::Empty),
            ("| self-hosted", RequiredError::Empty),
            ("self-hosted | group: ", RequiredError::NoGroup),
            ("self-hosted group:x", RequiredError::GroupAmongLabels),
        ] {
            assert_eq!(text.parse::<Required>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn what_is_printed_reads_back() {
        let text = "fargate self-hosted | group:Build Machines | dependabot";
        assert_eq!(required(text).to_string(), text);
    }
}
