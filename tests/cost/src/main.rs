//! `cargo xtask cost`: docs/cost.md, from counts that are read or measured and dated list prices. With
//! `--sizes`, the table of Fargate's sizes in docs/runs-on.md instead.

mod alternatives;
mod bill;
mod counts;
mod page;
mod pool;
mod prices;
mod quotas;
mod sizes;

use counts::Counts;
use tooling::Checkout;

fn main() -> std::process::ExitCode {
    if std::env::args().any(|argument| argument == "--sizes") {
        return tooling::exit(sizes::write(&Checkout::here()));
    }
    let counts = Counts::read(&Checkout::here());
    tooling::exit(counts.map(|counts| print!("{}", page::page(&counts))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_the_command_prints() {
        let checkout = Checkout::here();
        let written = std::fs::read_to_string(checkout.path("docs/cost.md")).unwrap_or_default();
        let page = page::page(&Counts::read(&checkout).unwrap());
        assert!(
            written == page,
            "docs/cost.md is out of date: cargo xtask cost > docs/cost.md"
        );
    }

    #[test]
    fn a_job_that_goes_well_passes_five_states_and_six_on_a_warm_task() {
        let counts = Counts::read(&Checkout::here()).unwrap();
        assert_eq!(
            counts.states,
            ["Match", "Launch", "Token", "Runner", "Cleanup"]
        );
        assert_eq!(
            counts.warm_states,
            ["Match", "Launch", "Token", "Start", "WarmRunner", "Cleanup"]
        );
    }
}
