use proptest::prelude::*;

use super::*;

const RUN: u64 = 99;

fn resources(cpu: u32, memory: u32, disk: u32) -> Resources {
    Resources {
        size: TaskSize { cpu, memory },
        disk,
    }
}

/// The default runner.
const fn own() -> Resources {
    Resources {
        size: TaskSize {
            cpu: 2_048,
            memory: 4_096,
        },
        disk: 20,
    }
}

const ANY: Limits = Limits {
    cpu: Some(32_768),
    memory: Some(249_856),
    disk: Some(200),
};

fn given(labels: &str) -> Result<Asked, SizeRefused> {
    read(labels.split_whitespace(), RUN).0
}

fn fitted(labels: &str, limits: Limits) -> Result<Resources, SizeRefused> {
    fit(own(), limits, given(labels))
}

/// CDK refuses the sizes that this table lacks, and the local engine as well.
#[test]
fn the_table_is_the_one_that_cdk_checks_with() {
    let table = include_str!("../../../../cdk/src/fargate-sizes.json");
    let table: serde_json::Value = serde_json::from_str(table).unwrap();
    let mut sizes = Vec::new();
    for row in table["sizes"].as_array().unwrap() {
        for memory in row["memoryMiB"].as_array().unwrap() {
            let number = |value: &serde_json::Value| value.as_u64().unwrap().try_into().unwrap();
            sizes.push(TaskSize {
                cpu: number(&row["cpu"]),
                memory: number(memory),
            });
        }
    }
    assert_eq!(TaskSize::all().collect::<Vec<_>>(), sizes);
    assert_eq!(table["disk"]["free"], FREE_DISK);
    assert_eq!(table["disk"]["most"], MOST_DISK);
}

#[test]
fn separate_labels_and_one_for_a_run_ask_for_the_same() {
    let separate = given("cpu-4 ram-16 disk-100 spot").unwrap();
    assert_eq!(
        separate,
        Asked {
            cpu: Some(4_096),
            memory: Some(16_384),
            disk: Some(100),
            purchase: Some(Purchase::Spot),
        }
    );
    for whole in [
        "fargate=99/cpu=4/ram=16/disk=100/spot",
        "fargate=99-tests-3/spot/disk=100/ram=16/cpu=4",
        "fargate=99/cpu=4/ram=16 disk-100 spot",
        "fargate=99/cpu=4/ram=16/disk=100/spot cpu-4",
    ] {
        assert_eq!(given(whole).unwrap(), separate, "{whole}");
    }
    let small = given("cpu-0.25 ram-0.5 on-demand").unwrap();
    assert_eq!((small.cpu, small.memory), (Some(256), Some(512)));
    assert_eq!(small.purchase, Some(Purchase::OnDemand));
    assert_eq!(given("fargate=99").unwrap(), Asked::default());
}

#[test]
fn a_label_for_a_run_may_hold_other_labels() {
    let text = "fargate=99/x64/cpu=4/browsers/spot cpu-4";
    let (asked, labels) = read(text.split(' '), RUN);
    let asked = asked.unwrap();
    assert_eq!(
        (asked.cpu, asked.purchase),
        (Some(4_096), Some(Purchase::Spot))
    );
    assert_eq!(labels, ["x64", "browsers"]);
}

#[test]
fn a_label_asks_for_a_size_by_its_form_alone() {
    for label in [
        "cpu-4",
        "cpu-3",
        "cpu-0",
        "ram-0.5",
        "ram-16gb",
        "disk-10",
        "spot",
        "on-demand",
        "fargate=",
        "fargate=1/cpu=4",
        "cpu-99999999999999999999",
    ] {
        assert!(asks(label), "{label}");
    }
    for label in [
        "cpu",
        "cpu-",
        "cpu-intel",
        "ram-disk",
        "disk-fast",
        "spots",
        "fargate",
        "linux",
        "",
        "gpu-4",
        "cpu=4",
        "xcpu-4",
        "on-demand-2",
    ] {
        assert!(!asks(label), "{label}");
    }
}

