//! What a check found.

use serde::Serialize;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Mark {
    /// As it should be.
    Good,
    /// Nothing to mend: could not be looked at, or worth knowing.
    Note,
    /// To be mended.
    Bad,
}

/// One finding, with the command or setting that mends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub mark: Mark,
    /// What was looked at, and what was found.
    pub text: String,
    /// What mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    pub fn good(text: impl Into<String>) -> Self {
        Self::new(Mark::Good, text, None)
    }

    pub fn note(text: impl Into<String>) -> Self {
        Self::new(Mark::Note, text, None)
    }

    pub fn bad(text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Mark::Bad, text, Some(fix.into()))
    }

    fn new(mark: Mark, text: impl Into<String>, fix: Option<String>) -> Self {
        Self {
            mark,
            text: text.into(),
            fix,
        }
    }

    /// The same as a note, for what may still come.
    #[must_use]
    pub fn unless(self, passes: bool) -> Self {
        if passes && self.mark == Mark::Bad {
            Self {
                mark: Mark::Note,
                ..self
            }
        } else {
            self
        }
    }

    /// Two lines for people; each mark is a word or a sign that needs no colour.
    pub fn lines(&self) -> Vec<String> {
        let sign = match self.mark {
            Mark::Good => '✓',
            Mark::Note => '·',
            Mark::Bad => '✗',
        };
        let fix = self.fix.iter().map(|fix| format!("  → {fix}"));
        std::iter::once(format!("{sign} {}", self.text))
            .chain(fix)
            .collect()
    }
}

/// Whether nothing is to be mended.
pub fn well(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.mark != Mark::Bad)
}
