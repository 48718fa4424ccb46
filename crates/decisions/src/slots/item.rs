//! The item: leases, the line, and the caps that bound them.

use std::collections::BTreeMap;

use protocol::ExecutionName;
use serde::{Deserialize, Serialize};

/// How many of one repository stand in line. GitHub starts at most 256 jobs of one matrix; those
/// beyond look again until there is room.
pub(super) const LINE_OF_REPOSITORY: usize = 300;
/// How many stand in line at all. An item of the table has 400 KB; an entry has 100 to 300 bytes.
const LINE: usize = 1_000;
/// How many bytes the leases and the line may take before nobody joins the line any more: names of 100
/// and more characters fill the item earlier.
const LINE_BYTES: usize = 250_000;
/// What an entry has besides its names.
const ENTRY_BYTES: usize = 40;
/// How many leases there are at all, whatever else is capped: the item has to hold them.
const LEASES: u32 = 800;
/// How long an entry of the line counts: longer than a job may be queued.
const LINE_LIMIT: u64 = 2 * 24 * 60 * 60;

/// How many runners may run at once. JSON fields are in camel case.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Caps {
    /// Of the deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<u32>,
    /// Of each repository that has no cap of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<u32>,
    /// Of single repositories, by their full names in lower case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub repositories: BTreeMap<String, u32>,
    /// Of single offers, by the families of their task definitions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub offers: BTreeMap<String, u32>,
}

impl Caps {
    /// Whether nothing is capped.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The cap of the deployment: what its item can hold, if it has none of its own.
    pub fn of_deployment(&self) -> u32 {
        self.deployment.unwrap_or(LEASES)
    }

    /// The cap of a repository.
    pub fn of_repository(&self, repository: &str) -> Option<u32> {
        self.repositories
            .get(repository)
            .copied()
            .or(self.repository)
    }

    /// The cap of an offer.
    pub fn of_offer(&self, offer: &str) -> Option<u32> {
        self.offers.get(offer).copied()
    }

    /// Whether a job counts against any cap.
    pub fn concern(&self, at: &Place) -> bool {
        self.deployment.is_some()
            || self.of_repository(&at.repository).is_some()
            || self.of_offer(&at.offer).is_some()
    }
}

/// A cap that a job counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cap {
    Deployment,
    Repository,
    Offer,
}

/// What a job's runner counts as.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The repository's full name in lower case.
    pub repository: String,
    /// The family of the task definition.
    pub offer: String,
}

/// Who asks for a slot: an attempt of an execution. A second execution of the same job has a lease of
/// its own, because the first may still have a runner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seeker {
    pub execution: ExecutionName,
    pub attempt: u32,
    pub at: Place,
    /// Since when its job is queued at GitHub, in epoch seconds: its place within its repository.
    pub queued: u64,
    /// When its lease ends by itself, in epoch seconds: later than its task can.
    pub until: u64,
}

/// A slot that is taken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lease {
    pub attempt: u32,
    pub at: Place,
    /// When it was taken, in epoch seconds.
    pub since: u64,
    /// When it ends by itself.
    pub until: u64,
}

/// An execution in line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InLine {
    pub at: Place,
    /// Since when its job is queued at GitHub, in epoch seconds.
    pub queued: u64,
    /// When it joined.
    pub since: u64,
}

/// The item: all leases and the line.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slots {
    /// Grows with every write; 0 if there is no item.
    pub version: u64,
    pub leases: BTreeMap<ExecutionName, Lease>,
    pub line: BTreeMap<ExecutionName, InLine>,
    /// When repositories last had their turn: in epoch seconds, or a little later, so that no two that
    /// follow each other are equal. Of those that have a slot, or while somebody waits.
    pub turns: BTreeMap<String, u64>,
    /// The caps as `sweep` last wrote them. They go before those of an execution that an earlier
    /// deployment began; `None` before the first sweep.
    pub caps: Option<Caps>,
}

