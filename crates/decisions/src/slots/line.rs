//! The order of the line.

use std::collections::{BTreeMap, HashMap, VecDeque};

use protocol::ExecutionName;

use super::item::{Cap, Caps, Place, Slots, small};

/// Whose turn it is, and whose next.
#[derive(Debug)]
pub(super) struct Order<'a> {
    /// Those who may take a slot now, each in any order.
    pub(super) now: Vec<&'a ExecutionName>,
    /// The others in the order in which they are served if no cap but theirs is reached.
    later: Vec<&'a ExecutionName>,
    /// What is taken once those have a slot.
    taken: Taken<'a>,
}

/// How many slots are taken, by what they count against.
#[derive(Debug, Default)]
struct Taken<'a> {
    all: usize,
    by_repository: HashMap<&'a str, usize>,
    by_offer: HashMap<&'a str, usize>,
}

impl<'a> Taken<'a> {
    fn add(&mut self, at: &'a Place) {
        self.all += 1;
        *self.by_repository.entry(&at.repository).or_default() += 1;
        *self.by_offer.entry(&at.offer).or_default() += 1;
    }

    fn of(&self, cap: Cap, at: &Place) -> u32 {
        let of = |counts: &HashMap<&str, usize>, name: &String| {
            counts.get(name.as_str()).copied().unwrap_or(0)
        };
        small(match cap {
            Cap::Deployment => self.all,
            Cap::Repository => of(&self.by_repository, &at.repository),
            Cap::Offer => of(&self.by_offer, &at.offer),
        })
    }

    /// The narrowest cap of a job that is reached.
    fn full(&self, at: &Place, caps: &Caps) -> Option<(Cap, u32)> {
        let of = [
            (Cap::Repository, caps.of_repository(&at.repository)),
            (Cap::Offer, caps.of_offer(&at.offer)),
            (Cap::Deployment, Some(caps.of_deployment())),
        ];
        of.into_iter()
            .filter_map(|(cap, limit)| Some((cap, limit?)))
            .find(|(cap, limit)| self.of(*cap, at) >= *limit)
    }
}

/// Those of one repository who want the same offer, first come first. Whoever waits for a full offer
/// does not hold up the others of the repository.
type Queues<'a> = BTreeMap<&'a Place, VecDeque<(u64, &'a ExecutionName)>>;

/// Serves the line until every cap is reached or nobody is left: first come, first served within a
/// repository, and in turn between repositories: next is who waits longest for its turn.
pub(super) fn order<'a>(slots: &'a Slots, caps: &Caps) -> Order<'a> {
    let mut queues = Queues::new();
    for (execution, one) in &slots.line {
        let queue = queues.entry(&one.at).or_default();
        queue.push_back((one.queued, execution));
    }
    for queue in queues.values_mut() {
        queue.make_contiguous().sort_unstable();
    }
    let mut taken = Taken::default();
    for lease in slots.leases.values() {
        taken.add(&lease.at);
    }
    let turns = slots.turns.iter();
    let mut turns: HashMap<&str, u64> = turns.map(|(name, turn)| (name.as_str(), *turn)).collect();
    let mut last = turns.values().max().copied().unwrap_or_default();
    let mut serve = |queues: &mut Queues<'a>, taken: &mut Taken<'a>, capped: bool| {
        let rank = |at: &Place| turns.get(at.repository.as_str()).copied().unwrap_or(0);
        let (_, at) = queues
            .iter()
            .filter(|(at, _)| !capped || taken.full(at, caps).is_none())
            .filter_map(|(at, queue)| Some(((rank(at), queue.front()?), *at)))
            .min()?;
        let queue = queues.get_mut(at)?;
        let (_, execution) = queue.pop_front()?;
        if queue.is_empty() {
            queues.remove(at);
        }
        last += 1;
        turns.insert(&at.repository, last);
        if capped {
            taken.add(at);
        }
        Some(execution)
    };
    let now = std::iter::from_fn(|| serve(&mut queues, &mut taken, true)).collect();
    let later = std::iter::from_fn(|| serve(&mut queues, &mut taken, false)).collect();
    Order { now, later, taken }
}

impl Order<'_> {
    /// The whole line.
    pub(super) fn all(&self) -> impl Iterator<Item = &ExecutionName> {
        self.now.iter().chain(&self.later).copied()
    }

    /// The cap that keeps a job waiting; it is not among those who may take a slot now, so there is
    /// one.
    pub(super) fn full(&self, at: &Place, caps: &Caps) -> (Cap, u32) {
        let full = self.taken.full(at, caps);
        full.unwrap_or((Cap::Deployment, caps.of_deployment()))
    }
}
