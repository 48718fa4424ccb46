//! `config.sh`: registers the directory as a runner
//! ([source](https://github.com/actions/runner/blob/main/src/Runner.Listener/Configuration/ConfigurationManager.cs)).

use serde_json::json;

use crate::code;
use crate::command::Configure;
use crate::github::{GitHub, Trouble};
use crate::home::Home;
use crate::terminal::{Diagnostics, error, line, success};

/// Default labels of every runner.
const DEFAULT_LABELS: [&str; 2] = ["self-hosted", "Linux"];

pub(crate) async fn configure(home: &Home, request: Configure) -> i32 {
    let log = Diagnostics::open(home.path(), "Runner");
    match register(home, request).await {
        Ok(()) => {
            log.info("The runner is configured.");
            code::SUCCESS
        }
        Err(message) => {
            log.error(&message);
            error(&message);
            code::TERMINATED
        }
    }
}

async fn register(home: &Home, request: Configure) -> Result<(), String> {
    if home.is_configured() {
        return Err("Cannot configure the runner because it is already configured. To reconfigure the runner, run 'config.cmd remove' or './config.sh remove' first.".to_owned());
    }
    let missing = |name: &str| {
        format!("Invalid configuration provided for {name}. Terminating unattended configuration.")
    };
    let url = request.url.ok_or_else(|| missing("url"))?;
    let token = request.token.ok_or_else(|| missing("token"))?;
    let labels = labels(request.labels, request.no_default_labels)?;
    let name = request.name.unwrap_or_else(host_name);

    line("\n# Authentication\n");
    let github = GitHub::new(&format!("{}/_runner", origin(&url)?))
        .map_err(|reason| format!("An error occurred: {reason}"))?;
    let body = json!({
        "token": token,
        "url": url,
        "name": name,
        "labels": labels,
        "group": request.group,
        "work_folder": request.work.unwrap_or_else(|| "_work".to_owned()),
        "ephemeral": request.ephemeral,
        "replace": request.replace,
    });
    let files = github
        .register(&body)
        .await
        .map_err(|trouble| match trouble {
            Trouble::Conflict => format!("A runner exists with the same name {name}."),
            Trouble::NotFound(_) | Trouble::Revoked => format!(
                "Http response code: NotFound from 'POST {}/actions/runner-registration'",
                origin(&url).unwrap_or_default()
            ),
            Trouble::Deprecated(_) => "Http response code: Forbidden".to_owned(),
            Trouble::Transient(reason) => reason,
        })?;
    success("Connected to GitHub");
    line("\n# Runner Registration\n");
    success("Runner successfully added");
    success("Runner connection is good");
    line("\n# Runner settings\n");
    home.write(&files)
        .map_err(|reason| format!("An error occurred: {reason}"))?;
    success("Settings Saved.");
    Ok(())
}

fn labels(given: Vec<String>, no_default_labels: bool) -> Result<Vec<String>, String> {
    if no_default_labels {
        if given.is_empty() {
            return Err("'--no-default-labels' is not allowed without '--labels'.".to_owned());
        }
        return Ok(given);
    }
    let architecture = match std::env::consts::ARCH {
        "aarch64" => "ARM64",
        _ => "X64",
    };
    let defaults = DEFAULT_LABELS.into_iter().chain([architecture]);
    Ok(defaults.map(str::to_owned).chain(given).collect())
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "myrunner".to_owned(), |name| name.trim().to_owned())
}

/// Scheme and host of a URL.
fn origin(url: &str) -> Result<String, String> {
    url.parse::<reqwest::Url>()
        .ok()
        .filter(reqwest::Url::has_host)
        .map(|url| url.origin().ascii_serialization())
        .ok_or_else(|| format!("Invalid URL: {url}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_labels_come_unless_they_are_unwanted() {
        let given = || vec!["gpu".to_owned()];
        let all = labels(given(), false).unwrap();
        assert_eq!(
            (all.len(), all[0].as_str(), all[3].as_str()),
            (4, "self-hosted", "gpu")
        );
        assert_eq!(labels(given(), true).unwrap(), ["gpu"]);
        assert!(labels(Vec::new(), true).is_err());
    }

    #[test]
    fn the_service_is_at_the_host_of_the_address() {
        assert_eq!(
            origin("http://127.0.0.1:9/octo/hello").unwrap(),
            "http://127.0.0.1:9"
        );
        assert!(origin("octo/hello").is_err());
    }
}
