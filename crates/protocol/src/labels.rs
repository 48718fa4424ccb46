//! Runner labels: parsing and comparison.
//!
//! GitHub assigns a job with the labels `L` to any idle runner whose labels include `L`, ignoring
//! case ([docs]). So labels are stored in lower case and compared as sets.
//!
//! [docs]: https://docs.github.com/actions/reference/runners/self-hosted-runners#routing-precedence-for-self-hosted-runners

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The label of every self-hosted runner. Alone it selects no runner, so it matches nothing.
pub const SELF_HOSTED: &str = "self-hosted";

/// A runner label, in lower case and never empty.
///
/// Any character that GitHub delivers is kept. A label that no task definition can offer, for
/// example one with a space, never matches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(String);

/// An empty or blank label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("empty label: use at least one character")]
pub struct EmptyLabel;

impl Label {
    /// Parses a label: trims white space and converts to lower case.
    pub fn new(text: &str) -> Result<Self, EmptyLabel> {
        let text = text.trim();
        if text.is_empty() {
            return Err(EmptyLabel);
        }
        Ok(Self(text.to_lowercase()))
    }

    /// The label as GitHub compares it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Label {
    type Error = EmptyLabel;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A sorted set of labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LabelSet(BTreeSet<Label>);

impl LabelSet {
    /// Parses a webhook's labels; skips empty ones.
    pub fn new<T: AsRef<str>>(labels: impl IntoIterator<Item = T>) -> Self {
        Self(
            labels
                .into_iter()
                .filter_map(|label| Label::new(label.as_ref()).ok())
                .collect(),
        )
    }

    /// Parses a space-separated list, such as the `GH:labels` tag. Commas also separate, because
    /// environment variables often use them.
    pub fn parse(list: &str) -> Self {
        Self::new(list.split(|c: char| c.is_whitespace() || c == ','))
    }

    /// Whether every label of `wanted` is in this set.
    pub fn carries(&self, wanted: &Self) -> bool {
        wanted.0.is_subset(&self.0)
    }

    /// The labels of `wanted` that are not in this set.
    #[must_use]
    pub fn lacking(&self, wanted: &Self) -> Self {
        Self(wanted.0.difference(&self.0).cloned().collect())
    }

    /// The labels for which `belongs` holds, and the others.
    #[must_use]
    pub fn partition(&self, belongs: impl Fn(&Label) -> bool) -> (Self, Self) {
        let (these, others) = self.0.iter().cloned().partition(|label| belongs(label));
        (Self(these), Self(others))
    }

    /// Whether the set selects a kind of runner: more than `self-hosted`.
    pub fn is_specific(&self) -> bool {
        self.0.iter().any(|label| label.as_str() != SELF_HOSTED)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Label> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for LabelSet {
    /// Space separated, as in the `GH:labels` tag.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, label) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            label.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn labels_are_compared_without_case() {
        assert!(LabelSet::parse("Self-Hosted Linux X64").carries(&LabelSet::new(["LINUX", "x64"])));
    }

    #[test]
    fn lacking_names_only_what_is_missing() {
        let offered = LabelSet::parse("self-hosted linux");
        assert_eq!(
            offered.lacking(&LabelSet::parse("linux gpu")),
            LabelSet::parse("gpu")
        );
    }

    #[test]
    fn self_hosted_alone_is_not_specific() {
        assert!(!LabelSet::parse("Self-Hosted").is_specific());
        assert!(!LabelSet::default().is_specific());
        assert!(LabelSet::parse("self-hosted linux").is_specific());
    }

    #[test]
    fn empty_labels_are_left_out_of_a_set_and_refused_alone() {
        assert_eq!(LabelSet::new(["", " ", "a"]).len(), 1);
        assert_eq!(Label::new("  "), Err(EmptyLabel));
    }

    proptest! {
        #[test]
        fn a_set_always_carries_itself_whatever_the_case(labels in prop::collection::vec(".{0,12}", 0..6)) {
            let set = LabelSet::new(&labels);
            let upper = LabelSet::new(set.iter().map(|label| label.as_str().to_owned()));
            prop_assert!(set.carries(&upper));
            prop_assert!(set.lacking(&upper).is_empty());
        }

        #[test]
        fn a_printed_set_reads_back(labels in prop::collection::vec("[a-z0-9._-]{1,12}", 0..6)) {
            let set = LabelSet::new(&labels);
            prop_assert_eq!(LabelSet::parse(&set.to_string()), set);
        }
    }
}
