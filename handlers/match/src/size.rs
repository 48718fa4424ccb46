//! Chooses a job's task definition and the size of its task. Pure.

use catalogue::Offer;
use decisions::size::{self, Asked, Resources, SizeRefused, TaskSize};
use protocol::{CONTAINER, Job, Label, LabelSet, Matched, SizeOverride};

use crate::error::Error;
use crate::select::{most_specific, select, visible};

/// The task definition for a job, and the size of its task.
///
/// A label that some offer has is a label. One that none has and that has the form of a size asks for a
/// size, and the rest of the labels selects the offer: the most specific one, as ever. Labels inside of a
/// label for a run belong to the rest. A job that requests only `self-hosted` and a size gets the offer with the fewest labels.
pub fn choose(offers: &[Offer], job: &Job, own: impl Fn(&Offer) -> bool) -> Result<Matched, Error> {
    let seen = visible(offers, &job.repository);
    let is_offered = |label: &Label| {
        let label = LabelSet::new([label.as_str()]);
        seen.iter().any(|offer| offer.labels.carries(&label))
    };
    let (sizes, labels) = job
        .labels
        .partition(|label| size::asks(label.as_str()) && !is_offered(label));
    let (offer, asked) = if sizes.is_empty() {
        let offer = select(offers, &labels, &job.repository, own)?;
        (offer, Ok(Asked::default()))
    } else {
        let texts = sizes.iter().map(Label::as_str);
        let (asked, inside) = size::read(texts, job.run_id);
        let labels = labels.iter().map(Label::as_str).chain(inside);
        let labels = LabelSet::new(labels);
        match (most_specific(&seen, &labels, own), asked) {
            (Ok(offer), asked) => (offer, asked),
            (Err(_), Err(refused)) => return Err(Error::NoSize(refused)),
            (Err(unmatched), Ok(_)) => return Err(unmatched.into()),
        }
    };
    if !offer.containers.iter().any(|name| name == CONTAINER) {
        return Err(Error::ContainerMissing {
            family: offer.definition.family.clone(),
            containers: offer.containers.clone(),
        });
    }
    resized(offer, asked, &sizes).map_err(|refused| Error::SizeRefused {
        family: offer.definition.family.clone(),
        refused,
    })
}

/// An offer with the size and the capacity that a job asks for by the labels `sizes`.
fn resized(
    offer: &Offer,
    asked: Result<Asked, SizeRefused>,
    sizes: &LabelSet,
) -> Result<Matched, SizeRefused> {
    let mut definition = offer.definition.clone();
    let own = Resources {
        size: TaskSize {
            cpu: definition.cpu.unwrap_or_default(),
            memory: definition.memory.unwrap_or_default(),
        },
        disk: offer.disk.unwrap_or(size::FREE_DISK),
    };
    let differs = |asked: &Asked| {
        let differs = Asked {
            cpu: asked.cpu.filter(|cpu| *cpu != own.size.cpu),
            memory: asked.memory.filter(|memory| *memory != own.size.memory),
            ..*asked
        };
        differs != Asked::default()
    };
    if asked.as_ref().map_or(true, differs) && !offer.is_on_fargate() {
        return Err(SizeRefused::OnInstances {
            labels: sizes.to_string(),
            capacity: definition.capacity.join(" "),
        });
    }
    let limits = size::Limits {
        cpu: offer.limits.cpu,
        memory: offer.limits.memory,
        disk: offer.limits.disk,
    };
    let purchase = asked.as_ref().ok().and_then(|asked| asked.purchase);
    let given = size::fit(own, limits, asked)?;
    let changes = given.size != own.size;
    let needs = offer.needs.unwrap_or_default();
    let needs = TaskSize {
        cpu: needs.cpu.max(given.size.cpu),
        memory: needs.memory.max(given.size.memory),
    };
    if changes && needs != given.size {
        let enough = Asked {
            cpu: Some(needs.cpu),
            memory: Some(needs.memory),
            ..Asked::default()
        };
        let nearest = size::fit(own, limits, Ok(enough)).map_or(own.size, |enough| enough.size);
        return Err(SizeRefused::LittleForContainers {
            given: given.size,
            nearest,
        });
    }
    let size = SizeOverride {
        cpu: changes.then_some(given.size.cpu),
        memory: changes.then_some(given.size.memory),
        disk: (given.disk != own.disk).then_some(given.disk),
        container_memory: offer
            .beside
            .and_then(|beside| given.size.memory.checked_sub(beside))
            .filter(|memory| changes && *memory > 0),
    };
    if changes {
        (definition.cpu, definition.memory) = (Some(given.size.cpu), Some(given.size.memory));
    }
    if let Some(purchase) = purchase {
        let providers = purchase.providers().iter();
        definition.capacity = providers.map(|name| (*name).to_owned()).collect();
    }
    Ok(Matched {
        definition,
        offered: offer.labels.clone(),
        size: (size != SizeOverride::default()).then_some(size),
    })
}
