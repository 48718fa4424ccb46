//! How large what is deployed may be. A larger program takes longer to come up.

#![allow(clippy::unwrap_used)] // A test that cannot read what it needs has failed.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use tooling::Checkout;

/// A function's zip, in bytes. The largest but one is `cleanup`'s, 2,215,465. The path of the
/// repository changes that by some kilobytes, because the order of functions depends on it.
const ZIP: usize = 2_230_000;
/// The zip of `sweep`, which uses every service. No job waits for it. It has 2,321,788 bytes.
const SWEEP_ZIP: usize = 2_340_000;
/// The agent, in bytes.
const AGENT: usize = 4_000_000;
/// What a zip says of its one file besides.
const ZIP_FRAME: usize = 150;

fn zipped(program: &Path) -> usize {
    let bytes = fs::read(program).unwrap();
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::best());
    deflate.write_all(&bytes).unwrap();
    deflate.finish().unwrap().len() + ZIP_FRAME
}

#[test]
fn functions_and_agent_are_small() {
    let checkout = Checkout::here();
    for name in checkout.functions().unwrap() {
        let size = zipped(&checkout.deployed().join(&name).join("bootstrap"));
        println!("{name}: {size} bytes zipped");
        let limit = if name == "sweep" { SWEEP_ZIP } else { ZIP };
        assert!(size <= limit, "{name} takes {size} bytes zipped");
    }
    let size = fs::metadata(checkout.deployed().join("agent/bootstrap"))
        .unwrap()
        .len();
    println!("agent: {size} bytes");
    assert!(size <= AGENT as u64, "the agent takes {size} bytes");
}
