//! Reports why a program ends.

use std::error::Error;

/// Prints to stderr why a program ends, as a sentence that says what to do.
pub fn report(error: &(dyn Error + 'static)) {
    eprintln!("error: {}", sentence(error));
}

/// An error with its causes. Skips a cause that the error already contains.
pub fn sentence(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    for cause in causes.map(ToString::to_string) {
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Failed {
        #[error("reading the file failed")]
        Read(#[source] std::fmt::Error),
        #[error("writing the file failed: {0}")]
        Write(#[source] std::fmt::Error),
    }

    #[test]
    fn each_cause_is_told_once() {
        let cause = std::fmt::Error;
        for (error, told) in [
            (
                Failed::Read(cause),
                format!("reading the file failed: {cause}"),
            ),
            (
                Failed::Write(cause),
                format!("writing the file failed: {cause}"),
            ),
        ] {
            assert_eq!(sentence(&error), told);
        }
    }
}
