//! How large what is deployed may be. A larger program takes longer to come up.

#![allow(clippy::unwrap_used)] // A test that cannot read what it needs has failed.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use tooling::Checkout;

/// A function's zip, in bytes. The largest of these is `token`'s, 2,285,751: it claims warm tasks with
/// the clients of DynamoDB, ECS and Lambda. The path of the repository changes that by some
/// kilobytes, because the order of functions depends on it.
const ZIP: usize = 2_310_000;
/// The zip of `cleanup`, which no job waits for before it starts. It has 2,453,919 bytes, 200,000 of
/// them DynamoDB's client.
const CLEANUP_ZIP: usize = 2_480_000;
/// The zip of `sweep`, which uses every service. No job waits for it. It has 2,607,885 bytes.
const SWEEP_ZIP: usize = 2_640_000;
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
        let limit = match name.as_str() {
            "cleanup" => CLEANUP_ZIP,
            "sweep" => SWEEP_ZIP,
            _ => ZIP,
        };
        assert!(size <= limit, "{name} takes {size} bytes zipped");
    }
    let size = fs::metadata(checkout.deployed().join("agent/bootstrap"))
        .unwrap()
        .len();
    println!("agent: {size} bytes");
    assert!(size <= AGENT as u64, "the agent takes {size} bytes");
}
