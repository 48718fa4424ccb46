//! Estimates a task's cost at list price: for the metric that `cleanup` reports, and for the summary that
//! the agent writes.

/// US dollars per vCPU-hour and per GB-hour, Linux, us-east-1, November 2026 ([prices]).
///
/// [prices]: https://aws.amazon.com/fargate/pricing/
const X86_64: (f64, f64) = (0.040_48, 0.004_445);
const ARM64: (f64, f64) = (0.032_38, 0.003_56);
/// Spot's share of the list price. The price varies but has stayed near this.
const SPOT_SHARE: f64 = 0.3;
/// Fargate bills at least one minute.
const LEAST_SECONDS: f64 = 60.0;

/// A task's size and where it ran.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    /// CPU units; 1,024 are one vCPU.
    pub cpu: f64,
    /// Memory in MiB.
    pub memory: f64,
    pub arm: bool,
    pub spot: bool,
}

/// Estimated cost of `seconds` in US dollars, for comparing repositories. Ignores region, savings
/// plans and storage above 20 GiB.
pub fn estimate(size: Size, seconds: f64) -> f64 {
    let (cpu_hour, gb_hour) = if size.arm { ARM64 } else { X86_64 };
    let hourly = size.cpu / 1_024.0 * cpu_hour + size.memory / 1_024.0 * gb_hour;
    let share = if size.spot { SPOT_SHARE } else { 1.0 };
    hourly * share * seconds.max(LEAST_SECONDS) / 3_600.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CDK and `docs/cost.md` compute with the same list.
    #[test]
    fn the_prices_are_those_of_the_list() {
        let list = include_str!("../../../cdk/src/prices.json");
        let list: serde_json::Value = serde_json::from_str(list).unwrap();
        for (name, price) in [
            ("VCPU_HOUR_X86", X86_64.0),
            ("GB_HOUR_X86", X86_64.1),
            ("VCPU_HOUR_ARM", ARM64.0),
            ("GB_HOUR_ARM", ARM64.1),
        ] {
            let listed = list["prices"][name]["dollars"].as_f64().unwrap();
            assert!((price - listed).abs() < f64::EPSILON, "{name}");
        }
    }

    #[test]
    fn an_hour_of_one_cpu_and_two_gigabytes_costs_the_list_price() {
        let size = Size {
            cpu: 1_024.0,
            memory: 2_048.0,
            arm: false,
            spot: false,
        };
        assert!((estimate(size, 3_600.0) - 0.049_37).abs() < 1e-9);
        assert!((estimate(Size { spot: true, ..size }, 3_600.0) - 0.049_37 * 0.3).abs() < 1e-9);
    }

    #[test]
    fn a_second_costs_a_minute() {
        let size = Size {
            cpu: 256.0,
            memory: 512.0,
            arm: true,
            spot: false,
        };
        assert!((estimate(size, 1.0) - estimate(size, 60.0)).abs() < f64::EPSILON);
    }
}
