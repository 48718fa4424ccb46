//! The command line.

use std::fmt::Write as _;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use github::secrets::AppSecrets;
use github::{GitHub, Patience};
use time::OffsetDateTime;

use crate::cloud::Cloud;
use crate::output::Output;
use crate::{Calls, Connection, Deployment, Error, Exit, JobRef, Place, why};

/// Explains and steers a deployment of Fargate Runners
#[derive(Debug, Parser)]
#[command(
    name = "fargate-runners",
    version,
    arg_required_else_help = true,
    after_long_help = after_help()
)]
pub struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

// Help is for a terminal, where backticks are noise.
#[allow(clippy::doc_markdown)]
#[derive(Debug, Args)]
struct Options {
    /// CloudFormation stack of the deployment; not needed where the region has one deployment
    #[arg(long, global = true, value_name = "NAME")]
    stack: Option<String>,
    /// AWS Region, instead of AWS_REGION or the profile's
    #[arg(long, global = true)]
    region: Option<String>,
    /// Profile of the AWS configuration, instead of AWS_PROFILE
    #[arg(long, global = true)]
    profile: Option<String>,
    /// Print JSON for programs
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Explain why a job waits, or what became of it
    #[command(after_help = WHY_EXAMPLES)]
    Why {
        /// The job's address at GitHub, its id, or its execution's or runner's name
        job: String,
    },
    /// Print a completion script for a shell
    #[command(after_help = COMPLETION_EXAMPLES)]
    Completion { shell: Shell },
}

const WHY_EXAMPLES: &str = "\
Examples:
  fargate-runners why https://github.com/octo/hello/actions/runs/99/job/4242
  fargate-runners why 4242
  fargate-runners why hello-4242-r2 --json

It makes at most 15 calls at AWS and 4 at GitHub. GitHub is asked only if the
credentials may read the App's secrets in Parameter Store.";

const COMPLETION_EXAMPLES: &str = "\
Examples:
  fargate-runners completion bash > ~/.local/share/bash-completion/completions/fargate-runners
  fargate-runners completion zsh > ~/.zfunc/_fargate-runners
  fargate-runners completion fish > ~/.config/fish/completions/fargate-runners.fish";

/// Examples and exit codes.
fn after_help() -> String {
    let mut text = "\
Examples:
  fargate-runners why https://github.com/octo/hello/actions/runs/99/job/4242
  fargate-runners why 4242 --region eu-central-1 --profile runners

Exit codes:
"
    .to_owned();
    for (exit, meaning) in Exit::ALL {
        let _ = writeln!(text, "  {}  {meaning}", exit.code());
    }
    text
}

impl Cli {
    /// Runs the command, and prints what it found or why it ended.
    pub async fn run(self) -> Exit {
        let output = Output::new(self.options.json);
        match Box::pin(run(self.options, self.command, output)).await {
            Ok(exit) => exit,
            Err(error) => {
                output.error(&error);
                error.exit()
            }
        }
    }
}

async fn run(options: Options, command: Command, output: Output) -> Result<Exit, Error> {
    if let Command::Completion { shell } = command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "fargate-runners", &mut script);
        output.raw(&String::from_utf8_lossy(&script));
        return Ok(Exit::Done);
    }
    let at = At::open(&options).await?;
    match command {
        Command::Why { job } => {
            let job: JobRef = job.parse()?;
            // One call found the stack.
            let cloud = at.cloud(why::AWS_CALLS - 1);
            let github = at.github(&cloud)?;
            let now = OffsetDateTime::now_utc();
            let evidence = Box::pin(why::collect(&cloud, &at.deployment, &github, &job, now)).await;
            let explanation = why::explain(&evidence);
            output.explanation(&evidence, &explanation);
            Ok(match explanation.situation {
                why::Situation::Unknown => Exit::NoJob,
                _ => Exit::Done,
            })
        }
        Command::Completion { .. } => Ok(Exit::Done),
    }
}

/// The deployment that a command is about.
struct At {
    connection: Connection,
    deployment: Deployment,
}

impl At {
    async fn open(options: &Options) -> Result<Self, Error> {
        let place = Place {
            region: options.region.clone(),
            profile: options.profile.clone(),
        };
        let connection = Connection::open(&place).await?;
        let deployment = Deployment::find(&connection, options.stack.as_deref()).await?;
        Ok(Self {
            connection,
            deployment,
        })
    }

    fn cloud(&self, calls: u32) -> Cloud {
        Cloud::new(&self.connection, &self.deployment, Calls::at_most(calls))
    }

    /// The App at GitHub. Somebody is waiting, so nothing is asked twice.
    fn github(&self, cloud: &Cloud) -> Result<GitHub, Error> {
        let secrets = AppSecrets::new(cloud.ssm.clone(), &self.deployment.prefix);
        let url = self.deployment.github.clone();
        Ok(GitHub::with_patience(url, secrets, Patience::NONE)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_has_examples_and_every_exit_code() {
        let help = Cli::command().render_long_help().to_string();
        assert!(help.contains("Examples:"), "{help}");
        for (exit, meaning) in Exit::ALL {
            assert!(
                help.contains(&format!("{}  {meaning}", exit.code())),
                "{help}"
            );
        }
        for command in Cli::command().get_subcommands() {
            let help = command.clone().render_help().to_string();
            assert!(help.contains("Example"), "{help}");
        }
    }
}
