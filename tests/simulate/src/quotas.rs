//! The quotas of AWS and GitHub, as they document them. `docs/assumptions.md` has a row for each.

use std::fmt;

use tooling::thousands;

/// What can say no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Limit {
    StartExecution,
    StateTransitions,
    LambdaConcurrency,
    ParameterStore,
    RunTask,
    FargateLaunches,
    FargateVcpus,
    GitHubHour,
    GitHubMinute,
    GitHubRegistrations,
    GitHubContent,
    TableWrites,
}

impl Limit {
    pub(crate) const ALL: [Self; 12] = [
        Self::StartExecution,
        Self::StateTransitions,
        Self::LambdaConcurrency,
        Self::ParameterStore,
        Self::RunTask,
        Self::FargateLaunches,
        Self::FargateVcpus,
        Self::GitHubHour,
        Self::GitHubMinute,
        Self::GitHubRegistrations,
        Self::GitHubContent,
        Self::TableWrites,
    ];

    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// What it limits, and its row in `docs/assumptions.md`.
    const fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::StartExecution => ("StartExecution", "SF-16"),
            Self::StateTransitions => ("state transitions", "SF-23"),
            Self::LambdaConcurrency => ("Lambda concurrent executions", "LA-10"),
            Self::ParameterStore => ("Parameter Store calls", "SS-04"),
            Self::RunTask => ("RunTask calls", "EC-50"),
            Self::FargateLaunches => ("Fargate task launches", "EC-50"),
            Self::FargateVcpus => ("Fargate On-Demand vCPUs", "EC-51"),
            Self::GitHubHour => ("GitHub calls an hour", "LM-03"),
            Self::GitHubMinute => ("GitHub just-in-time configurations a minute", "LM-04"),
            Self::GitHubRegistrations => ("GitHub registrations in 5 minutes", "LM-05"),
            Self::GitHubContent => ("GitHub content-generating calls", "LM-07"),
            Self::TableWrites => ("DynamoDB write units", "DY-08"),
        }
    }

    pub(crate) const fn row(self) -> &'static str {
        self.told().1
    }

    pub(crate) const fn source(self) -> &'static str {
        match self {
            Self::StartExecution | Self::StateTransitions => {
                "https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"
            }
            Self::LambdaConcurrency => {
                "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"
            }
            Self::ParameterStore => "https://docs.aws.amazon.com/general/latest/gr/ssm.html",
            Self::RunTask | Self::FargateLaunches => {
                "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/throttling.html"
            }
            Self::FargateVcpus => {
                "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html"
            }
            Self::GitHubHour | Self::GitHubMinute | Self::GitHubContent => {
                "https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api"
            }
            Self::GitHubRegistrations => "https://docs.github.com/en/actions/reference/limits",
            Self::TableWrites => {
                "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html"
            }
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.told().0)
    }
}

/// What a token bucket holds, and what is added to it in a second.
pub(crate) type Rate = (u32, u32);

/// How much of everything a deployment has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quotas {
    pub(crate) start_execution: Rate,
    pub(crate) transitions: Rate,
    pub(crate) lambda: u32,
    pub(crate) parameter_store: Rate,
    pub(crate) run_task: Rate,
    pub(crate) fargate_launches: Rate,
    pub(crate) vcpus: u32,
    /// Of each installation.
    pub(crate) github_hour: u32,
    pub(crate) github_minute: u32,
    pub(crate) github_registrations: u32,
    /// In a minute and in an hour; `None` where GitHub does not count a runner's configuration as
    /// content, as seems to be so.
    pub(crate) github_content: Option<(u32, u32)>,
    /// How many installations the repositories are spread over.
    pub(crate) installations: usize,
    pub(crate) table_writes: Rate,
}

