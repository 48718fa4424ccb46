//! 128 random bits as text.

const BYTES: usize = 16;

/// 32 lower-case hex digits that nobody can guess.
pub(crate) fn hex() -> Result<String, getrandom::Error> {
    use std::fmt::Write as _;
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// Whether a text could come from [`hex`].
pub(crate) fn is_hex(text: &str) -> bool {
    text.len() == 2 * BYTES
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
