//! Where everything is, and what is made where.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{fs, io};

use anyhow::Context;

/// The repository's files, and the places of what is made from them.
#[derive(Clone, Debug)]
pub struct Checkout {
    root: PathBuf,
}

impl Checkout {
    /// The repository that this was compiled in.
    pub fn here() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        Self {
            root: root.canonicalize().unwrap_or(root),
        }
    }

    /// A file or directory of the repository.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The root of the repository.
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

    /// What the local stack is made of, and what it leaves for a look.
    pub fn local(&self) -> PathBuf {
        self.target().join("local")
    }

    /// A Python environment of that name.
    pub fn venv(&self, name: &str) -> PathBuf {
        self.local().join(format!("venv-{name}"))
    }

    /// A program of a Python environment.
    pub fn venv_program(&self, venv: &str, program: &str) -> PathBuf {
        self.venv(venv).join("bin").join(program)
    }

    /// The handlers' programs for the local stack, each as `NAME/bootstrap`.
    pub fn handlers(&self) -> PathBuf {
        self.local().join("lambda")
    }

    /// The agent for the local stack.
    pub fn agent(&self) -> PathBuf {
        self.handlers().join("agent/bootstrap")
    }

    /// Handlers and agent as they are deployed, for this machine's processor.
    pub fn deployed(&self) -> PathBuf {
        // cargo-lambda takes every program for a function's: the agent is among them.
        self.local().join("deployed")
    }

    /// A program of ours as `cargo build` makes it.
    pub fn program(&self, name: &str) -> PathBuf {
        self.target().join("debug").join(name)
    }

    /// Where the running local stack says how it is reached.
    pub fn stack_file(&self) -> PathBuf {
        self.local().join("stack.json")
    }
}

/// A processor that functions run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// AWS Graviton.
    Arm64,
    /// Intel and AMD.
    X86_64,
}

impl Architecture {
    /// This machine's.
    pub fn here() -> Self {
        if cfg!(target_arch = "aarch64") {
            Self::Arm64
        } else {
            Self::X86_64
        }
    }

    /// The static target that functions and agent are built for.
    pub fn triple(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64-unknown-linux-musl",
            Self::X86_64 => "x86_64-unknown-linux-musl",
        }
    }

    /// The label that runners of this architecture carry.
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
