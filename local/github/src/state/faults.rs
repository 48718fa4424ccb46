//! Which faults a call or a webhook meets.

use crate::faults::{DeliveryFaultKind, Fault};
use crate::state::world::World;

impl World {
    /// The faults that this call meets. Each is used up by it.
    pub(crate) fn take_faults(&mut self, method: &str, path: &str, template: &str) -> Vec<Fault> {
        let mut met = Vec::new();
        for fault in &mut self.faults {
            if !fault.concerns(method, path, template) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if fault.times > 0 {
                fault.times -= 1;
                met.push(fault.clone());
            }
        }
        self.faults.retain(|fault| fault.times > 0);
        met
    }

    /// The first fault that this webhook meets. It is used up by it.
    pub(crate) fn take_delivery_fault(
        &mut self,
        action: &str,
        job: u64,
    ) -> Option<DeliveryFaultKind> {
        let index = self.delivery_faults.iter().position(|fault| {
            fault.action.as_ref().is_none_or(|wanted| wanted == action)
                && fault.job.is_none_or(|wanted| wanted == job)
        })?;
        let fault = &mut self.delivery_faults[index];
        fault.times = fault.times.saturating_sub(1);
        let kind = fault.kind.clone();
        if fault.times == 0 {
            self.delivery_faults.remove(index);
        }
        Some(kind)
    }

    pub(crate) fn clear_faults(&mut self) {
        self.faults.clear();
        self.delivery_faults.clear();
    }
}
