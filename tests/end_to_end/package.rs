//! The npm package alone: from an empty folder to a finished job, on a machine without our tools.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use github_standin::{Config, Server};
use local_stack::{Deployment, Engine, Plan, credentials};
use system_tests::Recorder;
use tooling::{Architecture, Checkout, Progress, run as run_program};

use crate::harness::{assert_succeeded, run, script, site_of};

/// What Node.js and npm need, and no tool of ours: no compiler, no Python, no Docker.
const PROGRAMS: [&str; 5] = ["node", "npm", "npx", "sh", "env"];
/// Tools that the package must do without.
const MISSING: [&str; 6] = ["cargo", "rustc", "python3", "python", "zig", "docker"];
/// What the user installs beside the package. There is no registry here, so these are folders of `cdk/`,
/// which npm links.
const PEERS: [&str; 4] = ["aws-cdk", "aws-cdk-lib", "constructs", "tsx"];

#[test]
fn from_an_empty_folder_the_package_deploys_and_runs_a_job_without_a_tool_chain() {
    run(async |harness| {
        let (checkout, progress) = (Checkout::here(), Progress::new());
        let step = progress.step("npm package");
        let here = Architecture::here();
        let release = harness.engine.directory().join("release");
        fs::create_dir_all(&release).unwrap();
        release::functions(&checkout, &checkout.handlers(), here, &release).unwrap();
        release::agent(&checkout.handlers(), here, &release).unwrap();
        let package = release::package(&checkout, &step, &release, &[here]).unwrap();

        let machine = Machine::new(&checkout, &harness.engine);
        let github = Server::start(Config::default()).await.unwrap();
        let recorder = Recorder::start(github.url()).await.unwrap();
        fs::write(
            machine.folder.join("app.ts"),
            app(&checkout, here, &recorder.url),
        )
        .unwrap();

        // The first command of three.
        let peers = PEERS.map(|name| checkout.path("cdk/node_modules").join(name));
        let mut install = machine.command("npm");
        install.args(["install", "--offline", "--no-audit", "--no-fund"]);
        run_program(&step, install.arg(&package).args(peers)).unwrap();
        // The second, `cdk bootstrap`, was run for this engine; the third:
        let mut deploy = machine.command("npx");
        deploy.args(["cdk", "deploy", "--app", "npx tsx app.ts"]);
        deploy.args(["--require-approval", "never", "--progress", "events"]);
        deploy.args(["--outputs-file", "outputs.json", "--output", "cdk.out"]);
        run_program(&step, &mut deploy).unwrap();
        step.done("");

        let outputs = fs::read(machine.folder.join("outputs.json")).unwrap();
        let mut outputs: BTreeMap<String, BTreeMap<String, String>> =
            serde_json::from_slice(&outputs).unwrap();
        let deployment = Deployment::deployed(
            &harness.engine,
            &Plan::new("alone", "al"),
            machine.folder.join("cdk.out"),
            outputs.remove("runners").unwrap(),
            Arc::new(github),
        )
        .unwrap();
        deployment.write_secrets().await.unwrap();
        let site = site_of(deployment, recorder);
        let (job, execution) = site.run(script("octo/alone", "echo hello from npm")).await;
        assert_succeeded(&execution);
        assert_eq!(job.output.trim(), "hello from npm");
        site.nothing_left_of(&job).await;
    });
}

/// The app that the README shows, for this engine: beside its default deployment, with an image by URI.
fn app(checkout: &Checkout, here: Architecture, github: &str) -> String {
    let readme = fs::read_to_string(checkout.path("README.md")).unwrap();
    let (_, shown) = readme.split_once("```ts\nimport { App").unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    assert!(shown.lines().count() <= 10, "{shown}");
    let owners = r#"github: { allowedOwners: ["YOUR-ORG"] },"#;
    assert_eq!(shown.matches(owners).count(), 1, "{shown}");
    let (label, lambda) = (
        here.label(),
        here.to_string().to_uppercase().replace("ARM64", "ARM_64"),
    );
    let ours = format!(
        r#"prefix: "alone", deployment: "al", architecture: lambda.Architecture.{lambda},
  defaultRunner: {{ architecture: "{label}", image: ecs.ContainerImage.fromRegistry("local/ubuntu-runner") }},
  github: {{ allowedOwners: ["octo"], apiUrl: "{github}" }},"#
    );
    format!(
        "import * as ecs from \"aws-cdk-lib/aws-ecs\";\nimport * as lambda from \"aws-cdk-lib/aws-lambda\";\n\
         import {{ App{}",
        shown.replace(owners, &ours)
    )
}

/// A user's machine: an empty folder, a home of its own, and hardly a program.
struct Machine {
    folder: PathBuf,
    home: PathBuf,
    programs: PathBuf,
    endpoint: String,
}

impl Machine {
    fn new(checkout: &Checkout, engine: &Engine) -> Self {
        let place = engine.directory().join("a user's machine");
        let machine = Self {
            folder: place.join("empty folder"),
            home: place.join("home"),
            programs: place.join("bin"),
            endpoint: engine.endpoint().to_owned(),
        };
        for directory in [&machine.folder, &machine.home, &machine.programs] {
            fs::create_dir_all(directory).unwrap();
        }
        for name in PROGRAMS {
            symlink(found(name), machine.programs.join(name)).unwrap();
        }
        for name in MISSING {
            assert!(!machine.programs.join(name).exists(), "{name}");
        }
        assert!(!machine.folder.starts_with(checkout.path("cdk")));
        machine
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command
            .env_clear()
            .env("PATH", &self.programs)
            .env("HOME", &self.home)
            .env("CDK_DISABLE_CLI_TELEMETRY", "1")
            .current_dir(&self.folder);
        credentials(&mut command, &self.endpoint);
        command
    }
}

/// Where a program is on this machine.
fn found(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{program} is not installed"))
}
