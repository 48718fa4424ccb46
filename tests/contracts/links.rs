//! Who links what, as cargo resolves it for each crate alone, held against the tables in
//! `docs/architecture.md`.

use std::collections::BTreeSet;
use std::process::Command;

use tooling::Checkout;

use crate::architecture::rows;
use crate::read;

/// The packages below a folder's crate: all of them, or only those that it names itself.
fn linked(folder: &str, arguments: &[&str]) -> BTreeSet<String> {
    let checkout = Checkout::here();
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--edges=normal"])
        .args(["--prefix=none", "--format={p}", "--package"])
        .arg(checkout.package(folder).unwrap())
        .args(arguments)
        .current_dir(checkout.root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let names = text
        .lines()
        .skip(1)
        .filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}

fn calls_aws(names: &BTreeSet<String>) -> bool {
    names.iter().any(|name| name.starts_with("aws-sdk-"))
}

#[test]
fn a_handler_links_nothing_that_the_table_says_it_does_not() {
    let table = rows("| handler | trigger |");
    let written: Vec<_> = table.iter().map(|row| row[0][0].clone()).collect();
    let mut real = Checkout::here().functions().unwrap();
    real.sort_by_key(|name| written.iter().position(|known| known == name));
    assert_eq!(written, real, "docs/architecture.md lists other handlers");
    let page = read("docs/architecture.md");
    for row in table {
        let (name, avoided) = (&row[0][0], &row[3]);
        let names = linked(&format!("handlers/{name}"), &[]);
        for avoided in avoided {
            assert!(!names.contains(avoided), "{name} links {avoided}");
        }
        let line = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}` |")));
        let told = line.unwrap().split('|').nth(3).unwrap().trim() == "yes";
        assert_eq!(
            names.contains("octocrab"),
            told,
            "whether {name} may call GitHub"
        );
    }
}

#[test]
fn the_public_door_and_the_planner_link_no_client_of_github() {
    for folder in ["handlers/verify", "handlers/launch"] {
        let names = linked(folder, &[]);
        assert!(names.contains("protocol"), "{folder}: {names:?}");
        for client in ["github", "octocrab", "fleet"] {
            assert!(!names.contains(client), "{folder} links {client}");
        }
    }
}

#[test]
fn what_is_pure_links_no_client_at_all() {
    for folder in [
        "crates/protocol",
        "crates/decisions",
        "crates/runtime",
        "crates/admission",
        "handlers/launch",
    ] {
        let names = linked(folder, &[]);
        assert!(names.contains("serde"), "{folder}: {names:?}");
        assert!(!calls_aws(&names), "{folder} links {names:?}");
        assert!(!names.contains("octocrab"), "{folder} links {names:?}");
    }
}

#[test]
fn the_agent_links_only_the_clients_of_its_parameter_and_its_bell() {
    let names = linked("images/ubuntu/agent", &[]);
    let sdks: Vec<_> = names
        .iter()
        .filter(|name| name.starts_with("aws-sdk-"))
        .collect();
    // STS comes with the chain of credential providers.
    assert_eq!(sdks, ["aws-sdk-dynamodb", "aws-sdk-ssm", "aws-sdk-sts"]);
    for client in [
        "aws",
        "pool",
        "github",
        "octocrab",
        "fleet",
        "lambda_runtime",
    ] {
        assert!(!names.contains(client), "the agent links {client}");
    }
}

#[test]
fn the_command_line_links_what_the_page_says_and_no_handler() {
    let names = linked("cli", &[]);
    let checkout = Checkout::here();
    for folder in checkout.functions().unwrap() {
        let handler = checkout.package(&format!("handlers/{folder}")).unwrap();
        assert!(!names.contains(&handler), "cli links {handler}");
    }
    assert!(!names.contains("lambda_runtime"));
    let own = linked("cli", &["--depth=1"]);
    let crates = rows("| crate | what it knows |");
    let used = crates.iter().map(|row| &row[0][0]);
    let used: BTreeSet<_> = used.filter(|name| own.contains(*name)).cloned().collect();
    let page = read("docs/architecture.md");
    let (_, paragraph) = page
        .split_once("\n`cli/` is the operator's command line")
        .unwrap();
    let sentence = paragraph.split_once("It uses ").unwrap().1;
    let sentence = sentence.split_once(", and no handler").unwrap().0;
    let written = sentence.split('`').skip(1).step_by(2);
    let written: BTreeSet<_> = written.map(str::to_owned).collect();
    assert_eq!(
        written, used,
        "docs/architecture.md (left) on the crates that cli uses"
    );
}

#[test]
fn the_table_of_crates_says_who_calls_out() {
    const CLIENTS: [(&str, &str); 7] = [
        ("octocrab", "GitHub"),
        ("aws-sdk-dynamodb", "DynamoDB"),
        ("aws-sdk-ecs", "ECS"),
        ("aws-sdk-lambda", "Lambda"),
        ("aws-sdk-sfn", "Step Functions"),
        ("aws-sdk-sqs", "SQS"),
        ("aws-sdk-ssm", "SSM"),
    ];
    let page = read("docs/architecture.md");
    for row in rows("| crate | what it knows |") {
        let name = &row[0][0];
        let own = linked(&format!("crates/{name}"), &["--depth=1", "--all-features"]);
        let line = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}` |")));
        let written = line.unwrap().split('|').nth(4).unwrap().trim();
        let written: BTreeSet<_> = written
            .split(", ")
            .filter(|name| !name.is_empty())
            .collect();
        let real: BTreeSet<_> = CLIENTS
            .iter()
            .filter(|(client, _)| own.contains(*client))
            .map(|(_, service)| *service)
            .collect();
        assert_eq!(written, real, "what {name} calls (left: the table)");
    }
}

#[test]
fn only_one_crate_speaks_to_step_functions() {
    let checkout = Checkout::here();
    let functions = checkout.functions().unwrap();
    let handlers = functions.iter().map(|name| format!("handlers/{name}"));
    let crates = rows("| crate | what it knows |");
    let crates = crates.iter().map(|row| format!("crates/{}", row[0][0]));
    let speaking: Vec<_> = crates
        .chain(handlers)
        .filter(|folder| linked(folder, &["--depth=1", "--all-features"]).contains("aws-sdk-sfn"))
        .collect();
    assert_eq!(speaking, ["crates/aws"]);
}
