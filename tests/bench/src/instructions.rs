//! Instructions of a function's start and first invocation, counted by callgrind: the same from run to
//! run, however busy the machine is. What the kernel does for the function is not in them.

use std::path::Path;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use crate::rig::Rig;
use crate::subject::Subject;

/// A function's instructions, in millions.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) name: String,
    /// Until it asks for its first event.
    pub(crate) start: f64,
    /// The same and the first invocation.
    pub(crate) together: f64,
    /// The latter over the empty function's.
    pub(crate) of_empty: f64,
}

/// Counts those of each function that is built.
pub(crate) async fn measure(rig: &Rig) -> anyhow::Result<Vec<Figures>> {
    let mut all = Vec::new();
    let mut floor = None;
    for subject in Subject::ALL {
        if !rig.program(subject).is_file() {
            eprintln!("  … {} is not built", subject.name());
            continue;
        }
        rig.publish().await?;
        rig.aws.account().executions.clear();
        let counted = async {
            let start = count(rig, subject, false).await?;
            anyhow::Ok((start, count(rig, subject, true).await?))
        };
        // A slow machine exceeds the time limits of calls; what was counted before is kept.
        let (start, together) = match counted.await {
            Ok(counted) => counted,
            Err(error) => {
                eprintln!("  … {} is not counted: {error:#}", subject.name());
                continue;
            }
        };
        all.push(Figures {
            name: subject.name().to_owned(),
            start,
            together,
            of_empty: together / *floor.get_or_insert(together),
        });
    }
    Ok(all)
}

/// Runs a function under callgrind, to its first event or to the end of the first invocation. The
/// profile stays in the target directory, for `callgrind_annotate`.
async fn count(rig: &Rig, subject: Subject, invoked: bool) -> anyhow::Result<f64> {
    let phase = if invoked { "together" } else { "start" };
    let profile = rig
        .programs()
        .join(format!("{}.{phase}.callgrind", subject.name()));
    let mut sandbox = rig.sandbox_in(subject, &callgrind(&profile)).await?;
    sandbox.ready().await.with_context(|| rig.log(subject))?;
    if invoked {
        rig.invoke(&mut sandbox, subject, 1).await?;
    }
    sandbox.end()?;
    total(&profile)
}

fn callgrind(profile: &Path) -> Vec<String> {
    vec![
        "valgrind".to_owned(),
        "--tool=callgrind".to_owned(),
        format!("--callgrind-out-file={}", profile.display()),
    ]
}

/// The sum that callgrind writes into its profile.
fn total(profile: &Path) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(profile)
        .with_context(|| format!("reading {}; is valgrind installed?", profile.display()))?;
    let sum = text
        .lines()
        .find_map(|line| line.strip_prefix("totals: ")?.trim().parse::<f64>().ok())
        .with_context(|| format!("{} has no totals", profile.display()))?;
    ensure!(sum > 0.0, "callgrind counted nothing");
    Ok(sum / 1e6)
}
