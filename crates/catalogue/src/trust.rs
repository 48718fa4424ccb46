//! Decides which task definitions are offers. Pure.
//!
//! A principal that may register task definitions under the family prefix could offer narrower labels
//! and so run jobs in its own container. And a listing by the family prefix `x-` also returns the
//! families of another deployment, `x-dev-…`. The tag [`PREFIX_TAG`](crate::PREFIX_TAG) therefore names
//! the owner:
//!
//! | the tag | [`Trusted::Deployment`] | [`Trusted::Prefix`] |
//! |---|---|---|
//! | this deployment's prefix | an offer | an offer, preferred among equals |
//! | another deployment's prefix | none | none |
//! | missing or empty | none | an offer |

use std::str::FromStr;

use runtime::settings::Variable;

use crate::{Catalogue, Offer};

/// Which task definitions are offers.
pub const TRUSTED_DEFINITIONS: Variable = Variable::with_default(
    "TRUSTED_DEFINITIONS",
    "deployment",
    "`deployment` or `prefix`: whether only task definitions whose tag `fargate-runners:prefix` names this deployment are offered, or also those under the family prefix that have no such tag",
);

/// Which task definitions are offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// Those that carry this deployment's tag.
    Deployment,
    /// Those that carry no other deployment's tag.
    Prefix,
}

impl FromStr for Trusted {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "deployment" => Ok(Self::Deployment),
            "prefix" => Ok(Self::Prefix),
            _ => Err("give `deployment` or `prefix`"),
        }
    }
}

/// Rule for accepting task definitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The deployment's prefix.
    pub prefix: String,
    pub trusted: Trusted,
}

impl Trust {
    /// Whether a definition carries this deployment's own tag.
    pub fn is_ours(&self, offer: &Offer) -> bool {
        offer.deployment.as_deref() == Some(self.prefix.trim_matches('/'))
    }

    /// Whether a definition is an offer here.
    pub fn admits(&self, offer: &Offer) -> bool {
        self.is_ours(offer) || (self.trusted == Trusted::Prefix && offer.deployment.is_none())
    }

    /// The definitions that are offers here, and the others.
    pub fn sort(&self, catalogue: Catalogue) -> (Catalogue, Vec<Offer>) {
        let (offers, others) = catalogue
            .offers
            .into_iter()
            .partition(|offer| self.admits(offer));
        let found = Catalogue {
            offers,
            read_at: catalogue.read_at,
            turn: catalogue.turn,
        };
        (found, others)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::LabelSet;
    use time::OffsetDateTime;

    use super::*;

    fn tagged(deployment: Option<&str>) -> Offer {
        Offer {
            deployment: deployment.map(str::to_owned),
            labels: LabelSet::parse("linux"),
            ..Offer::default()
        }
    }

    fn trust(trusted: Trusted) -> Trust {
        Trust {
            prefix: "x".to_owned(),
            trusted,
        }
    }

    #[test]
    fn the_tag_says_whose_a_definition_is() {
        for (tag, by_deployment, by_prefix) in [
            (Some("x"), true, true),
            (Some("y"), false, false),
            (Some("x-dev"), false, false),
            (Some("X"), false, false),
            (None, false, true),
        ] {
            let offer = tagged(tag);
            assert_eq!(
                trust(Trusted::Deployment).admits(&offer),
                by_deployment,
                "{tag:?}"
            );
            assert_eq!(trust(Trusted::Prefix).admits(&offer), by_prefix, "{tag:?}");
        }
    }

    #[test]
    fn another_word_is_told_the_two_that_there_are() {
        assert_eq!("deployment".parse(), Ok(Trusted::Deployment));
        assert_eq!("prefix".parse(), Ok(Trusted::Prefix));
        assert!("all".parse::<Trusted>().unwrap_err().contains("`prefix`"));
    }

    proptest! {
        #[test]
        fn nothing_of_another_deployment_is_ever_an_offer(
            tags in prop::collection::vec(prop::option::of("[x-z]{1,2}|x-dev|x"), 0..12),
            by_prefix in any::<bool>(),
        ) {
            let trust = trust(if by_prefix { Trusted::Prefix } else { Trusted::Deployment });
            let offers: Vec<_> = tags.iter().map(|tag| tagged(tag.as_deref())).collect();
            let all = offers.len();
            let catalogue = Catalogue { read_at: OffsetDateTime::UNIX_EPOCH, offers, turn: 0 };
            let (ours, others) = trust.sort(catalogue);
            prop_assert_eq!(ours.offers.len() + others.len(), all);
            for offer in &ours.offers {
                match offer.deployment.as_deref() {
                    Some(tag) => prop_assert_eq!(tag, "x"),
                    None => prop_assert!(by_prefix),
                }
            }
            let kept = tags.iter().filter(|tag| tag.as_deref() == Some("x")).count();
            prop_assert_eq!(ours.offers.iter().filter(|offer| trust.is_ours(offer)).count(), kept);
        }
    }
}
