//! The documentation: tables that can be read, and names that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use tooling::Checkout;

/// The longest text of a table cell. GitHub shows about this much in four lines of a narrow column.
const LONGEST_CELL: usize = 220;

/// Generated from the types and comments of `cdk/src`: the text of a type cannot be split.
const GENERATED: &str = "cdk/API.md";

/// Directories and files whose code spans must name what exists.
const CHECKED: [&str; 4] = ["README.md", "CONTRIBUTING.md", "docs/", "statemachine/"];

/// Every tracked file, by its path in the repository.
fn tracked() -> Vec<String> {
    let root = Checkout::here().path(".");
    let listed = Command::new("git")
        .arg("-C")
        .arg(&root)
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .output()
        .unwrap();
    assert!(listed.status.success(), "git ls-files: {listed:?}");
    let files: Vec<String> = String::from_utf8(listed.stdout)
        .unwrap()
        .split('\0')
        .filter(|path| root.join(path).is_file())
        .map(str::to_owned)
        .collect();
    assert!(files.len() > 300, "only {} files", files.len());
    files
}

fn is_page(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|end| end == "md")
}

fn pages(files: &[String]) -> Vec<(&str, String)> {
    files
        .iter()
        .filter(|path| is_page(path))
        .map(|path| (path.as_str(), crate::read(path)))
        .collect()
}

/// The lines outside fenced code blocks, with their numbers.
fn prose(page: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (index, line) in page.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push((index + 1, line));
        }
    }
    lines
}