impl Quotas {
    /// Those of a new account in a smaller region, and of one installation of the App.
    pub(crate) const fn new_account() -> Self {
        Self {
            start_execution: (800, 150),
            transitions: (800, 800),
            lambda: 1_000,
            parameter_store: (40, 40),
            run_task: (20, 20),
            fargate_launches: (100, 20),
            vcpus: 6,
            github_hour: 5_000,
            github_minute: 180,
            github_registrations: 1_500,
            github_content: None,
            installations: 1,
            table_writes: (4_000, 4_000),
        }
    }

    /// The same with as many vCPUs as the jobs need, which is the first thing that is raised, and with the
    /// calls that GitHub grants by itself to an organization with some hundred members or repositories.
    pub(crate) const fn grown() -> Self {
        Self {
            vcpus: u32::MAX,
            github_hour: 12_500,
            ..Self::new_account()
        }
    }

    /// Raises the vCPUs to what so many tasks at once need, with room. Returns what they are then.
    pub(crate) fn raise_vcpus(&mut self, tasks: u32) -> Option<String> {
        let enough = (tasks + tasks / 4).next_multiple_of(50);
        if self.vcpus >= enough {
            return None;
        }
        self.vcpus = enough;
        Some(format!("{enough}"))
    }

    /// What a limit allows, in words.
    pub(crate) fn shown(&self, limit: Limit) -> String {
        let rate = |(size, per_second): Rate| {
            let (size, per_second) = (thousands(size.into()), thousands(per_second.into()));
            format!("{size} at once, {per_second} a second")
        };
        match limit {
            Limit::StartExecution => rate(self.start_execution),
            Limit::StateTransitions => rate(self.transitions),
            Limit::LambdaConcurrency => format!("{} at once", thousands(self.lambda.into())),
            Limit::ParameterStore => rate(self.parameter_store),
            Limit::RunTask => rate(self.run_task),
            Limit::FargateLaunches => rate(self.fargate_launches),
            Limit::FargateVcpus => format!("{} in a new account", self.vcpus),
            Limit::GitHubHour => {
                format!(
                    "{} for each installation",
                    thousands(self.github_hour.into())
                )
            }
            Limit::GitHubMinute => format!("{} for each installation", self.github_minute),
            Limit::GitHubRegistrations => {
                let most = thousands(self.github_registrations.into());
                format!("{most} for each installation")
            }
            Limit::GitHubContent => "80 a minute, 500 an hour; not counted above".to_owned(),
            Limit::TableWrites => rate(self.table_writes),
        }
    }

    /// Raises what this limit stands for. Returns what it is then, in words; `None` if nobody can
    /// raise it.
    pub(crate) fn raise(&mut self, limit: Limit) -> Option<String> {
        let double = |rate: &mut Rate| {
            *rate = (rate.0 * 2, rate.1 * 2);
            format!("{} at once, {} a second", rate.0, rate.1)
        };
        Some(match limit {
            Limit::StartExecution => double(&mut self.start_execution),
            Limit::StateTransitions => double(&mut self.transitions),
            Limit::LambdaConcurrency => {
                self.lambda *= 2;
                format!("{} at once", self.lambda)
            }
            Limit::ParameterStore => {
                // The account's setting "higher throughput" for GetParameter and PutParameter.
                self.parameter_store = (1_000, 1_000);
                "higher throughput, 1,000 a second".to_owned()
            }
            Limit::RunTask | Limit::FargateLaunches => {
                double(&mut self.run_task);
                let launches = double(&mut self.fargate_launches);
                format!(
                    "RunTask {} a second and launches {launches}",
                    self.run_task.1
                )
            }
            Limit::GitHubHour if self.github_hour < 12_500 => {
                self.github_hour = 12_500;
                "12,500 an hour, as GitHub grants by itself to larger organizations".to_owned()
            }
            Limit::GitHubHour | Limit::GitHubMinute | Limit::GitHubRegistrations => {
                self.installations *= 2;
                format!(
                    "{} organizations, each with its own installation",
                    self.installations
                )
            }
            Limit::FargateVcpus | Limit::GitHubContent => return None,
            Limit::TableWrites => double(&mut self.table_writes),
        })
    }
}
