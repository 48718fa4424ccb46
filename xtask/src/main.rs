//! The repository's commands: `cargo xtask zips`, `local`, `job`, `test`, `bench`, `chaos`,
//! `cost`, `simulate`, `fuzz`, `release`.

mod bench;
mod chaos;
mod fuzz;
mod local;
mod prepare;
mod prerequisites;
mod release;
mod test;
mod zips;

use clap::{Parser, Subcommand};
use tooling::{Architecture, StackOptions};

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    about = "Builds, shows and tests Fargate Runners"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Builds the handlers for deployment into target/lambda
    Zips {
        /// Processor of the functions: `arm64` or `x86_64`
        #[arg(long, default_value = "arm64")]
        arch: Architecture,
    },
    /// Builds what the tests and the local stack need
    Prepare,
    /// Runs the local stack: AWS engine, deployment, GitHub stand-in, one job
    Local(StackOptions),
    /// Queues a job on the running local stack
    #[command(disable_help_flag = true)]
    Job {
        /// --labels, --run, --repository; --help explains them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measures the functions and the agent against an empty function
    #[command(disable_help_flag = true)]
    Bench {
        /// --help explains them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Runs seeded chaos tests on the local stack
    #[command(disable_help_flag = true)]
    Chaos {
        /// --jobs, --seed, --seeds; --help explains them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Prints docs/cost.md, computed from counts and list prices
    Cost {
        /// Write the table of Fargate's sizes into docs/runs-on.md instead
        #[arg(long)]
        sizes: bool,
    },
    /// Simulates months of jobs and writes docs/scale.md
    #[command(disable_help_flag = true)]
    Simulate {
        /// --jobs, --warm, --vcpus, --seed; --help explains them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Fuzzes the parsers of external input
    Fuzz(fuzz::Options),
    /// Makes the files of a release
    Release(release::Options),
    /// Runs every check
    Test {
        /// Skip the checks that need the AWS engine
        #[arg(long)]
        fast: bool,
    },
}

fn main() -> std::process::ExitCode {
    tooling::exit(match Cli::parse().command {
        Command::Zips { arch } => zips::for_deployment(arch),
        Command::Prepare => prepare::everything(),
        Command::Local(options) => local::run(&options),
        Command::Job { arguments } => local::job(&arguments),
        Command::Bench { arguments } => bench::bench(&arguments),
        Command::Chaos { arguments } => chaos::chaos(&arguments),
        Command::Cost { sizes } => bench::cost(sizes),
        Command::Simulate { arguments } => bench::simulate(&arguments),
        Command::Fuzz(options) => fuzz::run_targets(&options),
        Command::Release(options) => release::release(&options),
        Command::Test { fast } => test::run(fast),
    })
}
