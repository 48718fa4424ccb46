//! The runner's directory: `bin`, `_diag`, `_work`, and the files that register it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The files of a registered runner.
const FILES: [&str; 3] = [".runner", ".credentials", ".credentials_rsaparams"];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Home(PathBuf);

/// The contents of the files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) server: String,
    pub(crate) name: String,
    pub(crate) work_folder: String,
    pub(crate) ephemeral: bool,
    pub(crate) client_id: String,
    pub(crate) secret: String,
}

impl Home {
    /// The parent of the program's directory. Does not follow links: each task has its own home and
    /// may share the program.
    pub(crate) fn of(program: &str) -> io::Result<Self> {
        let program = Path::new(program);
        let program = if program.components().count() > 1 {
            std::path::absolute(program)?
        } else {
            std::env::current_exe()?
        };
        program
            .parent()
            .and_then(Path::parent)
            .map(|home| Self(home.to_owned()))
            .ok_or_else(|| io::Error::other("the program is in no directory"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn is_configured(&self) -> bool {
        self.0.join(FILES[0]).exists()
    }

    /// Writes the files of a just-in-time configuration.
    pub(crate) fn unpack(&self, encoded: &str) -> anyhow::Result<()> {
        let json = STANDARD
            .decode(encoded.trim())
            .context("The input is not a valid Base-64 string")?;
        let files: BTreeMap<String, String> =
            serde_json::from_slice(&json).context("The configuration is not JSON of strings")?;
        for (name, content) in files {
            anyhow::ensure!(
                FILES.contains(&name.as_str()),
                "The configuration names a file of its own: {name}"
            );
            let content = STANDARD
                .decode(content)
                .with_context(|| format!("{name} is not a valid Base-64 string"))?;
            std::fs::write(self.0.join(&name), content)
                .with_context(|| format!("writing {name}"))?;
        }
        Ok(())
    }

    /// Writes the files of a registration.
    pub(crate) fn write(&self, files: &BTreeMap<String, Value>) -> io::Result<()> {
        for name in FILES {
            if let Some(content) = files.get(name) {
                std::fs::write(self.0.join(name), content.to_string())?;
            }
        }
        Ok(())
    }

    /// Reads the files.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        let read = |name: &str| -> anyhow::Result<Value> {
            let text =
                std::fs::read(self.0.join(name)).with_context(|| format!("reading {name}"))?;
            serde_json::from_slice(&text).with_context(|| format!("{name} is not JSON"))
        };
        let (runner, credentials, key) = (read(FILES[0])?, read(FILES[1])?, read(FILES[2])?);
        let text = |value: &Value, what: &str| {
            value
                .as_str()
                .map(str::to_owned)
                .with_context(|| format!("the runner's files name no {what}"))
        };
        Ok(Settings {
            server: text(&runner["ServerUrl"], "ServerUrl")?,
            name: text(&runner["AgentName"], "AgentName")?,
            work_folder: text(&runner["workFolder"], "workFolder")?,
            ephemeral: runner["Ephemeral"] == "True",
            client_id: text(&credentials["Data"]["ClientId"], "ClientId")?,
            secret: text(&key["d"], "key")?,
        })
    }

    /// Deletes the files, as the runner does after its job.
    pub(crate) fn unconfigure(&self) {
        for name in FILES {
            // A missing file is fine.
            let _ = std::fs::remove_file(self.0.join(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_is_above_the_program_s_directory() {
        let home = Home::of("/tasks/1/home/bin/Runner.Listener").unwrap();
        assert_eq!(home.path(), Path::new("/tasks/1/home"));
        let here = std::env::current_dir().unwrap();
        assert_eq!(Home::of("bin/Runner.Listener").unwrap().path(), here);
        assert_eq!(Home::of("./bin/Runner.Listener").unwrap().path(), here);
    }

    #[test]
    fn a_configuration_writes_only_the_runner_s_files() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home(directory.path().to_owned());
        let pack = |name: &str| {
            STANDARD.encode(serde_json::json!({ name: STANDARD.encode("{}") }).to_string())
        };
        home.unpack(&pack(".runner")).unwrap();
        assert!(home.is_configured());
        assert!(home.unpack(&pack("../evil")).is_err());
        for broken in ["not base64!", "e30x"] {
            assert!(home.unpack(broken).is_err());
        }
        home.unconfigure();
        assert!(!home.is_configured());
    }
}
