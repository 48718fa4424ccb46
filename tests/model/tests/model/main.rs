//! The model check: every interleaving of small worlds, and that each rule is needed.

mod check;
mod interleavings;
mod pool;
mod reruns;
mod rules;
mod slots;
