//! What one look at a family's stock leads to. Pure; [`on_ticket`] decides about each ticket.

use std::cmp::Reverse;
use std::time::Duration;

use decisions::{OnTicket, TaskSeen, TicketSeen, TicketState, Wanted, on_ticket};
use pool::{Slot, Ticket};
use time::OffsetDateTime;

/// What to do about a family's stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Every ticket.
    pub tickets: Vec<Decided>,
    /// Free slots to fill.
    pub fill: Vec<Slot>,
}

/// A ticket, what is known about it, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    pub ticket: Ticket,
    pub seen: TicketSeen,
    pub action: OnTicket,
}

impl Plan {
    /// Decides about every ticket, and which slots to fill. `slots` is the most tasks that are ever
    /// wanted.
    pub fn of(
        mut tickets: Vec<Ticket>,
        seen: impl Fn(&Ticket) -> TaskSeen,
        wanted: &Wanted,
        slots: usize,
        now: OffsetDateTime,
    ) -> Self {
        // Surplus tickets are retired from the end: what does not serve, then what is not ready, then
        // what is old and would be retired next.
        tickets.sort_by_key(|ticket| {
            let serves = wanted.revision == Some(ticket.revision) && wanted.spot == ticket.spot;
            (
                !serves,
                Reverse(ticket.state),
                Reverse(ticket.born),
                ticket.key.slot,
            )
        });
        let mut kept = Vec::new();
        let decide = |ticket: Ticket| {
            let seen = TicketSeen {
                state: ticket.state,
                age: age(&ticket, now),
                revision: ticket.revision,
                spot: ticket.spot,
                ahead: kept.len(),
                task: seen(&ticket),
            };
            let action = on_ticket(seen, *wanted);
            let decided = Decided {
                ticket,
                seen,
                action,
            };
            if decided.is_kept() {
                kept.push(decided.ticket.key.slot);
            }
            decided
        };
        let tickets = tickets.into_iter().map(decide).collect();
        // Always the lowest: callers that look at the same time try the same slots, and the table
        // lets one of them have each.
        let missing = wanted.tasks.saturating_sub(kept.len());
        let fill = (0..slots)
            .filter_map(|slot| Slot::new(u8::try_from(slot).ok()?))
            .filter(|slot| wanted.revision.is_some() && !kept.contains(slot))
            .take(missing);
        Self {
            fill: fill.collect(),
            tickets,
        }
    }

    /// How many of the kept tickets are ready once it is carried out.
    pub fn ready(&self) -> usize {
        self.kept().filter(|decided| decided.is_ready()).count()
    }

    /// How many of the kept tickets are not.
    pub fn starting(&self) -> usize {
        self.kept().filter(|decided| !decided.is_ready()).count()
    }

    /// Age of the oldest task that stays ready.
    pub fn oldest(&self) -> Duration {
        let ready = self.kept().filter(|decided| decided.is_ready());
        ready
            .map(|decided| decided.seen.age)
            .max()
            .unwrap_or_default()
    }

    fn kept(&self) -> impl Iterator<Item = &Decided> {
        self.tickets.iter().filter(|decided| decided.is_kept())
    }
}

impl Decided {
    fn is_kept(&self) -> bool {
        !matches!(self.action, OnTicket::Retire | OnTicket::Forget)
    }

    fn is_ready(&self) -> bool {
        self.seen.state == TicketState::Ready || self.action == OnTicket::MarkReady
    }
}

/// Time since a ticket was reserved. Clocks differ by less than a second.
fn age(ticket: &Ticket, now: OffsetDateTime) -> Duration {
    (now - ticket.born).try_into().unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::BellKey;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn ticket(slot: u8, state: TicketState, minutes: i64) -> Ticket {
        Ticket {
            key: format!("f/{slot:02}").parse().unwrap(),
            id: BellKey::mint().unwrap(),
            state,
            task_arn: None,
            revision: 7,
            spot: false,
            born: NOW - time::Duration::minutes(minutes),
        }
    }

    fn plan(tickets: Vec<Ticket>, tasks: usize, slots: usize) -> Plan {
        let wanted = Wanted {
            tasks,
            revision: Some(7),
            spot: false,
            max_age: Duration::from_hours(6),
        };
        Plan::of(tickets, |_| TaskSeen::Unknown, &wanted, slots, NOW)
    }

    fn slots(plan: &Plan) -> Vec<u8> {
        plan.fill.iter().map(|slot| slot.number()).collect()
    }

    #[test]
    fn an_empty_stock_is_filled_from_the_lowest_slot() {
        assert_eq!(slots(&plan(vec![], 3, 5)), [0, 1, 2]);
        assert_eq!(slots(&plan(vec![], 0, 5)), Vec::<u8>::new());
    }

    #[test]
    fn only_what_is_missing_is_started_and_in_free_slots() {
        let some = vec![
            ticket(1, TicketState::Ready, 1),
            ticket(4, TicketState::Reserved, 0),
        ];
        assert_eq!(slots(&plan(some, 4, 5)), [0, 2]);
    }

    #[test]
    fn the_surplus_is_what_is_not_ready_and_then_what_is_old() {
        let some = vec![
            ticket(0, TicketState::Reserved, 0),
            ticket(1, TicketState::Ready, 200),
            ticket(2, TicketState::Started, 0),
            ticket(3, TicketState::Ready, 10),
            ticket(4, TicketState::Ready, 100),
        ];
        let plan = plan(some, 2, 5);
        let decided: Vec<_> = plan
            .tickets
            .iter()
            .map(|decided| (decided.ticket.key.slot.number(), decided.action))
            .collect();
        assert_eq!(
            decided,
            [
                (3, OnTicket::Keep),
                (4, OnTicket::Keep),
                (1, OnTicket::Retire),
                (2, OnTicket::Retire),
                (0, OnTicket::Retire),
            ]
        );
        assert_eq!((plan.ready(), plan.starting()), (2, 0));
        assert_eq!(plan.oldest(), Duration::from_mins(100));
        assert!(plan.fill.is_empty());
    }

    #[test]
    fn an_old_revision_never_keeps_a_new_one_out() {
        let old = Ticket {
            revision: 6,
            ..ticket(0, TicketState::Ready, 1)
        };
        let new = ticket(1, TicketState::Reserved, 0);
        let plan = plan(vec![old, new], 2, 2);
        assert_eq!(plan.tickets[0].action, OnTicket::Keep);
        assert_eq!(plan.tickets[1].action, OnTicket::Retire);
        assert_eq!(slots(&plan), [0]);
    }

    #[test]
    fn a_family_without_an_active_revision_is_given_up() {
        let wanted = Wanted {
            tasks: 2,
            revision: None,
            spot: false,
            max_age: Duration::from_hours(6),
        };
        let tickets = vec![ticket(0, TicketState::Ready, 1)];
        let plan = Plan::of(tickets, |_| TaskSeen::Running, &wanted, 2, NOW);
        assert_eq!(plan.tickets[0].action, OnTicket::Retire);
        assert!(plan.fill.is_empty());
    }
}
