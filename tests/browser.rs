//! The browser that the tests of pages drive, on a page of its own.

#![allow(clippy::unwrap_used)] // A test that cannot do what it needs has failed.

use std::time::Duration;

use system_tests::{Browser, Screen};

const PAGE: &str = "data:text/html,<title>Hello</title><body><button>Count</button><script>\
                    let n = 0; document.querySelector('button').onclick = () => document.title = ++n;\
                    setTimeout(() => missing(), 0)</script>";

#[test]
fn a_page_is_opened_clicked_and_photographed_and_its_errors_are_kept() {
    let mut browser = Browser::start().unwrap();
    browser
        .show_on(Screen {
            width: 300,
            height: 200,
            scale: 1.0,
            dark: true,
        })
        .unwrap();
    browser.open(PAGE).unwrap();
    let limit = Duration::from_mins(1);
    browser.wait("document.title === 'Hello'", limit).unwrap();
    browser.click("button").unwrap();
    browser.wait("document.title === '1'", limit).unwrap();
    let dark = browser.value("matchMedia('(prefers-color-scheme: dark)').matches");
    assert_eq!(dark.unwrap(), true);

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("page.png");
    browser.screenshot(&file).unwrap();
    let png = std::fs::read(file).unwrap();
    assert!(png.starts_with(b"\x89PNG"), "{:?}", &png[..8]);

    let complaints = browser.complaints();
    assert!(
        complaints.iter().any(|told| told.contains("missing")),
        "{complaints:?}"
    );
    assert!(browser.click("input").is_err());
    assert!(browser.open("http://127.0.0.1:1/").is_err());
}
