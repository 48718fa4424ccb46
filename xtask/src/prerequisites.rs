//! Prerequisites of this machine. Each error says what is missing and how to install it.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{bail, ensure};
use tooling::{Step, run};

/// The oldest Python version that the engine supports.
const PYTHON: (u32, u32) = (3, 11);
/// The oldest Node.js version that the CDK app supports.
const NODE: u32 = 20;
/// Tried in this order; the variable `PYTHON` takes precedence.
const PYTHONS: [&str; 5] = [
    "python3",
    "python3.14",
    "python3.13",
    "python3.12",
    "python3.11",
];

/// Finds a Python that is recent enough and can create environments.
pub(crate) fn python() -> anyhow::Result<String> {
    if let Ok(given) = std::env::var("PYTHON") {
        ensure!(
            python_version(&given).is_some_and(|found| found >= PYTHON),
            "PYTHON is {given}, and that is no Python {}.{} or later; unset it or name another",
            PYTHON.0,
            PYTHON.1
        );
        return can_make_environments(given);
    }
    let found = PYTHONS
        .into_iter()
        .find(|name| python_version(name).is_some_and(|found| found >= PYTHON));
    match found {
        Some(name) => can_make_environments(name.to_owned()),
        None => bail!(
            "Python {}.{} or later is needed for the local AWS engine, and none of {} is one.\n\
             Install it (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install \
             python), or name one: PYTHON=/path/to/python3 cargo xtask …",
            PYTHON.0,
            PYTHON.1,
            PYTHONS.join(", ")
        ),
    }
}

fn python_version(program: &str) -> Option<(u32, u32)> {
    let script = "import sys; print(*sys.version_info[:2])";
    let text = output(Command::new(program).args(["-c", script]))?;
    let (major, minor) = text.trim().split_once(' ')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn can_make_environments(program: String) -> anyhow::Result<String> {
    // Debian packages these two separately from Python.
    ensure!(
        output(Command::new(&program).args(["-c", "import venv, ensurepip"])).is_some(),
        "{program} cannot create virtual environments: its modules venv and ensurepip are missing.\n\
         Install them (Debian, Ubuntu: apt install python3-venv)"
    );
    Ok(program)
}

/// Checks Node.js and npm.
pub(crate) fn node() -> anyhow::Result<()> {
    let advice = format!(
        "Install Node.js {NODE} or later with npm (https://nodejs.org; Debian, Ubuntu: apt install \
         nodejs npm)"
    );
    let Some(text) = output(Command::new("node").arg("--version")) else {
        bail!("the CDK app needs Node.js, and `node` is not installed.\n{advice}");
    };
    let version = text.trim();
    let major = version.trim_start_matches('v').split('.').next();
    ensure!(
        major
            .and_then(|major| major.parse().ok())
            .is_some_and(|major: u32| major >= NODE),
        "Node.js is {version}, and the CDK app needs {NODE} or later.\n{advice}"
    );
    ensure!(
        output(Command::new("npm").arg("--version")).is_some(),
        "Node.js is there, but npm is not.\n{advice}"
    );
    Ok(())
}

/// Installs Debian's packages that tests need, if they are missing and this is root; otherwise says how to
/// install them.
pub(crate) fn packages(step: &Step) -> anyhow::Result<()> {
    let missing = || -> Vec<_> {
        let found = [
            ("chromium", tooling::chromium().is_some()),
            // The program alone: its other package starts a service.
            ("tinyproxy-bin", tooling::tinyproxy().is_some()),
        ];
        let missing = found.into_iter().filter(|(_, found)| !found);
        missing.map(|(package, _)| package).collect()
    };
    let wanted = missing();
    if wanted.is_empty() {
        return Ok(());
    }
    let root = output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    if root && output(Command::new("apt-get").arg("--version")).is_some() {
        let install = ["install", "--yes", "--no-install-recommends"];
        for arguments in [vec!["update"], [&install[..], &wanted[..]].concat()] {
            let mut apt = Command::new("apt-get");
            apt.args(["-o", "DPkg::Lock::Timeout=300"]).args(arguments);
            run(step, apt.env("DEBIAN_FRONTEND", "noninteractive"))?;
        }
    }
    ensure!(
        tooling::chromium().is_some(),
        "the tests of pages need Chromium, and none of {} is on the path.\n\
         Install it (Debian: apt install chromium), or name it: CHROMIUM=/path/to/chromium cargo \
         xtask …",
        tooling::CHROMIUMS.join(", ")
    );
    ensure!(
        tooling::tinyproxy().is_some(),
        "a test needs the forward proxy tinyproxy, which is not on the path.\n\
         Install it (Debian: apt install tinyproxy-bin), or name it: TINYPROXY=/path/to/tinyproxy cargo \
         xtask …"
    );
    Ok(())
}

/// Installs Rust's standard library for a target if it is missing.
pub(crate) fn rust_target(triple: &str) -> anyhow::Result<()> {
    let Some(sysroot) = output(Command::new("rustc").args(["--print", "sysroot"])) else {
        bail!("cannot start rustc; install Rust with rustup (https://rustup.rs)");
    };
    let library = Path::new(sysroot.trim()).join("lib/rustlib").join(triple);
    if library.is_dir() {
        return Ok(());
    }
    let added = Command::new("rustup")
        .args(["target", "add", triple])
        .output();
    match added {
        Ok(added) if added.status.success() => Ok(()),
        Ok(added) => bail!(
            "Rust's target {triple} is missing, and `rustup target add {triple}` failed:\n{}",
            String::from_utf8_lossy(&added.stderr).trim()
        ),
        Err(_) => bail!(
            "Rust's target {triple} is missing, and there is no rustup to add it.\n\
             Install Rust with rustup (https://rustup.rs), or your system's package of the standard \
             library for {triple}"
        ),
    }
}

/// Checks that a port is free. The option takes another one.
pub(crate) fn port(port: u16, option: &str) -> anyhow::Result<()> {
    if port == 0 {
        return Ok(());
    }
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) => bail!(
            "port {port} on 127.0.0.1 can't be used ({error}).\n\
             Is another local stack running? `ss -ltnp 'sport = :{port}'` shows who has it. Stop \
             that, or take another port: cargo xtask local {option}"
        ),
    }
}

fn output(command: &mut Command) -> Option<String> {
    let done = command.stdin(Stdio::null()).output().ok()?;
    done.status
        .success()
        .then(|| String::from_utf8_lossy(&done.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_what_to_do() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let number = taken.local_addr().unwrap().port();
        let error = port(number, "--port 4666").unwrap_err().to_string();
        assert!(error.contains(&format!("port {number} ")), "{error}");
        assert!(error.contains("--port"), "{error}");
        drop(taken);
        assert!(port(number, "--port 4666").is_ok());
    }
}