/// A cell's text without the marks of code and emphasis, and without the targets of links.
fn visible(cell: &str) -> String {
    let mut text = String::new();
    let mut rest = cell.trim();
    while let Some((before, after)) = rest.split_once("](") {
        text.push_str(before);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    text.push_str(rest);
    text.replace(['`', '*', '['], "")
}

#[test]
fn no_table_cell_is_too_long_to_be_read() {
    let files = tracked();
    let mut problems = Vec::new();
    for (path, page) in pages(&files) {
        if path == GENERATED {
            continue;
        }
        for (number, line) in prose(&page) {
            if !line.trim_start().starts_with('|') {
                continue;
            }
            for cell in line.replace("\\|", "/").split('|') {
                let length = visible(cell).chars().count();
                if length > LONGEST_CELL {
                    problems.push(format!("{path}:{number}: {length} characters"));
                }
            }
        }
    }
    assert!(
        problems.is_empty(),
        "split these table cells into rows, or move text below the table (at most {LONGEST_CELL} characters):\n{}",
        problems.join("\n")
    );
}

#[test]
fn a_links_target_and_marks_are_not_visible() {
    assert_eq!(
        visible(" see [**the** page](https://example.com/a) and `x` "),
        "see the page and x"
    );
}

/// The anchor that GitHub gives to a heading.
fn anchor(heading: &str) -> String {
    visible(heading)
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

fn anchors(page: &str) -> BTreeSet<String> {
    prose(page)
        .iter()
        .filter_map(|(_, line)| {
            line.trim_start_matches('#')
                .strip_prefix(' ')
                .filter(|_| line.starts_with('#'))
        })
        .map(anchor)
        .collect()
}

/// The targets of a line's links inside the repository.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(')')?.0))
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
}

#[test]
fn every_link_inside_the_repository_leads_somewhere() {
    let files = tracked();
    let mut checked = 0;
    let mut problems = Vec::new();
    for (path, page) in pages(&files) {
        let directory = Path::new(path).parent().unwrap();
        for (number, line) in prose(&page) {
            for target in targets(line) {
                checked += 1;
                let (file, section) = target.split_once('#').unwrap_or((target, ""));
                let linked = if file.is_empty() {
                    Checkout::here().path(path)
                } else {
                    Checkout::here().path(&directory.join(file).to_string_lossy())
                };
                let found = linked.exists()
                    && (section.is_empty()
                        || fs::read_to_string(&linked)
                            .is_ok_and(|text| anchors(&text).contains(section)));
                if !found {
                    problems.push(format!("{path}:{number}: {target}"));
                }
            }
        }
    }
    assert!(checked > 100, "only {checked} links are checked");
    assert!(problems.is_empty(), "dead links:\n{}", problems.join("\n"));
}

/// What a code span names, if it can be looked up.
#[derive(Debug, PartialEq, Eq)]
enum Named<'a> {
    /// A path or pattern of paths in the repository.
    Path(&'a str),
    /// A file, by its last name.
    File(&'a str),
    /// An identifier of the source.
    Identifier(&'a str),
    /// A subcommand of `cargo xtask`.
    Task(&'a str),
    /// A package of the workspace.
    Package(&'a str),
}

const EXTENSIONS: [&str; 8] = [
    ".rs", ".ts", ".py", ".toml", ".json", ".md", ".yml", ".proto",
];

/// Everything that a code span names. `top` holds the names at the repository's root.
fn named<'a>(span: &'a str, top: &BTreeSet<&str>) -> Vec<Named<'a>> {
    let words: Vec<&str> = span.split_whitespace().collect();
    if let ["cargo", rest @ ..] = words.as_slice() {
        let mut found: Vec<_> = match rest {
            ["xtask", task, ..] if task.starts_with(|c: char| c.is_ascii_lowercase()) => {
                vec![Named::Task(task)]
            }
            _ => Vec::new(),
        };
        let packages = rest.windows(2).filter(|pair| pair[0] == "-p");
        found.extend(
            packages
                .map(|pair| pair[1])
                .filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
                .map(Named::Package),
        );
        return found;
    }
    let [word] = words.as_slice() else {
        return Vec::new();
    };
    let is_plain = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_.-*/".contains(c))
    };
    let (path, inner) = word.split_once("::").unwrap_or((word, ""));
    let first = path.split('/').next().unwrap_or_default();
    let mut found = Vec::new();
    if path.contains('/') {
        let built = path.contains("node_modules");
        if is_plain(path) && top.contains(first) && !built {
            found.push(Named::Path(path.trim_end_matches('/')));
            if !inner.is_empty() {
                found.push(Named::Identifier(inner));
            }
        }
        return found;
    }
    if is_plain(path)
        && EXTENSIONS
            .iter()
            .any(|end| path.len() > end.len() && path.ends_with(end))
    {
        return vec![Named::File(path)];
    }
    found.extend(
        word.trim_end_matches("()")
            .split("::")
            .filter(|name| is_identifier(name))
            .map(Named::Identifier),
    );
    found
}

/// Whether a word can only be a name of the source: `snake_case` with an underscore, or `CamelCase`
/// with two humps.
fn is_identifier(word: &str) -> bool {
    let word_like = word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let snake = word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.contains('_')
        && !word.contains(|c: char| c.is_ascii_uppercase());
    let camel = word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.contains(|c: char| c.is_ascii_lowercase())
        && !word.contains('_')
        && word.chars().skip(1).any(|c| c.is_ascii_uppercase());
    word_like && (snake || camel)
}

/// Whether a path or pattern is that of a file or a directory. `*` and `NAME` stand for any one name.
fn exists(pattern: &str, files: &[String]) -> bool {
    let wanted: Vec<&str> = pattern.split('/').collect();
    files.iter().any(|file| {
        let parts: Vec<&str> = file.split('/').collect();
        parts.len() >= wanted.len()
            && wanted.iter().zip(&parts).all(|(wanted, part)| {
                *wanted == "NAME"
                    || wanted == part
                    || wanted
                        .split_once('*')
                        .is_some_and(|(start, end)| part.starts_with(start) && part.ends_with(end))
            })
    })
}

/// Every identifier of the tracked files that are neither documentation nor this test.
fn source_words(files: &[String]) -> BTreeSet<String> {
    let checkout = Checkout::here();
    let mut words = BTreeSet::new();
    let is_source = |path: &&String| !is_page(path) && !path.ends_with("contracts/prose.rs");
    for path in files.iter().filter(is_source) {
        // Binary files have no words.
        let Ok(text) = fs::read_to_string(checkout.path(path)) else {
            continue;
        };
        words.extend(
            text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .filter(|word| is_identifier(word))
                .map(str::to_owned),
        );
    }
    words
}

/// The names of the workspace's packages.
fn packages(files: &[String]) -> BTreeSet<String> {
    files
        .iter()
        .filter(|path| path.ends_with("Cargo.toml"))
        .filter_map(|path| {
            let manifest = crate::read(path);
            let (_, package) = manifest.split_once("[package]\nname = \"")?;
            Some(package.split_once('"')?.0.to_owned())
        })
        .collect()
}

#[test]
fn the_documentation_names_only_what_exists() {
    let files = tracked();
    let top: BTreeSet<&str> = files
        .iter()
        .filter_map(|path| path.split('/').next())
        .collect();
    let (words, packages) = (source_words(&files), packages(&files));
    let tasks = crate::read("xtask/src/main.rs").to_lowercase();
    let mut checked = 0;
    let mut problems = Vec::new();
    for (path, page) in pages(&files) {
        if !CHECKED.iter().any(|part| path.starts_with(part)) {
            continue;
        }
        for (number, line) in prose(&page) {
            for span in line.split('`').skip(1).step_by(2) {
                for name in named(span, &top) {
                    checked += 1;
                    let found = match name {
                        Named::Path(path) => exists(path, &files),
                        Named::File(name) => files
                            .iter()
                            .any(|file| file.rsplit('/').next() == Some(name)),
                        Named::Identifier(name) => words.contains(name),
                        Named::Task(task) => tasks.contains(&task.replace('-', "")),
                        Named::Package(name) => packages.contains(name),
                    };
                    if !found {
                        problems.push(format!("{path}:{number}: `{span}`: no {name:?}"));
                    }
                }
            }
        }
    }
    assert!(checked > 500, "only {checked} names are checked");
    assert!(
        problems.is_empty(),
        "the documentation names what does not exist; correct the name or the page:\n{}",
        problems.join("\n")
    );
}

#[test]
fn names_are_told_from_other_code() {
    let top = BTreeSet::from(["docs", "handlers"]);
    for (span, expected) in [
        (
            "checks_displaced",
            vec![Named::Identifier("checks_displaced")],
        ),
        ("fleet::retire_all()", vec![Named::Identifier("retire_all")]),
        ("StillQueued", vec![Named::Identifier("StillQueued")]),
        ("handlers/*/tests", vec![Named::Path("handlers/*/tests")]),
        ("happy.rs", vec![Named::File("happy.rs")]),
        (
            "cargo nextest run -p github -p cleanup",
            vec![Named::Package("github"), Named::Package("cleanup")],
        ),
        ("cargo xtask cost", vec![Named::Task("cost")]),
        ("octo/hello", vec![]),
        ("-c key=value", vec![]),
        ("Token", vec![]),
        ("self-hosted", vec![]),
    ] {
        assert_eq!(named(span, &top), expected, "{span}");
    }
}