impl Slots {
    /// Whether a write without a look takes a slot: nobody waits, there is room under every cap, and
    /// `sweep` has recorded no other caps than these. The table checks the same in the condition of that
    /// write.
    pub fn takes_at_once(&self, seeker: &Seeker, caps: &Caps) -> bool {
        let room = |taken: usize, cap: Option<u32>| cap.is_none_or(|cap| small(taken) < cap);
        let of = |counts: &dyn Fn(&Place) -> bool| {
            self.leases.values().filter(|one| counts(&one.at)).count()
        };
        let Place { repository, offer } = &seeker.at;
        self.line.is_empty()
            && self.caps.as_ref().is_none_or(|recorded| recorded == caps)
            && !self.leases.contains_key(&seeker.execution)
            && room(self.leases.len(), Some(caps.of_deployment()))
            && room(
                of(&|at| at.repository == *repository),
                caps.of_repository(repository),
            )
            && room(of(&|at| at.offer == *offer), caps.of_offer(offer))
    }

    /// The item after such a write.
    #[must_use]
    pub fn with_lease(&self, seeker: &Seeker, now: u64) -> Self {
        let mut next = self.clone();
        next.leases
            .insert(seeker.execution.clone(), seeker.lease(now));
        next.turns.insert(seeker.at.repository.clone(), now);
        next.version += 1;
        next
    }

    /// Whether an execution of this repository may join the line.
    pub fn has_room_in_line(&self, repository: &str) -> bool {
        let same = |one: &&InLine| one.at.repository == repository;
        self.line.len() < LINE
            && self.line.values().filter(same).count() < LINE_OF_REPOSITORY
            && self.bytes() < LINE_BYTES
    }

    /// About how many bytes the leases and the line have in the item.
    pub(super) fn bytes(&self) -> usize {
        let leases = self.leases.iter().map(|(name, lease)| (name, &lease.at));
        let line = self.line.iter().map(|(name, one)| (name, &one.at));
        let entry = |(name, at): (&ExecutionName, &Place)| {
            name.to_string().len() + at.repository.len() + at.offer.len() + ENTRY_BYTES
        };
        leases.chain(line).map(entry).sum()
    }

    /// Takes the slot whose turn it is. The repository's next turn comes after all others'.
    pub(super) fn grant(&mut self, seeker: &Seeker, now: u64) {
        self.line.remove(&seeker.execution);
        let last = self.turns.values().max();
        let turn = last.map_or(now, |last| now.max(last + 1));
        self.turns.insert(seeker.at.repository.clone(), turn);
        self.leases
            .insert(seeker.execution.clone(), seeker.lease(now));
        self.version += 1;
        self.forget_turns();
    }

    pub(super) fn without_expired(&self, now: u64) -> Self {
        let mut next = self.clone();
        next.leases.retain(|_, lease| lease.until > now);
        next.line.retain(|_, one| one.since + LINE_LIMIT > now);
        next
    }

    pub(super) fn changed_from(mut self, before: &Self) -> Option<Self> {
        self.forget_turns();
        (self != *before).then(|| {
            self.version += 1;
            self
        })
    }

    /// While nobody waits, only the turns of those matter who have a slot: they come after others then.
    fn forget_turns(&mut self) {
        if self.line.is_empty() {
            let leases = &self.leases;
            let has_one = |repository: &String| {
                leases
                    .values()
                    .any(|lease| lease.at.repository == *repository)
            };
            self.turns.retain(|repository, _| has_one(repository));
        }
    }
}

impl Seeker {
    fn lease(&self, now: u64) -> Lease {
        Lease {
            attempt: self.attempt,
            at: self.at.clone(),
            since: now,
            until: self.until,
        }
    }
}

impl Cap {
    /// Whether both count against this cap of the one.
    pub(super) fn is_shared(self, one: &Place, other: &Place) -> bool {
        match self {
            Self::Deployment => true,
            Self::Repository => one.repository == other.repository,
            Self::Offer => one.offer == other.offer,
        }
    }
}

pub(super) fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
