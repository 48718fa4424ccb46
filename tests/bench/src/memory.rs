//! How much memory, and so how much of a processor, a function should have.
//!
//! Each function runs with the share of a processor that Lambda gives it at several sizes, against
//! an AWS and a GitHub that take as long as real ones. Here time on the wall counts, because that is
//! what is billed; it is mostly those waits and the share, so that a busy machine hardly shows.

use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::rig::Rig;
use crate::share::Share;
use crate::spread::Spread;
use crate::subject::Subject;

/// The sizes that are tried, in MiB.
pub(crate) const SIZES: [u32; 4] = [128, 256, 512, 1_024];
/// What one answer of AWS takes from a function in its region: assumed.
pub(crate) const AWS: Duration = Duration::from_millis(15);
/// What one answer of GitHub takes: assumed.
pub(crate) const GITHUB: Duration = Duration::from_millis(120);
/// Invocations per sandbox that are not its first.
const WARM: u64 = 20;

/// A function at one size: times on the wall, in milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) name: String,
    pub(crate) mib: u32,
    pub(crate) init: Spread,
    pub(crate) first: Spread,
    pub(crate) warm: Spread,
}

/// Tries every function at every size.
pub(crate) async fn measure(rig: &Rig, runs: u32) -> anyhow::Result<Vec<Figures>> {
    rig.slow(AWS, GITHUB);
    let mut all = Vec::new();
    for subject in Subject::ALL {
        for mib in SIZES {
            let figures = at(rig, subject, mib, runs)
                .await
                .with_context(|| format!("{} with {mib} MiB", subject.name()))?;
            all.push(figures);
        }
    }
    rig.slow(Duration::ZERO, Duration::ZERO);
    Ok(all)
}

async fn at(rig: &Rig, subject: Subject, mib: u32, runs: u32) -> anyhow::Result<Figures> {
    eprintln!("  … {} with {mib} MiB", subject.name());
    let (mut init, mut first, mut warm) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..runs {
        rig.publish().await?;
        let share = Share::of(mib, &format!("{}-{mib}-{run}", subject.name()))?;
        let mut sandbox = rig.sandbox(subject, &[], Some(&share)).await?;
        init.push(sandbox.ready().await?.wall);
        first.push(rig.invoke(&mut sandbox, subject, 1).await?);
        for job in 0..WARM {
            // At rest the share fills up again, as it does between two real events.
            sandbox.cpu_at_rest().await?;
            warm.push(rig.invoke(&mut sandbox, subject, job + 2).await?);
        }
        drop(sandbox);
    }
    Ok(Figures {
        name: subject.name().to_owned(),
        mib,
        init: Spread::of_times(init),
        first: Spread::of_times(first),
        warm: Spread::of_times(warm),
    })
}