#[test]
fn what_is_not_named_is_at_least_the_definitions_own() {
    for (labels, expected) in [
        ("", own()),
        ("cpu-4", resources(4_096, 8_192, 20)),
        ("cpu-16", resources(16_384, 32_768, 20)),
        ("ram-8", resources(2_048, 8_192, 20)),
        ("ram-20", resources(4_096, 20_480, 20)),
        ("cpu-1", resources(1_024, 4_096, 20)),
        ("cpu-0.25 ram-0.5", resources(256, 512, 20)),
        // Fargate has no 1.5 GiB with a quarter of a vCPU.
        ("cpu-0.25 ram-1.5", resources(256, 2_048, 20)),
        ("cpu-8 ram-17", resources(8_192, 20_480, 20)),
        ("cpu-2 ram-17", resources(4_096, 17_408, 20)),
        ("ram-121", resources(32_768, 249_856, 20)),
        ("cpu-32 ram-61", resources(32_768, 122_880, 20)),
        ("disk-100", resources(2_048, 4_096, 100)),
        ("disk-20", own()),
        ("cpu-2 ram-4", own()),
        (
            "fargate=99/cpu=4/ram=16/disk=21",
            resources(4_096, 16_384, 21),
        ),
    ] {
        assert_eq!(fitted(labels, ANY), Ok(expected), "{labels}");
    }
}

#[test]
fn less_disk_than_the_definitions_is_what_ecs_takes_at_least() {
    let asked = given("disk-20");
    let large = resources(2_048, 4_096, 100);
    assert_eq!(fit(large, Limits::default(), asked).unwrap().disk, 21);
}

#[test]
fn nothing_grows_unless_the_limits_say_so() {
    for labels in ["cpu-4", "ram-5", "disk-21", "cpu-4 ram-16"] {
        let refused = fitted(labels, Limits::default()).unwrap_err().to_string();
        assert!(refused.contains("the nearest valid size is"), "{refused}");
    }
    assert_eq!(
        fitted("cpu-1 ram-2", Limits::default()),
        Ok(resources(1_024, 2_048, 20))
    );
    // A limit below the definition's own takes nothing away from it.
    let low = Limits {
        cpu: Some(256),
        memory: Some(512),
        disk: Some(1),
    };
    assert_eq!(fitted("", low), Ok(own()));
    assert_eq!(fitted("cpu-2 ram-4 disk-20", low), Ok(own()));
}

#[test]
fn a_size_of_its_own_that_fargate_does_not_offer_stays_a_definitions_own() {
    let odd = resources(3_000, 5_000, 20);
    assert_eq!(fit(odd, Limits::default(), Ok(Asked::default())), Ok(odd));
}

