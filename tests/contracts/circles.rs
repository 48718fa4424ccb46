//! No two modules of a crate import each other, directly or through others. What is cut from a circle
//! can be read alone.
//!
//! A module is a file. A parent that only declares and re-exports its children imports none of them:
//! a path through a re-export leads to the file that it names. Tests may import what they like.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

use tooling::Checkout;

/// Path of a module within its crate (`["state", "world"]`; the root is empty) → its file's text.
type Sources = BTreeMap<Vec<String>, String>;
/// Module → the modules that it imports.
type Imports = BTreeMap<Vec<String>, BTreeSet<Vec<String>>>;

#[test]
fn no_modules_import_each_other() {
    let mut circles = Vec::new();
    for place in ["crates", "handlers"] {
        for crate_ in fs::read_dir(Checkout::here().path(place)).unwrap() {
            let name = crate_.unwrap().file_name();
            circles.extend(circles_of(&format!("{place}/{}", name.display())));
        }
    }
    circles.extend(circles_of("local/github"));
    assert!(
        circles.is_empty(),
        "these modules import each other; move what both need into a module of its own:\n{}",
        circles.join("\n")
    );
}

/// The rank of each module of the GitHub stand-in, as its `lib.rs` says: a module imports those of a
/// lower rank, and those below itself.
const RANKS: [&[&str]; 5] = [
    &["clock", "config", "faults", "random"],
    &["state"],
    &["wire", "simulated"],
    &["api", "control", "pages", "service"],
    &["server"],
];

#[test]
fn the_github_stand_in_imports_one_way() {
    let rank = |module: &[String]| {
        let top = module.first().map_or("", String::as_str);
        RANKS.iter().position(|names| names.contains(&top))
    };
    let sources = sources(&Checkout::here().path("local/github/src"));
    for (module, imported) in imports(&sources) {
        if module.is_empty() {
            continue;
        }
        assert!(rank(&module).is_some(), "{} has no rank", name(&module));
        for other in imported {
            assert!(
                other.first() == module.first() || rank(&other) < rank(&module),
                "{} imports {}, against the order that lib.rs gives",
                name(&module),
                name(&other)
            );
        }
    }
}

fn circles_of(crate_: &str) -> Vec<String> {
    let sources = sources(&Checkout::here().path(&format!("{crate_}/src")));
    assert!(!sources.is_empty(), "{crate_} has no Rust");
    circles(&imports(&sources))
        .into_iter()
        .map(|circle| format!("{crate_}: {circle}"))
        .collect()
}

