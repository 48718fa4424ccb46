//! Exit codes.

/// How the program ends. The numbers are part of its interface, and `--help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// AWS or GitHub refused, or did not answer.
    Failed = 1,
    /// The command line cannot be used; clap's own code.
    Usage = 2,
    /// No credentials, no region, or AWS cannot be reached with them.
    NotConnected = 3,
    /// No deployment there, or more than one.
    NoDeployment = 4,
    /// Nothing is known of the job.
    NoJob = 5,
    /// `doctor` or `setup` found something to mend.
    Findings = 6,
}

impl Exit {
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Done, "done"),
        (
            Self::Failed,
            "AWS or GitHub refused or did not answer, or the output cannot be written",
        ),
        (Self::Usage, "the command line cannot be used, or its port"),
        (
            Self::NotConnected,
            "no credentials, no region, or AWS is out of reach",
        ),
        (
            Self::NoDeployment,
            "no deployment there, or several to choose from",
        ),
        (Self::NoJob, "nothing is known of the job"),
        (Self::Findings, "doctor or setup found something to mend"),
    ];

    pub const fn code(self) -> u8 {
        self as u8
    }
}
