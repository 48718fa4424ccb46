//! One page of a list.

/// GitHub's most entries on a page.
pub(crate) const PAGE_SIZE: usize = 100;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Its entries, at most 100.
    pub items: Vec<T>,
    /// Whether the next page may hold more.
    pub more: bool,
}

impl<T> Page<T> {
    pub(crate) fn new(items: Vec<T>) -> Self {
        Self {
            more: items.len() >= PAGE_SIZE,
            items,
        }
    }
}
