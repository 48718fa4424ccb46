//! The npm package.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;
use tooling::{Architecture, Checkout, Step, run};

use crate::VERSION;

/// Makes the template that needs no CDK, for each processor. Comes after [`package`], whose zips it reads.
pub fn templates(
    checkout: &Checkout,
    step: &Step,
    release: &Path,
    architectures: &[Architecture],
) -> anyhow::Result<Vec<PathBuf>> {
    let made = architectures.iter().map(|architecture| {
        let processor = architecture.to_string();
        let zips = release.join("package/assets/lambda").join(&processor);
        let to = release.join(format!(
            "fargate-runners-{VERSION}-{processor}.template.json"
        ));
        let mut template = Command::new(checkout.path("cdk/node_modules/.bin/tsx"));
        template
            .args(["scripts/template.ts", &processor])
            .args([&zips, &to])
            .current_dir(checkout.path("cdk"));
        run(step, &mut template)?;
        Ok(to)
    });
    made.collect()
}

/// Makes the npm package from a release's zips and agents. Needs the packages of `cdk/`, and no network.
pub fn package(
    checkout: &Checkout,
    step: &Step,
    release: &Path,
    architectures: &[Architecture],
) -> anyhow::Result<PathBuf> {
    let directory = release.join("package");
    let mut lay_out = Command::new(checkout.path("cdk/node_modules/.bin/tsx"));
    lay_out
        .arg("scripts/pack.ts")
        .args([release, &directory])
        .args(architectures.iter().map(ToString::to_string))
        .current_dir(checkout.path("cdk"));
    run(step, &mut lay_out)?;
    let mut pack = Command::new("npm");
    pack.args(["pack", "--offline", "--pack-destination"])
        .arg(release)
        .current_dir(&directory);
    run(step, &mut pack)?;
    let package = release.join(format!("fargate-runners-{VERSION}.tgz"));
    ensure!(
        package.is_file(),
        "`npm pack` made no {}: cdk/package.json has another version than Cargo.toml",
        package.display()
    );
    Ok(package)
}
