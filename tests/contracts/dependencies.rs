//! What may be linked, by `deny.toml`. `cargo deny check` reads the same file where it is installed;
//! these tests need nothing but cargo.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use workshop::Workshop;

use crate::read;

/// The strings of an array in `deny.toml`. The file is ours, and laid out one entry per line.
fn entries(array: &str) -> Vec<String> {
    let file = read("deny.toml");
    let (_, rest) = file
        .split_once(&format!("\n{array} = [\n"))
        .unwrap_or_else(|| panic!("deny.toml has no {array}"));
    let (list, _) = rest.split_once("\n]").unwrap();
    list.lines()
        .filter_map(|line| line.split('"').nth(1).map(str::to_owned))
        .collect()
}

/// The packages that are compiled for us, on the systems that we are compiled for.
fn packages() -> Vec<Value> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["metadata", "--format-version=1", "--locked"]);
    for triple in [
        "x86_64-unknown-linux-musl",
        "aarch64-unknown-linux-musl",
        "x86_64-unknown-linux-gnu",
    ] {
        command.args(["--filter-platform", triple]);
    }
    let output = command
        .current_dir(Workshop::here().root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let resolved: BTreeSet<&str> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|node| node["id"].as_str())
        .collect();
    let packages = metadata["packages"].as_array().unwrap();
    let compiled = packages
        .iter()
        .filter(|package| resolved.contains(package["id"].as_str().unwrap()));
    compiled.cloned().collect()
}

/// Whether a ban (`name` or `name@version`, where a version means all that begin with it) is a package.
fn is_banned(ban: &str, name: &str, version: &str) -> bool {
    match ban.split_once('@') {
        None => ban == name,
        Some((banned, versions)) => banned == name && version.starts_with(&format!("{versions}.")),
    }
}

/// Whether an SPDX expression is allowed. Crates write alternatives, or several of them joined by
/// AND; nothing is nested deeper.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let plain = expression.replace(['(', ')'], " ").replace('/', " OR ");
    let every = plain.split(" AND ").all(|part| {
        part.split(" OR ")
            .any(|license| allowed.iter().any(|known| known == license.trim()))
    });
    every && !plain.trim().is_empty()
}

#[test]
fn no_banned_crate_is_linked() {
    let bans = entries("deny");
    assert!(bans.len() >= 5, "deny.toml bans {bans:?}");
    for package in packages() {
        let (name, version) = (
            package["name"].as_str().unwrap(),
            package["version"].as_str().unwrap(),
        );
        for ban in &bans {
            assert!(
                !is_banned(ban, name, version),
                "{name} {version} is banned by deny.toml; `cargo tree --workspace -i {name}` tells who asks for it"
            );
        }
    }
}

#[test]
fn every_licence_is_allowed() {
    let allowed = entries("allow");
    for package in packages() {
        let license = package["license"].as_str().unwrap_or_default();
        assert!(
            is_allowed(license, &allowed),
            "{} is under {license:?}, which deny.toml doesn't allow",
            package["name"]
        );
    }
}

#[test]
fn bans_and_licences_are_read_as_cargo_deny_reads_them() {
    assert!(is_banned("rustls@0.21", "rustls", "0.21.12"));
    assert!(!is_banned("rustls@0.21", "rustls", "0.23.1"));
    assert!(!is_banned("rsa", "rsa-sys", "1.0.0"));
    let allowed = ["MIT".to_owned(), "Unicode-3.0".to_owned()];
    assert!(is_allowed("MIT/Apache-2.0", &allowed));
    assert!(is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0", &allowed));
    assert!(!is_allowed("MIT AND OpenSSL", &allowed));
    assert!(!is_allowed("", &allowed));
}
