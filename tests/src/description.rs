//! GitHub's own description of its API as the judge of what was said.

use std::fs;
use std::process::Command;

use anyhow::{Context, ensure};
use tooling::Checkout;

use crate::Exchange;

/// Holds exchanges against the description; fails with a line for each that doesn't fit.
pub fn check_exchanges(name: &str, exchanges: &[Exchange]) -> anyhow::Result<()> {
    let checkout = Checkout::here();
    let directory = checkout.local().join("exchanges");
    fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
    let file = directory.join(format!("{name}.json"));
    fs::write(&file, serde_json::to_vec(exchanges)?)
        .with_context(|| format!("writing {}", file.display()))?;
    let checked = Command::new("node")
        .arg(checkout.path("tests/fixtures/check-exchanges.mjs"))
        .arg(&file)
        .output()
        .context("cannot start node")?;
    ensure!(
        checked.status.success(),
        "{}{}",
        String::from_utf8_lossy(&checked.stdout),
        String::from_utf8_lossy(&checked.stderr)
    );
    Ok(())
}
