//! What may be linked, by `deny.toml`. `cargo deny check` reads the same file where it is installed;
//! these tests need nothing but cargo.

use std::collections::BTreeSet;
use std::process::Command;

use tooling::Checkout;

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

/// Name, version and licence of every package that is compiled for us. From `cargo tree`, because
/// `cargo metadata` also lists what no feature asks for.
fn packages() -> BTreeSet<(String, String, String)> {
    let mut command = Command::new(env!("CARGO"));
    command.args([
        "tree",
        "--workspace",
        "--locked",
        "--edges=normal,build,dev",
    ]);
    command.args(["--prefix=none", "--format={p}|{l}"]);
    for triple in [
        "x86_64-unknown-linux-musl",
        "aarch64-unknown-linux-musl",
        "x86_64-unknown-linux-gnu",
    ] {
        command.args(["--target", triple]);
    }
    let output = command
        .current_dir(Checkout::here().root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8(output.stdout).unwrap();
    let read = |line: &str| {
        // A package that was shown before is marked.
        let (package, license) = line.trim_end_matches(" (*)").split_once('|')?;
        let mut words = package.split(' ');
        let name = words.next()?.to_owned();
        let version = words.next()?.trim_start_matches('v').to_owned();
        Some((name, version, license.trim().to_owned()))
    };
    let packages: BTreeSet<_> = lines.lines().filter_map(read).collect();
    assert!(
        packages.len() > 100,
        "cargo tree told of {} packages",
        packages.len()
    );
    packages
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
    for (name, version, _) in packages() {
        for ban in &bans {
            assert!(
                !is_banned(ban, &name, &version),
                "{name} {version} is banned by deny.toml; `cargo tree --workspace -i {name}` tells who asks for it"
            );
        }
    }
}

#[test]
fn every_licence_is_allowed() {
    let allowed = entries("allow");
    for (name, _, license) in packages() {
        assert!(
            is_allowed(&license, &allowed),
            "{name} is under {license:?}, which deny.toml doesn't allow"
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