#[test]
fn each_bad_size_is_told_what_would_be_valid() {
    let limits = Limits {
        cpu: Some(8_192),
        memory: Some(32_768),
        disk: Some(100),
    };
    for (labels, parts) in [
        ("cpu-3", &["`cpu-3`", "nearest is cpu-4"][..]),
        ("cpu-0", &["`cpu-0`", "nearest is cpu-0.25"]),
        ("cpu-64", &["nearest is cpu-32", "but cpu-8 (tags"]),
        (
            "cpu-4x",
            &["`cpu-4x`", "nearest is cpu-4.", "cpu-16, cpu-32"],
        ),
        (
            "cpu-9",
            &["nearest is cpu-16", "does not allow that one, but cpu-8"],
        ),
        ("fargate=99/cpu=", &["`cpu=`", "nearest is cpu-0.25"]),
        ("fargate=99/cpu=-4", &["`cpu=-4`", "nearest is cpu-0.25"]),
        ("fargate=99/cpu=2..", &["nearest is cpu-2."]),
        ("cpu-1.5.2", &["`cpu-1.5.2`", "nearest is cpu-2"]),
        ("ram-0", &["`ram-0`", "nearest is ram-0.5"]),
        (
            "ram-500",
            &[
                "nearest is ram-244",
                "from ram-0.5 to ram-244",
                "but ram-32",
            ],
        ),
        (
            "ram-16gb",
            &["`ram-16gb`", "nearest is ram-16.", "Write GiB"],
        ),
        (
            "ram-1 cpu-16",
            &["cpu-16 ram-1 is more", "nearest valid size is cpu-8 ram-16"],
        ),
        ("ram-1 cpu-8", &["ram-1 is less", "cpu-8", "cpu-8 ram-16"]),
        ("disk-10", &["`disk-10`", "nearest is disk-20", "disk-200"]),
        (
            "disk-20.5",
            &["`disk-20.5`", "nearest is disk-21", "whole GiB"],
        ),
        ("disk-500", &["nearest is disk-200", "but disk-100"]),
        ("cpu-4 cpu-8", &["`cpu-4` and for `cpu-8`", "keep one"]),
        ("spot on-demand", &["`spot` and for `on-demand`"]),
        ("cpu-8 fargate=99/cpu=4", &["`cpu-8` and for `cpu=4`"]),
        ("fargate=99/ram=4/ram=8", &["`ram=4` and for `ram=8`"]),
        ("fargate=", &["names no run", "${{ github.run_id }}"]),
        ("fargate=/cpu=4", &["names no run"]),
        ("fargate=cpu=4", &["names no run"]),
        ("fargate=98/cpu=4", &["does not name this job's run, 99"]),
        ("fargate=990", &["does not name this job's run, 99"]),
        (
            "fargate=99/gpu=1",
            &["the part `gpu=1`", "cpu=, ram= and disk="],
        ),
        ("fargate=99/cpu-4", &["the part `cpu-4`"]),
        ("fargate=99/", &["the part ``"]),
        (
            "cpu-16",
            &[
                "cpu-16 ram-4",
                "cpu-8 ram-32",
                "nearest valid size is cpu-8 ram-16",
            ],
        ),
        ("cpu-8 ram-60", &["nearest valid size is cpu-8 ram-32"]),
        (
            "disk-150",
            &["disk-150 is more", "nearest valid size is disk-100"],
        ),
    ] {
        let refused = fitted(labels, limits).unwrap_err().to_string();
        for part in parts {
            assert!(refused.contains(part), "{labels}: {refused}");
        }
    }
}

/// Whatever is refused, what the message names last is valid for the same definition.
#[test]
fn what_a_refusal_names_is_granted() {
    let mut granted = 0;
    for (cpu, memory, disk) in [
        (None, None, None),
        (Some(8_192), Some(32_768), Some(100)),
        (Some(32_768), Some(249_856), Some(200)),
        (Some(1_024), Some(2_048), Some(20)),
        (Some(16_384), Some(16_384), None),
    ] {
        let limits = Limits { cpu, memory, disk };
        for asked in [
            "cpu-0",
            "cpu-3",
            "cpu-9",
            "cpu-33",
            "cpu-4x",
            "ram-0",
            "ram-33",
            "ram-300",
            "ram-16gb",
            "disk-0",
            "disk-19",
            "disk-99.5",
            "disk-150",
            "disk-1000",
            "cpu-16 ram-1",
            "cpu-8 ram-99",
            "cpu-32",
            "cpu-0.25 ram-200",
        ] {
            let Err(refused) = fitted(asked, limits) else {
                continue;
            };
            let said = refused.to_string();
            let named = said
                .split("It does not allow that one, but ")
                .nth(1)
                .or_else(|| said.split("the nearest is ").nth(1))
                .or_else(|| said.split("the nearest valid size is ").nth(1));
            let words = named
                .unwrap_or_else(|| panic!("{asked}: {said}"))
                .split(' ');
            let sizes = words
                .map(|word| word.trim_end_matches('.'))
                .take_while(|word| asks(word));
            let valid = sizes.collect::<Vec<_>>().join(" ");
            assert!(!valid.is_empty(), "{asked}: {said}");
            assert!(fitted(&valid, limits).is_ok(), "{asked}, {valid}: {said}");
            granted += 1;
        }
    }
    assert!(granted > 60, "{granted}");
}

#[test]
fn a_refused_size_leaves_the_labels_that_choose_the_runner() {
    for text in [
        "fargate=/x64/cpu=4",
        "fargate=98/x64",
        "fargate=99/cpu=3/x64/gpu=1",
    ] {
        let (asked, labels) = read([text], RUN);
        assert!(asked.is_err(), "{text}");
        assert_eq!(labels, ["x64"], "{text}");
    }
}

#[test]
fn a_long_label_is_quoted_in_part() {
    for label in [
        format!("cpu-{}", "9".repeat(196)),
        format!("fargate={}", "x".repeat(192)),
    ] {
        let refused = given(&label).unwrap_err().to_string();
        assert!(refused.contains('…') && refused.len() < 400, "{refused}");
    }
}

