//! What goes wrong on demand.

use crate::faults::{DeliveryFault, Fault, Met};
use crate::server::Server;
use crate::state::world::World;

impl Server {
    /// Lets something go wrong.
    pub fn fault(&self, fault: Fault) {
        self.shared.note(|world| world.faults.push(fault));
    }

    /// Lets something go wrong with webhooks.
    pub fn delivery_fault(&self, fault: DeliveryFault) {
        self.shared.note(|world| world.delivery_faults.push(fault));
    }

    /// What will go wrong yet, with calls and with webhooks: `times` is how often.
    pub fn faults(&self) -> (Vec<Fault>, Vec<DeliveryFault>) {
        self.shared
            .read(|world| (world.faults.clone(), world.delivery_faults.clone()))
    }

    /// The last calls that faults met, until [`Self::clear_requests`].
    pub fn met(&self) -> Vec<Met> {
        self.shared
            .read(|world| world.traffic.met.iter().cloned().collect())
    }

    /// Nothing goes wrong any more.
    pub fn clear_faults(&self) {
        self.shared.note(World::clear_faults);
    }
}
