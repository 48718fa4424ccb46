//! Numbers as pages show them.

/// A number with commas between its thousands.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_read_in_thousands() {
        let shown = [7, 999, 1_000, 1_234_567].map(thousands);
        assert_eq!(shown, ["7", "999", "1,000", "1,234,567"]);
    }
}
