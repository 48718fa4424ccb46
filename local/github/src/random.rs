//! Two kinds of chance: one that can be repeated from a seed, and one that can't be guessed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// `SplitMix64` ([source](https://prng.di.unimi.it/splitmix64.c)): enough for choosing among runners,
/// and the same seed gives the same choices on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Choices(u64);

impl Choices {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// An index below `length`; 0 for an empty list.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        let length = u64::try_from(length).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % length).unwrap_or(0)
    }
}

/// Random bytes of the operating system.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Without randomness a secret of the stand-in can be guessed; it guards nothing of value.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

/// `N` random bytes in base64.
pub(crate) fn base64<const N: usize>() -> String {
    STANDARD.encode(bytes::<N>())
}

/// `length` letters and digits.
pub(crate) fn alphanumeric(length: usize) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut choices = Choices::new(u64::from_ne_bytes(bytes()));
    (0..length)
        .map(|_| char::from(ALPHABET[choices.index(ALPHABET.len())]))
        .collect()
}

/// A random identifier in the form of a UUID.
pub(crate) fn uuid() -> String {
    let hex = format!("{:032x}", u128::from_ne_bytes(bytes()));
    format!(
        "{}-{}-4{}-8{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_choices() {
        let choices = |seed| {
            let mut choices = Choices::new(seed);
            (0..20).map(|_| choices.index(7)).collect::<Vec<_>>()
        };
        assert_eq!(choices(1), choices(1));
        assert_ne!(choices(1), choices(2));
        assert!(choices(3).iter().all(|index| *index < 7));
    }

    #[test]
    fn identifiers_have_the_form_of_theirs() {
        let lengths: Vec<_> = uuid().split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(alphanumeric(36).len(), 36);
    }
}
