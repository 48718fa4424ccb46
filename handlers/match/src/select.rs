//! Selects the task definition that serves a job. Pure.

use std::fmt;

use catalogue::Offer;
use protocol::{LabelSet, Repository};

/// How many near offers an error names.
const NEAREST: usize = 3;

/// The offer that serves a job with the labels `wanted`: of those that have them all, the one with
/// the fewest labels that the job did not request; of equals, one of the deployment's `own`; of
/// these, the first by family name. An offer that is not for the job's repository is ignored and
/// never named in an error.
///
/// A job that requests only `self-hosted` names no kind of runner: every offer would match, so none
/// is selected. A job without labels (`runs-on: {group: NAME}`) arrives only if the deployment
/// serves such jobs (`group:NAME` in `REQUIRED_LABELS`). Every offer has all of its labels, so the
/// same rule decides: the offer with the fewest labels, of equals the first by name.
pub fn select<'a>(
    offers: &'a [Offer],
    wanted: &LabelSet,
    repository: &Repository,
    own: impl Fn(&Offer) -> bool,
) -> Result<&'a Offer, Unmatched> {
    let offers = visible(offers, repository);
    if !names_a_kind(wanted) {
        return Err(Unmatched::new(&offers, wanted));
    }
    most_specific(&offers, wanted, own)
}

/// The offers that are for a repository.
pub(crate) fn visible<'a>(offers: &'a [Offer], repository: &Repository) -> Vec<&'a Offer> {
    let is_for = |offer: &&Offer| offer.is_for(repository);
    offers.iter().filter(is_for).collect()
}

/// The offer that [`select`] chooses, also for a job that names no kind of runner.
pub(crate) fn most_specific<'a>(
    offers: &[&'a Offer],
    wanted: &LabelSet,
    own: impl Fn(&Offer) -> bool,
) -> Result<&'a Offer, Unmatched> {
    offers
        .iter()
        .copied()
        .filter(|offer| offer.labels.carries(wanted))
        .min_by_key(|&offer| {
            let surplus = wanted.lacking(&offer.labels).len();
            (surplus, !own(offer), &offer.definition.family)
        })
        .ok_or_else(|| Unmatched::new(offers, wanted))
}

/// Whether labels name a kind of runner: any label except `self-hosted`, or no labels at all.
pub fn names_a_kind(wanted: &LabelSet) -> bool {
    wanted.is_empty() || wanted.is_specific()
}

/// No task definition offers all of a job's labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmatched {
    wanted: LabelSet,
    nearest: Vec<Near>,
}

/// An offer that nearly matches.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Near {
    family: String,
    lacking: LabelSet,
}

impl Unmatched {
    fn new(offers: &[&Offer], wanted: &LabelSet) -> Self {
        let mut nearest: Vec<_> = offers
            .iter()
            .map(|&offer| (offer.labels.lacking(wanted), offer))
            .collect();
        nearest.sort_by_key(|(lacking, offer)| {
            let surplus = wanted.lacking(&offer.labels).len();
            (lacking.len(), surplus, offer.definition.family.clone())
        });
        Self {
            wanted: wanted.clone(),
            nearest: nearest
                .into_iter()
                .take(NEAREST)
                .map(|(lacking, offer)| Near {
                    family: offer.definition.family.clone(),
                    lacking,
                })
                .collect(),
        }
    }
}

impl std::error::Error for Unmatched {}

impl fmt::Display for Unmatched {
    /// What was requested, what nearly matches, and what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !names_a_kind(&self.wanted) {
            return write!(
                f,
                "the job asks for [{}], which names no kind of runner; add a label to `runs-on` \
                 that a task definition offers",
                self.wanted
            );
        }
        write!(
            f,
            "no task definition offers all of the job's labels [{}]. ",
            self.wanted
        )?;
        if self.nearest.is_empty() {
            return write!(
                f,
                "There is none that offers labels at all: give one the tag `{}`",
                catalogue::LABELS_TAG
            );
        }
        f.write_str("Nearest: ")?;
        for (index, near) in self.nearest.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{} lacks [{}]", near.family, near.lacking)?;
        }
        write!(
            f,
            ". Change the job's `runs-on`, or add what is lacking to a task definition's tag `{}`",
            catalogue::LABELS_TAG
        )
    }
}

#[cfg(test)]
mod tests {
    use catalogue::Audience;
    use proptest::prelude::*;
    use protocol::Definition;

    use super::*;

