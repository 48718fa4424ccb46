//! What is installed is what was looked at: exact versions and hashes.

use crate::read;

/// The lists of Python packages.
const REQUIREMENTS: [&str; 3] = ["requirements", "requirements-build", "requirements-checks"];

/// The packages that a list names with one version each, and how many hashes each of them has.
fn pinned(list: &str) -> Vec<(String, usize)> {
    let mut packages: Vec<(String, usize)> = Vec::new();
    for line in list.lines().filter(|line| !line.trim().starts_with('#')) {
        if line.trim().is_empty() {
            continue;
        }
        if let Some(hash) = line.trim().strip_prefix("--hash=sha256:") {
            let hash = hash.trim_end_matches([' ', '\\']);
            assert_eq!(hash.len(), 64, "{line}");
            packages.last_mut().expect("a package before its hash").1 += 1;
        } else {
            assert!(line.contains("=="), "{line}: no exact version");
            packages.push((line.to_owned(), 0));
        }
    }
    packages
}

#[test]
fn every_python_package_has_one_version_and_the_hashes_of_its_files() {
    for name in REQUIREMENTS {
        let packages = pinned(&read(&format!("local/engine/{name}.txt")));
        assert!(!packages.is_empty(), "{name} is empty");
        for (package, hashes) in &packages {
            assert!(*hashes > 0, "{name}.txt: {package} has no hash");
        }
        // pip-compile was run after the last change of what it reads.
        for line in read(&format!("local/engine/{name}.in")).lines() {
            let wanted = line.trim();
            let named = |(package, _): &(String, usize)| package.starts_with(wanted);
            assert!(
                wanted.is_empty() || wanted.starts_with('#') || packages.iter().any(named),
                "{name}.txt lacks {wanted}; its first lines say how it is made"
            );
        }
    }
}

#[test]
fn what_is_deployed_is_built_from_the_lock_file() {
    for file in ["xtask/src/zips.rs", "images/ubuntu/Dockerfile"] {
        assert!(read(file).contains("--locked"), "{file}");
    }
}

/// A tag can be moved to other content; a digest names one.
#[test]
fn every_image_that_is_built_upon_is_named_by_its_digest() {
    let dockerfile = read("images/ubuntu/Dockerfile");
    let mut stages = vec!["scratch".to_owned()];
    let mut named = 0;
    for line in dockerfile.lines() {
        let image = if let Some(image) = line.strip_prefix("ARG BASE_IMAGE=") {
            image.to_owned()
        } else if line.starts_with("FROM ") {
            let mut words = line
                .split(' ')
                .skip(1)
                .filter(|word| !word.starts_with("--"));
            let image = words.next().unwrap().to_owned();
            if let (Some("AS"), Some(stage)) = (words.next(), words.next()) {
                stages.push(stage.to_owned());
            }
            image
        } else {
            continue;
        };
        // Another stage of the same file, or an argument with a default that is looked at itself.
        if image.contains('$') || stages.contains(&image) {
            continue;
        }
        let digest = image.split_once("@sha256:").map(|(_, digest)| digest);
        let is_digest = |digest: &str| {
            digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        assert!(digest.is_some_and(is_digest), "{line}");
        named += 1;
    }
    assert_eq!(named, 2, "the base, and what compiles the agent");
}

/// Cargo reads the manifest of every member, also of those that it does not build.
#[test]
fn the_image_that_compiles_the_agent_gets_every_member_of_the_workspace() {
    let dockerfile = read("images/ubuntu/Dockerfile");
    let copied: Vec<&str> = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY --from=repository "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    let manifest = read("Cargo.toml");
    let (_, members) = manifest.split_once("\nmembers = [\n").unwrap();
    let (members, _) = members.split_once("\n]").unwrap();
    for member in members.lines() {
        let path = member.trim().trim_end_matches(',').trim_matches('"');
        let covered = copied.iter().any(|copied| {
            path.strip_prefix(copied)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        assert!(covered, "images/ubuntu/Dockerfile does not copy {path}");
    }
}
