//! An account whose jobs are served. Pure.

use std::fmt;
use std::str::FromStr;

/// One entry of `ALLOWED_OWNERS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Everybody, written `*`.
    Everybody,
    /// The account of that name. Names change hands: an account that is renamed or deleted frees its
    /// own for others.
    Named(String),
    /// The account with that id, which GitHub never gives again. Written `name:id`; the name is for
    /// readers.
    Numbered {
        /// What it was called when this was written.
        name: String,
        /// Its id.
        id: u64,
    },
}

/// Text that names no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("give an account's name, `name:id` with its id at GitHub, or `*` for everybody")]
pub struct OwnerError;

impl Owner {
    /// Whether it is the account of that name and id. Where an event tells no id, an account that is
    /// given by its id is not recognized.
    pub fn is(&self, name: &str, id: Option<u64>) -> bool {
        match self {
            Self::Everybody => true,
            // GitHub compares names of accounts without case.
            Self::Named(allowed) => allowed.eq_ignore_ascii_case(name),
            Self::Numbered { id: allowed, .. } => id == Some(*allowed),
        }
    }
}

impl FromStr for Owner {
    type Err = OwnerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = |name: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            (!name.is_empty() && name.chars().all(fits)).then(|| name.to_owned())
        };
        if text == "*" {
            return Ok(Self::Everybody);
        }
        match text.split_once(':') {
            None => named(text).map(Self::Named),
            Some((name, id)) => named(name)
                .zip(id.parse().ok())
                .map(|(name, id)| Self::Numbered { name, id }),
        }
        .ok_or(OwnerError)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everybody => f.write_str("*"),
            Self::Named(name) => f.write_str(name),
            Self::Numbered { name, id } => write!(f, "{name}:{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_given_by_its_id_is_known_by_nothing_else() {
        for (entry, name, id, served) in [
            ("octo", "Octo", None, true),
            ("octo", "octo", Some(7), true),
            ("octo", "octo2", Some(7), false),
            ("octo:7", "octo", Some(7), true),
            ("octo:7", "renamed", Some(7), true),
            ("octo:7", "octo", Some(8), false),
            ("octo:7", "octo", None, false),
            ("*", "anybody", None, true),
        ] {
            let owner: Owner = entry.parse().unwrap();
            assert_eq!(owner.is(name, id), served, "{entry}: {name} {id:?}");
            assert_eq!(owner.to_string(), entry);
        }
    }

    #[test]
    fn what_names_no_account_is_told_so() {
        for text in [
            "",
            "octo/hello",
            "octo:",
            "octo:x",
            ":7",
            "octo:-1",
            "**",
            "o c",
        ] {
            assert_eq!(text.parse::<Owner>(), Err(OwnerError), "{text:?}");
        }
    }
}