/// Over the whole table: every size as a definition's own, every CPU or none, every GiB or none.
#[test]
fn the_cheapest_size_that_is_not_smaller_serves() {
    let sizes: Vec<_> = TaskSize::all().collect();
    let mut cpus: Vec<_> = sizes.iter().map(|size| Some(size.cpu)).collect();
    cpus.dedup();
    cpus.push(None);
    let memories = || std::iter::once(None).chain((512..=249_856).step_by(1_024).map(Some));
    let price = |size: &TaskSize, arm| {
        let (cpu, memory) = if arm {
            (32_380, 3_560)
        } else {
            (40_480, 4_445)
        };
        u64::from(size.cpu) * cpu + u64::from(size.memory) * memory
    };
    let mut served = 0;
    for own in &sizes {
        for cpu in &cpus {
            for memory in memories() {
                let asked = Asked {
                    cpu: *cpu,
                    memory,
                    ..Asked::default()
                };
                let own_one = Resources {
                    size: *own,
                    disk: 20,
                };
                let Ok(found) = fit(own_one, ANY, Ok(asked)) else {
                    // Only for what comes with the named CPU at least.
                    let smallest = cpu.and_then(TaskSize::smallest_with).unwrap();
                    assert!(memory.unwrap() < smallest.memory, "{asked:?}");
                    continue;
                };
                let least = TaskSize {
                    cpu: cpu.unwrap_or(own.cpu),
                    memory: memory.unwrap_or(own.memory),
                };
                let size = found.size;
                assert!(
                    sizes.contains(&size) && size.holds(least),
                    "{asked:?}: {size:?}"
                );
                for other in sizes.iter().filter(|other| other.holds(least)) {
                    for arm in [false, true] {
                        assert!(
                            price(&size, arm) <= price(other, arm),
                            "{asked:?}: {other:?}"
                        );
                    }
                }
                served += 1;
            }
        }
    }
    println!(
        "{} sizes, {served} wishes served with the cheapest",
        sizes.len()
    );
    assert_eq!((sizes.len(), served > 100_000), (77, true));
}

proptest! {
    #[test]
    fn no_limit_is_exceeded_and_a_refusal_names_a_size_that_is_valid(
        own in 0_usize..77, most in 0_usize..77, cpu in 0_usize..78, memory in prop::option::of(1_u32..=249_856),
        disk in prop::option::of(20_u32..=200), most_disk in prop::option::of(20_u32..=200),
    ) {
        let sizes: Vec<_> = TaskSize::all().collect();
        let own = Resources { size: sizes[own], disk: 20 };
        let limits = Limits {
            cpu: Some(sizes[most].cpu), memory: Some(sizes[most].memory), disk: most_disk,
        };
        let most = limits.of(own);
        let asked = Asked { cpu: sizes.get(cpu).map(|size| size.cpu), memory, disk, purchase: None };
        match fit(own, limits, Ok(asked)) {
            Ok(found) => {
                prop_assert!(most.size.holds(found.size), "{found:?}");
                prop_assert!(found.disk <= most.disk.max(21), "{found:?}");
                prop_assert!(disk.is_none_or(|disk| found.disk >= disk));
                prop_assert!(sizes.contains(&found.size));
            }
            Err(SizeRefused::OverLimit { nearest, .. }) => {
                prop_assert!(sizes.contains(&nearest) && most.size.holds(nearest), "{nearest:?}");
            }
            Err(SizeRefused::LittleMemory { smallest, .. }) => {
                prop_assert!(sizes.contains(&smallest) && most.size.holds(smallest));
            }
            Err(SizeRefused::DiskOverLimit { most: named, .. }) => prop_assert_eq!(named, most.disk),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn any_label_is_read_or_refused(labels in prop::collection::vec("(fargate=|cpu-|ram-|disk-)?[a-z0-9=./-]{0,40}", 0..4)) {
        let of_form = labels.iter().map(String::as_str).filter(|label| asks(label));
        if let (Err(refused), _) = read(of_form, RUN) {
            prop_assert!(refused.to_string().len() < 500);
        }
    }
}
