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
