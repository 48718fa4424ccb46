//! The name that somebody who mistyped it meant.

/// The candidate that differs least from a word, ignoring case.
pub(crate) fn nearest<'a>(word: &str, candidates: &'a [String]) -> Option<&'a str> {
    candidates
        .iter()
        .min_by_key(|candidate| distance(word, candidate))
        .map(String::as_str)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let lower = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    let (a, b) = (lower(a), lower(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_letter_off_is_near() {
        let names = ["fargate-runners".to_owned(), "network".to_owned()];
        assert_eq!(nearest("Fargate-Runner", &names), Some("fargate-runners"));
        assert_eq!(nearest("x", &[]), None);
    }

    proptest! {
        #[test]
        fn the_distance_is_one(a in "\\PC{0,12}", b in "\\PC{0,12}") {
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, a.to_lowercase() == b.to_lowercase());
        }
    }
}