fn sources(src: &Path) -> Sources {
    fn walk(folder: &Path, module: &[String], found: &mut Sources) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            let own = match stem.as_str() {
                "lib" | "mod" => module.to_vec(),
                _ => [module, &[stem]].concat(),
            };
            if path.is_dir() {
                walk(&path, &own, found);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                found.insert(own, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = Sources::new();
    walk(src, &[], &mut found);
    // A program is a crate of its own.
    found.remove(["main".to_owned()].as_slice());
    found
}

fn imports(sources: &Sources) -> Imports {
    let paths: BTreeMap<_, _> = sources
        .iter()
        .map(|(module, text)| (module.clone(), paths(module, text, sources)))
        .collect();
    let mut imports = Imports::new();
    for (module, used) in &paths {
        let is_parent = sources.keys().any(|other| is_child(module, other));
        let edges = used
            .iter()
            .filter(|path| !(is_parent && path.is_exported))
            .map(|path| resolve(&path.segments, &paths))
            .filter(|found| found != module && !is_test(found))
            .collect();
        if !is_test(module) {
            imports.insert(module.clone(), edges);
        }
    }
    imports
}

fn is_child(parent: &[String], other: &[String]) -> bool {
    other.len() == parent.len() + 1 && other.starts_with(parent)
}

fn is_test(module: &[String]) -> bool {
    module.last().is_some_and(|name| name == "tests")
}

/// A path from the crate's root, as a file names it.
struct Used {
    segments: Vec<String>,
    /// What it is called here, where a `use` gives it a name.
    name: String,
    /// Whether the `use` is `pub`.
    is_exported: bool,
}

/// The paths of a file that begin with `crate`, `self`, `super` or a child.
fn paths(module: &[String], text: &str, sources: &Sources) -> Vec<Used> {
    let tokens = tokens(&without_tests(text));
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let before = at
            .checked_sub(1)
            .map_or("", |before| tokens[before].as_str());
        let start = match tokens[at].as_str() {
            _ if before == "::" || before == "." || before == "mod" => None,
            "crate" => Some(Vec::new()),
            "self" => Some(module.to_vec()),
            "super" => Some(module[..module.len().saturating_sub(1)].to_vec()),
            word => {
                let child = [module, &[word.to_owned()]].concat();
                sources.contains_key(&child).then_some(child)
            }
        };
        at += 1;
        let Some(start) = start.filter(|_| tokens.get(at).is_some_and(|next| next == "::")) else {
            continue;
        };
        let statement = tokens[..at].iter().rposition(|token| token == "use");
        let is_use = statement.is_some_and(|from| !tokens[from..at].contains(&";".to_owned()));
        let is_exported = is_use
            && statement
                .is_some_and(|from| from > 0 && matches!(tokens[from - 1].as_str(), "pub" | ")"));
        at += 1;
        let mut leaves = Vec::new();
        expand(&tokens, &mut at, start, &mut leaves);
        found.extend(leaves.into_iter().map(|(segments, name)| Used {
            segments,
            name: if is_use { name } else { String::new() },
            is_exported,
        }));
    }
    found
}

/// Reads the rest of a path after `::`, with its braces.
fn expand(
    tokens: &[String],
    at: &mut usize,
    mut path: Vec<String>,
    leaves: &mut Vec<(Vec<String>, String)>,
) {
    let next = |at: usize| tokens.get(at).map_or("", String::as_str);
    loop {
        match next(*at) {
            "{" => {
                *at += 1;
                while !matches!(next(*at), "}" | "") {
                    if next(*at) == "," {
                        *at += 1;
                    } else {
                        expand(tokens, at, path.clone(), leaves);
                    }
                }
                *at += 1;
                return;
            }
            "super" => {
                path.pop();
            }
            "self" | "*" => {}
            word => path.push(word.to_owned()),
        }
        *at += 1;
        if next(*at) != "::" {
            break;
        }
        *at += 1;
    }
    let mut name = path.last().cloned().unwrap_or_default();
    if next(*at) == "as" {
        next(*at + 1).clone_into(&mut name);
        *at += 2;
    }
    leaves.push((path, name));
}

/// The module that a path leads to, through what modules re-export.
fn resolve(path: &[String], modules: &BTreeMap<Vec<String>, Vec<Used>>) -> Vec<String> {
    let mut path = path.to_vec();
    // More steps than this would be a circle of re-exports.
    for _ in 0..10 {
        let depth = (0..=path.len())
            .rev()
            .find(|depth| modules.contains_key(&path[..*depth]))
            .unwrap_or(0);
        let (module, item) = path.split_at(depth);
        let named = item.first().and_then(|item| {
            let used = modules.get(module)?;
            used.iter().find(|used| used.name == *item)
        });
        match named {
            Some(used) => path = [used.segments.as_slice(), &item[1..]].concat(),
            None => return module.to_vec(),
        }
    }
    path
}

/// Words, `::`, and every other character that is not blank; without comments.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    for line in text.lines() {
        let mut rest = line.split("//").next().unwrap_or_default().trim_start();
        while !rest.is_empty() {
            let word = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            let length = match word {
                0 if rest.starts_with("::") => 2,
                0 => rest.chars().next().map_or(1, char::len_utf8),
                word => word,
            };
            tokens.push(rest[..length].to_owned());
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// The text without its `#[cfg(test)]` modules.
fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" {
            let module = lines.next().unwrap_or_default();
            if module.ends_with('{') {
                lines.by_ref().find(|line| *line == "}");
            }
        } else {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// The shortest circle through each module, each once, as `a → b → a`.
fn circles(imports: &Imports) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for start in imports.keys() {
        let mut came_from: BTreeMap<&Vec<String>, &Vec<String>> = BTreeMap::new();
        let mut next = VecDeque::from([start]);
        while let Some(module) = next.pop_front() {
            for other in imports.get(module).into_iter().flatten() {
                if !came_from.contains_key(other) {
                    came_from.insert(other, module);
                    next.push_back(other);
                }
            }
        }
        if !came_from.contains_key(start) {
            continue;
        }
        let mut circle = vec![start];
        while circle.len() == 1 || circle.last() != Some(&start) {
            circle.push(came_from[circle[circle.len() - 1]]);
        }
        circle.pop();
        circle.reverse();
        let first = circle
            .iter()
            .position(|one| Some(one) == circle.iter().min());
        circle.rotate_left(first.unwrap_or(0));
        circle.push(circle[0]);
        let names: Vec<_> = circle.into_iter().map(|module| name(module)).collect();
        found.insert(names.join(" → "));
    }
    found
}

fn name(module: &[String]) -> String {
    if module.is_empty() {
        "lib".to_owned()
    } else {
        module.join("::")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Sources = files
            .iter()
            .map(|(module, text)| {
                let module = module.split("::").filter(|part| !part.is_empty());
                (module.map(str::to_owned).collect(), (*text).to_owned())
            })
            .collect();
        circles(&imports(&sources)).into_iter().collect()
    }

    #[test]
    fn a_circle_is_found_however_its_imports_are_written() {
        for (a, b) in [
            ("use crate::b::B;", "use crate::a::A;"),
            ("use crate::{b::{B, C}, x};", "fn f() { crate::a::f() }"),
            ("use super::b;", "use super::a::{self, A};"),
            ("type B = super::b::B;", "use crate::{\n    a as other,\n};"),
        ] {
            let files = [("", "mod a;\nmod b;"), ("a", a), ("b", b)];
            assert_eq!(found(&files), ["a → b → a"], "{a} {b}");
        }
    }

    #[test]
    fn a_long_circle_is_found_and_named() {
        let files = [
            ("", ""),
            ("a", "use crate::b::B;"),
            ("b", "use crate::c::d::D;"),
            ("c", "mod d;"),
            ("c::d", "use super::super::a::A;"),
            ("e", "use crate::a::A;"),
        ];
        assert_eq!(found(&files), ["a → b → c::d → a"]);
    }

    #[test]
    fn a_parent_that_only_declares_and_re_exports_imports_nothing() {
        let files = [
            (
                "",
                "mod a;\nmod b;\npub use a::A;\npub(crate) use b::B as C;",
            ),
            ("a", "use crate::C;"),
            ("b", "pub struct B;"),
        ];
        assert!(found(&files).is_empty());
        let both = [files[0], files[1], ("b", "use crate::A;")];
        assert_eq!(found(&both), ["a → b → a"]);
    }

    #[test]
    fn a_parent_that_calls_its_child_imports_it() {
        let files = [
            ("", "mod a;\npub struct Deps;\npub fn handle() { a::run() }"),
            ("a", "use crate::Deps;"),
        ];
        assert_eq!(found(&files), ["lib → a → lib"]);
    }

    #[test]
    fn tests_comments_and_one_way_imports_make_no_circle() {
        let files = [
            ("", ""),
            ("a", "use crate::b::B;"),
            (
                "b",
                "//! See [`crate::a`].\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}",
            ),
        ];
        assert!(found(&files).is_empty());
    }
}
