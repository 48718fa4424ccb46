//! One page of a list.

/// GitHub's maximum page size.
pub(crate) const PAGE_SIZE: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// At most 100.
    pub items: Vec<T>,
    /// Whether there may be a next page.
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
