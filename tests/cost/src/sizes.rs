//! The table of Fargate's sizes in docs/runs-on.md.

use std::fmt::Write as _;

use anyhow::Context;
use decisions::cost::{Size, estimate};
use decisions::size::TaskSize;
use tooling::Checkout;

use crate::prices::{self, DISK_GB_HOUR};

/// The page with the table.
const PAGE: &str = "docs/runs-on.md";
const BEGIN: &str = "<!-- sizes: written by `cargo xtask cost --sizes` -->\n";
const END: &str = "<!-- /sizes -->";

/// Writes the table into the page.
pub(crate) fn write(checkout: &Checkout) -> anyhow::Result<()> {
    let path = checkout.path(PAGE);
    std::fs::write(path, page(checkout)?).with_context(|| format!("cannot write {PAGE}"))
}

/// The page with the table as it is computed now.
pub(crate) fn page(checkout: &Checkout) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(checkout.path(PAGE))
        .with_context(|| format!("cannot read {PAGE}"))?;
    let parts = text
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.with_context(|| format!("{PAGE} has no lines {BEGIN}{END}"))?;
    Ok(format!("{before}{BEGIN}{}{END}{after}", table()))
}

fn table() -> String {
    let sizes: Vec<_> = TaskSize::all().collect();
    let mut text = format!(
        "Fargate's {} sizes, with the list prices of us-east-1 in US dollars per minute ({}): from the least memory to the \
         most.\nSpot's price varies; three tenths are assumed. At least a minute is billed. Each GiB of disk above 20 adds \
         ${:.7}.\n\n",
        sizes.len(),
        prices::as_of(),
        DISK_GB_HOUR.dollars / 60.0,
    );
    text.push_str(
        "| vCPU | GiB of memory | x64 | x64, Spot | arm64 |\n|---:|---|---:|---:|---:|\n",
    );
    let mut cpus: Vec<_> = sizes.iter().map(|size| size.cpu).collect();
    cpus.dedup();
    for cpu in cpus {
        let of_cpu: Vec<_> = sizes.iter().filter(|size| size.cpu == cpu).collect();
        let prices = |arm, spot| {
            let minute = |size: &&TaskSize| dollars(**size, arm, spot);
            let ends = [of_cpu.first().map(minute), of_cpu.last().map(minute)];
            let ends: Vec<_> = ends.into_iter().flatten().collect();
            ends.join(" to ")
        };
        let memories: Vec<_> = of_cpu.iter().map(|size| size.memory).collect();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            f64::from(cpu) / 1_024.0,
            steps(&memories),
            prices(false, false),
            prices(false, true),
            prices(true, false),
        );
    }
    text
}

/// `4 to 16 in steps of 1`, or each of them.
fn steps(memories: &[u32]) -> String {
    let gibibytes = |mebibytes: u32| (f64::from(mebibytes) / 1_024.0).to_string();
    let mut differences: Vec<_> = memories.windows(2).map(|two| two[1] - two[0]).collect();
    differences.dedup();
    if let ([first, .., last], [step]) = (memories, &differences[..]) {
        return format!(
            "{} to {} in steps of {}",
            gibibytes(*first),
            gibibytes(*last),
            gibibytes(*step)
        );
    }
    let each: Vec<_> = memories.iter().map(|memory| gibibytes(*memory)).collect();
    each.join(", ")
}

fn dollars(size: TaskSize, arm: bool, spot: bool) -> String {
    let size = Size {
        cpu: size.cpu.into(),
        memory: size.memory.into(),
        arm,
        spot,
    };
    format!("{:.5}", estimate(size, 60.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_the_table_that_the_command_writes() {
        let checkout = Checkout::here();
        let written = std::fs::read_to_string(checkout.path(PAGE)).unwrap();
        assert!(
            written == page(&checkout).unwrap(),
            "{PAGE} is out of date: cargo xtask cost --sizes"
        );
    }

    #[test]
    fn a_row_tells_the_prices_of_its_ends() {
        // 2 vCPU with 4 and with 16 GiB: (2 * 0.04048 + 4 * 0.004445) / 60 and so on.
        let table = table();
        let row = table
            .lines()
            .find(|line| line.starts_with("| 2 |"))
            .unwrap();
        assert!(
            row.starts_with("| 2 | 4 to 16 in steps of 1 | 0.00165 to 0.00253 |"),
            "{row}"
        );
        assert!(table.contains("| 0.25 | 0.5, 1, 2 |"), "{table}");
        assert!(table.contains("| 32 | 60, 120, 244 |"), "{table}");
    }
}
