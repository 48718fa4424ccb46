//! Removes names from a text.

use super::phrases::TABLE;

/// Replaces a name, or several consecutive names.
const NAME: &str = "·";
/// The longest quotation or list that counts as a name. Longer ones are prose.
const LONGEST: usize = 512;
/// A name follows these words, even if it looks like a word: `pull access denied for busybox`.
const INTRODUCED_BY: &[&[&str]] = &[
    &["denied", "for"],
    &["manifest", "for"],
    &["resolve", "ref"],
    &["resolve", "reference"],
    &["container", "named"],
];

/// The words of a text in lower case, one space apart, without punctuation, with [`NAME`] in place
/// of names: image references, ARNs, addresses, ids, digests, numbers, quotations.
pub(super) fn cut(text: &str) -> String {
    let text = without_spans(&text.replace('’', "'"));
    let mut words: Vec<String> = Vec::new();
    // A colon ends the introduction of a name: `failed to resolve ref: not found`.
    let mut ended = false;
    for token in text.split(|c: char| c.is_whitespace() || ",;(){}<>|".contains(c)) {
        let Some(word) = word(token) else { continue };
        let introduced = !ended
            && INTRODUCED_BY.iter().any(|by| {
                words.len() >= by.len() && words[words.len() - by.len()..].iter().eq(by.iter())
            });
        ended = token.ends_with(':');
        let word = if introduced { NAME.to_owned() } else { word };
        if word != NAME || words.last().is_none_or(|last| last != NAME) {
            words.push(word);
        }
    }
    words.join(" ")
}

/// A token as a word or as [`NAME`]; `None` for punctuation.
fn word(token: &str) -> Option<String> {
    let bare = token.trim_matches(|c: char| ":.!?*\\".contains(c));
    // ECS writes what an instance lacks in capitals; an image reference has none.
    if bare.starts_with("RESOURCE:") {
        return Some("resource·".to_owned());
    }
    let inner = bare.trim_matches(|c: char| "\"'`\\:.".contains(c));
    if inner.is_empty() {
        return None;
    }
    let lower = inner.to_lowercase();
    let quoted = bare.len() >= inner.len() + 2;
    if lower == NAME || quoted || (looks_like_a_name(&lower) && !is_in_a_phrase(&lower)) {
        return Some(NAME.to_owned());
    }
    Some(lower)
}

/// References, ids, hosts and numbers contain characters that a word of prose does not.
fn looks_like_a_name(word: &str) -> bool {
    word.chars()
        .any(|c| !(c.is_ascii_alphabetic() || c == '\''))
}

/// Some words of the table look like names: `i/o`, `InvalidSubnetID.NotFound`.
fn is_in_a_phrase(word: &str) -> bool {
    TABLE
        .iter()
        .any(|phrase| phrase.words.split(' ').any(|known| known == word))
}

/// Removes quotations in single quotes or backticks and lists in brackets, where AWS puts values.
/// Keeps double quotes: nested errors stand between them, and a name between them is one token.
fn without_spans(text: &str) -> String {
    let mut left = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let opens = !before.is_alphanumeric();
        let end = match c {
            '[' => after.find(']'),
            '\'' | '`' if opens => closing(after, c),
            _ => None,
        };
        let end = end.filter(|end| *end > 0 && *end <= LONGEST && !after[..*end].contains('{'));
        if let Some(end) = end {
            left.push(' ');
            left.push_str(NAME);
            left.push(' ');
            rest = &after[end + 1..];
            before = ' ';
        } else {
            left.push(c);
            rest = after;
            before = c;
        }
    }
    left
}

/// End of a quotation: a quote that no letter follows (`'can't'` continues).
fn closing(text: &str, quote: char) -> Option<usize> {
    text.char_indices()
        .filter(|(_, c)| *c == quote)
        .map(|(at, _)| at)
        .find(|at| {
            text[at + 1..]
                .chars()
                .next()
                .is_none_or(|next| !next.is_alphanumeric())
        })
}
