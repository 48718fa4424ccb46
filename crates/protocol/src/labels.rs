//! Runner labels: how they are written, and when one set carries another.
//!
//! GitHub gives a job with the labels `L` to any idle runner whose label set contains `L`, compared
//! without case ([docs]). So labels are kept in lower case here, and a set is the unit of comparison.
//!
//! [docs]: https://docs.github.com/actions/reference/runners/self-hosted-runners#routing-precedence-for-self-hosted-runners

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The label that every self-hosted runner carries. On its own it says nothing about which runner is
/// wanted, so it matches nothing.
pub const SELF_HOSTED: &str = "self-hosted";

/// One runner label, in lower case and never empty.
///
/// Any character GitHub delivers is kept: a label that no task definition can offer (one with a
/// space, say) simply never matches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(String);

/// A label that is empty or only white space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a label is empty; give it at least one character")]
pub struct EmptyLabel;

impl Label {
    /// Reads a label: outer white space is dropped, letters become lower case.
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

/// A set of labels, sorted, without repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LabelSet(BTreeSet<Label>);

impl LabelSet {
    /// Reads labels as a webhook gives them; empty ones are left out.
    pub fn new<T: AsRef<str>>(labels: impl IntoIterator<Item = T>) -> Self {
        Self(
            labels
                .into_iter()
                .filter_map(|label| Label::new(label.as_ref()).ok())
                .collect(),
        )
    }

    /// Reads a space-separated list, the form of the `GH:labels` tag. Commas separate too, because
    /// environment variables are often written with them.
    pub fn parse(list: &str) -> Self {
        Self::new(list.split(|c: char| c.is_whitespace() || c == ','))
    }

    /// Whether every label of `wanted` is in this set.
    pub fn carries(&self, wanted: &Self) -> bool {
        wanted.0.is_subset(&self.0)
    }

    /// The labels of `wanted` that this set lacks.
    #[must_use]
    pub fn lacking(&self, wanted: &Self) -> Self {
        Self(wanted.0.difference(&self.0).cloned().collect())
    }

    /// Whether the set names a kind of runner at all: `self-hosted` alone, or nothing, does not.
    pub fn is_specific(&self) -> bool {
        self.0.iter().any(|label| label.as_str() != SELF_HOSTED)
    }

    /// The labels in order.
    pub fn iter(&self) -> impl Iterator<Item = &Label> {
        self.0.iter()
    }

    /// How many labels the set has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the set has no label.
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
