//! Cleans text that GitHub's users choose. Whatever a job, a workflow or a label is called, its
//! webhook is accepted and no decision about the job changes.

use std::borrow::Cow;

/// Maximum characters of a name that is only for information. GitHub shows fewer. An execution's
/// input holds 256 KiB ([quotas]), and a long name must not lose a job.
///
/// [quotas]: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
const NAME_LIMIT: usize = 256;

/// Makes a name safe for a log line, an execution's input and a console: control characters and
/// line breaks become spaces, marks that change the text direction are removed, and it is cut at
/// 256 characters.
pub fn plain(text: &str) -> String {
    let kept: String = text
        .chars()
        .filter(|c| !turns_direction(*c))
        .map(|c| {
            if c.is_control() || is_break(c) {
                ' '
            } else {
                c
            }
        })
        .take(NAME_LIMIT)
        .collect();
    kept.trim().to_owned()
}

/// Unicode's bidirectional controls ([UAX 9]).
///
/// [UAX 9]: https://www.unicode.org/reports/tr9/#Bidirectional_Character_Types
const fn turns_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Line and paragraph separators, which are not control characters.
const fn is_break(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Repairs JSON so that every string parses: invalid UTF-8 and halves of surrogate pairs become
/// U+FFFD, raw control characters inside a string become spaces. Well-formed JSON is unchanged, so
/// this is for text that a parser has rejected.
///
/// JSON allows an escaped half of a surrogate pair and does not define its meaning ([RFC 8259]).
///
/// [RFC 8259]: https://www.rfc-editor.org/rfc/rfc8259#section-8.2
pub fn readable_json(bytes: &[u8]) -> String {
    let text: Cow<'_, str> = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut in_string = false;
    let mut rest = text.as_ref();
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '\\' if in_string => escape(rest, &mut out),
            c if in_string && c.is_ascii_control() => {
                out.push(' ');
                c.len_utf8()
            }
            c => {
                in_string ^= c == '"';
                out.push(c);
                c.len_utf8()
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}

/// Copies the escape that `text` begins with, and returns its length.
fn escape(text: &str, out: &mut String) -> usize {
    let unit = |at: usize| {
        let digits = text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let Some(first) = unit(0) else {
        // A short escape, or one that cannot be repaired.
        let length = text.chars().take(2).map(char::len_utf8).sum();
        out.push_str(&text[..length]);
        return length;
    };
    let pair = unit(6)
        .filter(|second| matches!(first, 0xd800..=0xdbff) && matches!(second, 0xdc00..=0xdfff));
    match (first, pair) {
        (_, Some(_)) => {
            out.push_str(&text[..12]);
            12
        }
        (0xd800..=0xdfff, None) => {
            out.push_str("\\ufffd");
            6
        }
        _ => {
            out.push_str(&text[..6]);
            6
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_name_is_one_line_without_marks_that_turn_its_direction() {
        for (text, expected) in [
            ("build", "build"),
            ("a\nb\r\n\tc\0", "a b   c"),
            ("\u{202e}dliub\u{200f}", "dliub"),
            ("a\u{2028}b", "a b"),
            ("🦀 ü", "🦀 ü"),
            ("", ""),
            ("\u{feff}", "\u{feff}"),
        ] {
            assert_eq!(plain(text), expected, "{text:?}");
        }
        assert_eq!(plain(&"🦀".repeat(100_000)).chars().count(), NAME_LIMIT);
    }

    #[test]
    fn halves_of_surrogate_pairs_do_not_keep_json_from_being_read() {
        for (json, expected) in [
            (r#"{"a":"x\ud800y"}"#, "x\u{fffd}y"),
            (r#"{"a":"\udc00"}"#, "\u{fffd}"),
            (r#"{"a":"\ud83e\udd80"}"#, "🦀"),
            (r#"{"a":"\ud83e\ud83e\udd80"}"#, "\u{fffd}🦀"),
            (r#"{"a":"\ud800\n"}"#, "\u{fffd}\n"),
            (r#"{"a":"\\ud800"}"#, "\\ud800"),
            (r#"{"a":"\"\ud800"}"#, "\"\u{fffd}"),
            ("{\"a\":\"x\ny\"}", "x y"),
        ] {
            let read: Value = serde_json::from_str(&readable_json(json.as_bytes())).unwrap();
            assert_eq!(read["a"], expected, "{json}");
        }
        let read: Value = serde_json::from_str(&readable_json(b"{\"a\":\"\xff\"}")).unwrap();
        assert_eq!(read["a"], "\u{fffd}");
    }

    proptest! {
        #[test]
        fn what_is_well_formed_comes_back_as_it_is(text in any::<String>(), key in "\\PC{0,9}") {
            let json = serde_json::json!({ key: text }).to_string();
            prop_assert_eq!(readable_json(json.as_bytes()), json);
        }

        #[test]
        fn any_bytes_are_taken_and_once_is_enough(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            let once = readable_json(&bytes);
            prop_assert_eq!(readable_json(once.as_bytes()), once);
        }

        #[test]
        fn any_text_becomes_a_short_line(text in any::<String>()) {
            let plain = plain(&text);
            prop_assert!(plain.chars().count() <= NAME_LIMIT);
            prop_assert!(!plain.chars().any(char::is_control));
        }
    }
}
