//! Adapts free text to what each receiver accepts. Only for text that GitHub's users choose; names
//! of this crate already fit.

/// Maximum length of an ECS tag value, in characters ([limits]).
///
/// [limits]: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-using-tags.html
const TAG_VALUE_LIMIT: usize = 256;

/// A tag value from any text: keeps letters, digits, spaces and `+ - = . _ : / @`, replaces other
/// characters by `_`, and cuts at 256 characters. Never empty, because an empty value groups
/// nothing on a bill.
pub fn tag_value(text: &str) -> String {
    let value: String = text
        .trim()
        .chars()
        .map(|c| {
            let allowed = c.is_ascii_alphanumeric()
                || matches!(c, ' ' | '+' | '-' | '=' | '.' | '_' | ':' | '/' | '@');
            if allowed { c } else { '_' }
        })
        .take(TAG_VALUE_LIMIT)
        .collect();
    if value.is_empty() {
        "-".to_owned()
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keeps_what_a_tag_may_hold() {
        assert_eq!(
            tag_value("octo/hello CI: build+test@1"),
            "octo/hello CI: build+test@1"
        );
        assert_eq!(tag_value("a 🦀 b"), "a _ b");
        assert_eq!(tag_value("   "), "-");
    }

    proptest! {
        #[test]
        fn any_text_becomes_a_valid_tag_value(text in "\\PC{0,400}") {
            let value = tag_value(&text);
            prop_assert!((1..=TAG_VALUE_LIMIT).contains(&value.chars().count()));
            prop_assert!(value.chars().all(|c| c.is_ascii_alphanumeric() || " +-=._:/@".contains(c)));
        }
    }
}