    fn offer(family: &str, labels: &str) -> Offer {
        Offer {
            definition: Definition {
                family: family.to_owned(),
                ..Definition::default()
            },
            labels: LabelSet::parse(labels),
            containers: vec![protocol::CONTAINER.to_owned()],
            ..Offer::default()
        }
    }

    /// The offer for a job of octo/hello, with none of the deployment's own.
    fn select<'a>(offers: &'a [Offer], wanted: &LabelSet) -> Result<&'a Offer, Unmatched> {
        super::select(offers, wanted, &"octo/hello".parse().unwrap(), |_| false)
    }

    fn offers() -> Vec<Offer> {
        vec![
            offer("ubuntu", "self-hosted linux x64 fargate"),
            offer("ubuntu-large", "self-hosted linux x64 fargate large"),
            offer("arm", "self-hosted linux arm64 fargate"),
            offer("bare", "self-hosted linux x64"),
        ]
    }

    #[test]
    fn the_most_specific_offer_serves() {
        for (wanted, family) in [
            ("self-hosted linux x64", Some("bare")),
            ("linux", Some("bare")),
            ("LINUX Fargate", Some("arm")),
            ("self-hosted x64 fargate", Some("ubuntu")),
            ("self-hosted large", Some("ubuntu-large")),
            ("arm64", Some("arm")),
            ("self-hosted", None),
            ("", Some("bare")),
            ("self-hosted windows", None),
            ("arm64 large", None),
        ] {
            let offers = offers();
            let found = select(&offers, &LabelSet::parse(wanted));
            assert_eq!(
                found.ok().map(|offer| offer.definition.family.as_str()),
                family,
                "{wanted:?}"
            );
        }
    }

    #[test]
    fn equals_go_by_family_name_whatever_their_order() {
        let (a, b) = (offer("a", "linux one"), offer("b", "linux two"));
        for offers in [vec![a.clone(), b.clone()], vec![b, a]] {
            let found = select(&offers, &LabelSet::parse("linux")).unwrap();
            assert_eq!(found.definition.family, "a");
        }
    }

    #[test]
    fn of_equals_the_deployments_own_is_chosen_and_narrower_is_no_equal() {
        let wanted = LabelSet::parse("linux");
        let repository = "octo/hello".parse().unwrap();
        let own = |offer: &Offer| offer.definition.family == "own";
        let serves = |offers: &[Offer]| {
            let found = super::select(offers, &wanted, &repository, own).unwrap();
            found.definition.family.clone()
        };
        let (own_one, other) = (offer("own", "linux a"), offer("another", "linux b"));
        assert_eq!(serves(&[own_one.clone(), other.clone()]), "own");
        assert_eq!(serves(&[other, own_one.clone()]), "own");
        assert_eq!(serves(&[own_one, offer("another", "linux")]), "another");
    }

    #[test]
    fn an_offer_for_others_does_not_exist_for_a_job() {
        let mut deployer = offer("deployer", "linux deploy");
        deployer.repositories = Some(Audience::parse("octo/infra acme/"));
        let offers = [deployer, offer("plain", "linux")];
        let wanted = LabelSet::parse("linux deploy");
        let asked = |repository: &str| {
            super::select(&offers, &wanted, &repository.parse().unwrap(), |_| true)
        };
        assert_eq!(asked("Octo/Infra").unwrap().definition.family, "deployer");
        assert_eq!(asked("acme/x").unwrap().definition.family, "deployer");
        let told = asked("octo/hello").unwrap_err().to_string();
        assert!(told.contains("Nearest: plain lacks [deploy]."), "{told}");
        assert!(!told.contains("deployer"), "{told}");
    }

    #[test]
    fn a_label_with_odd_characters_matches_nothing_and_harms_nothing() {
        let wanted = LabelSet::new(["linux", "a b", "ü/🦀", "\"'{%"]);
        let error = select(&offers(), &wanted).unwrap_err().to_string();
        assert!(error.contains("ü/🦀"), "{error}");
    }

    #[test]
    fn unmatched_names_the_three_nearest_and_what_each_lacks() {
        let error = select(&offers(), &LabelSet::parse("self-hosted linux x64 gpu")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no task definition offers all of the job's labels [gpu linux self-hosted x64]. \
             Nearest: bare lacks [gpu]; ubuntu lacks [gpu]; ubuntu-large lacks [gpu]. \
             Change the job's `runs-on`, or add what is lacking to a task definition's tag `GH:labels`"
        );
    }

    #[test]
    fn a_job_without_labels_gets_the_plainest_offer() {
        let mut offers = vec![
            offer("gpu", "self-hosted linux x64 gpu"),
            offer("plain-b", "self-hosted linux"),
            offer("plain-a", "self-hosted arm64"),
        ];
        let none = LabelSet::default();
        assert_eq!(select(&offers, &none).unwrap().definition.family, "plain-a");
        offers.pop();
        assert_eq!(select(&offers, &none).unwrap().definition.family, "plain-b");
        let error = select(&[], &none).unwrap_err().to_string();
        assert!(
            error.contains("There is none that offers labels"),
            "{error}"
        );
    }

    #[test]
    fn unmatched_says_so_where_nothing_is_offered() {
        let error = select(&[], &LabelSet::parse("linux")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no task definition offers all of the job's labels [linux]. There is none that offers \
             labels at all: give one the tag `GH:labels`"
        );
    }

    #[test]
    fn self_hosted_alone_is_told_to_say_more() {
        let error = select(&offers(), &LabelSet::parse("self-hosted")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the job asks for [self-hosted], which names no kind of runner; add a label to \
             `runs-on` that a task definition offers"
        );
    }

    fn any_labels() -> impl Strategy<Value = String> {
        prop::collection::vec(
            prop::sample::select(&["self-hosted", "a", "b", "c", "d"]),
            0..5,
        )
        .prop_map(|labels| labels.join(" "))
    }

    fn any_patterns() -> impl Strategy<Value = String> {
        prop::collection::vec(
            prop::sample::select(&["octo/", "octo/a", "Octo/B", "acme/", "acme", "/a", "x/a"]),
            0..3,
        )
        .prop_map(|patterns| patterns.join(" "))
    }

    proptest! {
        #[test]
        fn what_serves_carries_every_label_and_nothing_fits_better(
            offered in prop::collection::vec(any_labels(), 0..6),
            wanted in any_labels(),
        ) {
            let offers: Vec<_> = offered
                .iter()
                .enumerate()
                .map(|(index, labels)| offer(&format!("family-{index}"), labels))
                .collect();
            let wanted = LabelSet::parse(&wanted);
            match select(&offers, &wanted) {
                Ok(found) => {
                    prop_assert!(names_a_kind(&wanted) && found.labels.carries(&wanted));
                    for other in offers.iter().filter(|other| other.labels.carries(&wanted)) {
                        // Both have all wanted labels, so the smaller set is the more specific one.
                        prop_assert!(found.labels.len() <= other.labels.len());
                    }
                }
                Err(_) => prop_assert!(
                    !names_a_kind(&wanted) || offers.iter().all(|offer| !offer.labels.carries(&wanted))
                ),
            }
        }

        #[test]
        fn no_repository_ever_gets_or_sees_an_offer_that_excludes_it(
            offered in prop::collection::vec((any_labels(), prop::option::of(any_patterns())), 0..6),
            wanted in any_labels(),
            repository in prop::sample::select(&["octo/a", "octo/b", "acme/a", "OCTO/A"]),
        ) {
            let offers: Vec<_> = offered
                .iter()
                .enumerate()
                .map(|(index, (labels, patterns))| Offer {
                    repositories: patterns.as_deref().map(Audience::parse),
                    ..offer(&format!("family-{index}"), labels)
                })
                .collect();
            let repository: Repository = repository.parse().unwrap();
            let allowed: Vec<_> = offers
                .iter()
                .filter(|offer| offer.is_for(&repository))
                .cloned()
                .collect();
            let wanted = LabelSet::parse(&wanted);
            match super::select(&offers, &wanted, &repository, |_| false) {
                Ok(found) => prop_assert!(allowed.contains(found)),
                Err(unmatched) => {
                    for near in &unmatched.nearest {
                        prop_assert!(allowed.iter().any(|offer| offer.definition.family == near.family));
                    }
                }
            }
            // Offers for others change nothing, whatever their labels.
            let among_all = super::select(&offers, &wanted, &repository, |_| false);
            let among_allowed = super::select(&allowed, &wanted, &repository, |_| false);
            prop_assert_eq!(among_all, among_allowed);
        }

        #[test]
        fn the_order_of_offers_does_not_matter(
            offered in prop::collection::vec(any_labels(), 1..6),
            wanted in any_labels(),
        ) {
            let mut offers: Vec<_> = offered
                .iter()
                .enumerate()
                .map(|(index, labels)| offer(&format!("family-{index}"), labels))
                .collect();
            let wanted = LabelSet::parse(&wanted);
            let forward = select(&offers, &wanted).cloned();
            offers.reverse();
            prop_assert_eq!(select(&offers, &wanted).cloned(), forward);
        }
    }
}
