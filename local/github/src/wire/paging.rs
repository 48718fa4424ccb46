//! Lists, page by page.

use axum::http::Uri;
use axum::response::Response;
use serde_json::{Value, json};

use crate::wire::answer::{ok, query, set_link, with_query};

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paging {
    page: usize,
    per_page: usize,
}

impl Paging {
    /// `page` counts from 1; `per_page` is 30 unless told, and 100 at most.
    fn of(uri: &Uri) -> Self {
        let number = |name| query(uri, name).and_then(|text| text.parse::<usize>().ok());
        Self {
            page: number("page").unwrap_or(1).max(1),
            per_page: number("per_page").unwrap_or(30).clamp(1, 100),
        }
    }

    /// That part of `items`.
    fn cut<'a, T>(&self, items: &'a [T]) -> &'a [T] {
        let start = (self.page - 1)
            .saturating_mul(self.per_page)
            .min(items.len());
        let end = start.saturating_add(self.per_page).min(items.len());
        &items[start..end]
    }

    /// The answer with its `Link` header.
    fn answer(&self, base: &str, uri: &Uri, total: usize, body: &Value) -> Response {
        let mut response = ok(body);
        let last = total.div_ceil(self.per_page).max(1);
        let mut links = Vec::new();
        let mut link = |page: usize, relation: &str| {
            let address = with_query(base, uri, &[("page", &page.to_string())]);
            links.push(format!("<{address}>; rel=\"{relation}\""));
        };
        if self.page > 1 {
            link(self.page - 1, "prev");
        }
        if self.page < last {
            link(self.page + 1, "next");
            link(last, "last");
        }
        if self.page > 1 {
            link(1, "first");
        }
        set_link(response.headers_mut(), &links);
        response
    }
}

/// The wanted page of `items`, each as `show` writes it, in the body that `wrap` makes of it.
pub(crate) fn page<T>(
    base: &str,
    uri: &Uri,
    items: &[T],
    show: impl FnMut(&T) -> Value,
    wrap: impl FnOnce(Vec<Value>) -> Value,
) -> Response {
    let paging = Paging::of(uri);
    let shown = paging.cut(items).iter().map(show).collect();
    paging.answer(base, uri, items.len(), &wrap(shown))
}

/// The same with the body that most lists have: `total_count`, and the items under their name.
pub(crate) fn list<T>(
    base: &str,
    uri: &Uri,
    name: &str,
    items: &[T],
    show: impl FnMut(&T) -> Value,
) -> Response {
    let wrap = |shown| json!({ "total_count": items.len(), name: shown });
    page(base, uri, items, show, wrap)
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    #[test]
    fn a_list_is_cut_into_pages_that_link_to_each_other() {
        let uri: Uri = "/orgs/o/actions/runners?per_page=2&page=2".parse().unwrap();
        let paging = Paging::of(&uri);
        assert_eq!(paging.cut(&[1, 2, 3, 4, 5]), [3, 4]);
        let response = paging.answer("http://h", &uri, 5, &json!({}));
        let link = response.headers()[header::LINK].to_str().unwrap();
        assert!(link.contains("<http://h/orgs/o/actions/runners?per_page=2&page=3>; rel=\"next\""));
        assert!(link.contains("page=3>; rel=\"last\""));
        assert!(link.contains("page=1>; rel=\"prev\""));
    }

    #[test]
    fn a_page_beyond_the_end_is_empty() {
        let uri: Uri = "/x?page=9".parse().unwrap();
        assert!(Paging::of(&uri).cut(&[1, 2]).is_empty());
    }

    #[test]
    fn a_list_on_one_page_has_no_link() {
        let uri: Uri = "/x".parse().unwrap();
        let response = Paging::of(&uri).answer("http://h", &uri, 3, &json!({}));
        assert!(!response.headers().contains_key(header::LINK));
    }
}
