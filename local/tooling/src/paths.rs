//! Paths of sources and build products.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{fs, io};

use anyhow::Context;

/// The repository's files and build products.
#[derive(Clone, Debug)]
pub struct Checkout {
    root: PathBuf,
}

impl Checkout {
    /// The repository of this build.
    pub fn here() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        Self {
            root: root.canonicalize().unwrap_or(root),
        }
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The names of the functions: each folder of `handlers/` is the crate of one.
    pub fn functions(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for folder in fs::read_dir(self.path("handlers"))? {
            let folder = folder?;
            if folder.path().join("Cargo.toml").is_file() {
                names.push(folder.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// The name of the package in a folder. A handler's may differ from its folder's: Cargo allows
    /// none that is named after a keyword.
    pub fn package(&self, folder: &str) -> anyhow::Result<String> {
        let manifest = self.path(folder).join("Cargo.toml");
        let text = fs::read_to_string(&manifest)
            .with_context(|| format!("reading {}", manifest.display()))?;
        let name = text
            .lines()
            .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
        let name = name.with_context(|| format!("{} names no package", manifest.display()))?;
        Ok(name.to_owned())
    }

    /// Cargo's target directory.
    pub fn target(&self) -> PathBuf {
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), PathBuf::from)
    }

    /// Build products, state and logs of the local stack.
    pub fn local(&self) -> PathBuf {
        self.target().join("local")
    }

    /// A Python virtual environment.
    pub fn venv(&self, name: &str) -> PathBuf {
        self.local().join(format!("venv-{name}"))
    }

    /// A program in a Python virtual environment.
    pub fn venv_program(&self, venv: &str, program: &str) -> PathBuf {
        self.venv(venv).join("bin").join(program)
    }

    /// The handlers for the local stack, each as `NAME/bootstrap`.
    pub fn handlers(&self) -> PathBuf {
        self.local().join("lambda")
    }

    /// The agent for the local stack.
    pub fn agent(&self) -> PathBuf {
        self.handlers().join("agent/bootstrap")
    }

    /// Handlers and agent as they are deployed, for this machine's architecture.
    pub fn deployed(&self) -> PathBuf {
        // cargo-lambda treats every program as a function, including the agent.
        self.local().join("deployed")
    }

    /// A program built with `cargo build`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.target().join("debug").join(name)
    }

    /// File with the addresses of the running local stack.
    pub fn stack_file(&self) -> PathBuf {
        self.local().join("stack.json")
    }
}

/// CPU architecture of the functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// AWS Graviton.
    Arm64,
    /// Intel and AMD.
    X86_64,
}

impl Architecture {
    /// This machine's architecture.
    pub fn here() -> Self {
        if cfg!(target_arch = "aarch64") {
            Self::Arm64
        } else {
            Self::X86_64
        }
    }

    /// The static target of functions and agent.
    pub fn triple(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64-unknown-linux-musl",
            Self::X86_64 => "x86_64-unknown-linux-musl",
        }
    }

    /// The runner label of this architecture.
    pub fn label(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86_64 => "x64",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Arm64 => "arm64",
            Self::X86_64 => "x86_64",
        })
    }
}

impl FromStr for Architecture {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "arm64" => Ok(Self::Arm64),
            "x86_64" => Ok(Self::X86_64),
            _ => Err("give `arm64` or `x86_64`".to_owned()),
        }
    }
}
