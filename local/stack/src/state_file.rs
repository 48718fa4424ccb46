//! Lets a second terminal find the running stack.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use local_stack::{Aws, Observer};
use serde::{Deserialize, Serialize};
use tooling::Checkout;

/// Addresses of the running stack.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StateFile {
    pid: u32,
    endpoint: String,
    github: String,
    state_machine: String,
    cluster: String,
    prefix: String,
    tasks: PathBuf,
}

/// The file exists while the stack runs.
#[derive(Debug)]
pub(crate) struct Published(PathBuf);

impl StateFile {
    /// Writes the addresses of a stack.
    pub(crate) fn publish(checkout: &Checkout, observer: &Observer) -> anyhow::Result<Published> {
        let file = checkout.stack_file();
        let content = Self {
            pid: std::process::id(),
            endpoint: observer.aws.endpoint().to_owned(),
            github: observer.github.clone(),
            state_machine: observer.machine.clone(),
            cluster: observer.cluster.clone(),
            prefix: observer.prefix.clone(),
            tasks: observer.tasks.clone(),
        };
        fs::write(&file, serde_json::to_vec_pretty(&content)?)
            .with_context(|| format!("writing {}", file.display()))?;
        Ok(Published(file))
    }

    /// Finds the running stack.
    pub(crate) fn find(checkout: &Checkout) -> anyhow::Result<Observer> {
        let file = checkout.stack_file();
        let found = fs::read(&file)
            .ok()
            .and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        // A killed stack leaves its file.
        let Some(state) =
            found.filter(|state| Path::new("/proc").join(state.pid.to_string()).exists())
        else {
            bail!("no local stack is running; start one in another terminal: cargo xtask local");
        };
        Ok(Observer {
            aws: Aws::new(&state.endpoint)?,
            github: state.github,
            machine: state.state_machine,
            cluster: state.cluster,
            prefix: state.prefix,
            tasks: state.tasks,
        })
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        // A leftover file names a process that is gone, so it is ignored.
        let _ = fs::remove_file(&self.0);
    }
}
