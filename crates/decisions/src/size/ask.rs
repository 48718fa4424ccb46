//! The labels by which a job asks for a size.
//!
//! ```text
//! size  = "cpu-" vCPU | "ram-" GiB | "disk-" GiB | "spot" | "on-demand"
//! whole = "fargate=" run *( "/" part )        one label, for one run alone
//! part  = "cpu=" vCPU | "ram=" GiB | "disk=" GiB | "spot" | "on-demand" | label
//! run   = the run's id, and anything after a dash
//! ```
//!
//! Labels are compared without case and are in lower case here.

use super::refusal::{SizeRefused, quoted};
use super::{FREE_DISK, MOST_DISK, TaskSize};

/// What the label for one run begins with.
const WHOLE: &str = "fargate=";

/// How a task on Fargate is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purchase {
    /// Fargate Spot; on demand where there is none.
    Spot,
    OnDemand,
}

impl Purchase {
    /// The capacity providers, in order of preference.
    pub const fn providers(self) -> &'static [&'static str] {
        match self {
            Self::Spot => &["FARGATE_SPOT", "FARGATE"],
            Self::OnDemand => &["FARGATE"],
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::OnDemand => "on-demand",
        }
    }
}

/// What a job asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// CPU units.
    pub cpu: Option<u32>,
    /// Memory in MiB; any amount, which [`super::fit`] rounds up.
    pub memory: Option<u32>,
    /// Disk in GiB.
    pub disk: Option<u32>,
    pub purchase: Option<Purchase>,
}

/// Whether a label is for a job's run alone.
pub fn is_for_a_run(label: &str) -> bool {
    label.starts_with(WHOLE)
}

/// Whether a label has the form of a size, valid or not. One that a task definition offers is a label
/// all the same; who calls this asks only about the others.
pub fn asks(label: &str) -> bool {
    let is_size = |name: &str| {
        let value = label
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('-'));
        value.is_some_and(|value| value.starts_with(|c: char| c.is_ascii_digit()))
    };
    is_for_a_run(label)
        || label == Purchase::Spot.label()
        || label == Purchase::OnDemand.label()
        || ["cpu", "ram", "disk"].into_iter().any(is_size)
}

/// Reads what a job of a run asks for by its labels of this form, and the labels that stand in one for the
/// run: a runner without labels of its own beside that one is out of every other run's reach. They choose
/// the runner also where the size is refused, because the runner says which one would be valid.
pub fn read<'a>(
    labels: impl IntoIterator<Item = &'a str>,
    run: u64,
) -> (Result<Asked, SizeRefused>, Vec<&'a str>) {
    let mut inside = Vec::new();
    let mut reader = Reader::default();
    let mut refused = None;
    for label in labels {
        if let Err(error) = reader.label(label, run, &mut inside) {
            refused.get_or_insert(error);
        }
    }
    (refused.map_or(Ok(reader.asked), Err), inside)
}

/// Whether the first part of a label `fargate=…` is the job's own run. With another run's id GitHub
/// could give this runner to a job of that run, and that run's to this job.
fn of_run(text: &str, label: &str, run: u64) -> Result<(), SizeRefused> {
    let id = text.split_once('-').map_or(text, |(id, _)| id);
    let label = || quoted(label);
    match id.parse::<u64>() {
        Ok(id) if id == run => Ok(()),
        Ok(_) => Err(SizeRefused::OtherRun {
            label: label(),
            run,
        }),
        Err(_) => Err(SizeRefused::NoRun { label: label() }),
    }
}

/// What was read so far, and the text that said it.
#[derive(Default)]
struct Reader {
    asked: Asked,
    said: [Option<String>; 4],
}

impl Reader {
    /// Reads a label. The labels that it has inside go into `inside`, whatever the rest of it says.
    fn label<'a>(
        &mut self,
        label: &'a str,
        run: u64,
        inside: &mut Vec<&'a str>,
    ) -> Result<(), SizeRefused> {
        let Some(rest) = label.strip_prefix(WHOLE) else {
            return self.take(label, '-', label);
        };
        let (of, parts) = rest
            .split_once('/')
            .map_or((rest, None), |(of, parts)| (of, Some(parts)));
        let parts = parts.into_iter().flat_map(|parts| parts.split('/'));
        let is_size = |part: &&str| part.is_empty() || part.contains('=') || asks(part);
        let (sizes, labels): (Vec<_>, Vec<_>) = parts.partition(is_size);
        inside.extend(labels);
        of_run(of, label, run)?;
        sizes
            .into_iter()
            .try_for_each(|part| self.take(part, '=', label))
    }

    /// Reads a size whose name and number are separated by `separator`. `label` is all of its label.
    fn take(&mut self, text: &str, separator: char, label: &str) -> Result<(), SizeRefused> {
        for purchase in [Purchase::Spot, Purchase::OnDemand] {
            if text == purchase.label() {
                return set(&mut self.asked.purchase, &mut self.said[3], purchase, text);
            }
        }
        let Asked {
            cpu, memory, disk, ..
        } = &mut self.asked;
        let [said_cpu, said_memory, said_disk, _] = &mut self.said;
        match text.split_once(separator) {
            Some(("cpu", value)) => set(cpu, said_cpu, cpu_of(value, text)?, text),
            Some(("ram", value)) => set(memory, said_memory, memory_of(value, text)?, text),
            Some(("disk", value)) => set(disk, said_disk, disk_of(value, text)?, text),
            _ => Err(SizeRefused::Part {
                label: quoted(label),
                part: quoted(text),
            }),
        }
    }
}

fn set<T: PartialEq>(
    place: &mut Option<T>,
    said: &mut Option<String>,
    value: T,
    text: &str,
) -> Result<(), SizeRefused> {
    if let Some(first) = said
        && place.as_ref() != Some(&value)
    {
        return Err(SizeRefused::Contradiction {
            first: first.clone(),
            second: quoted(text),
        });
    }
    *place = Some(value);
    *said = Some(quoted(text));
    Ok(())
}

/// CPU units. Only Fargate's own numbers: 3 vCPU would be 4, and who writes 3 should know.
fn cpu_of(value: &str, text: &str) -> Result<u32, SizeRefused> {
    let (vcpus, plain) = number(value);
    let units = vcpus * 1_024.0;
    let offered = TaskSize::all().map(|size| size.cpu);
    let nearest = nearest(offered, units);
    if plain && is(units, nearest) {
        Ok(nearest)
    } else {
        Err(SizeRefused::Cpu {
            label: quoted(text),
            nearest,
        })
    }
}

/// MiB. Any amount up to the largest, because it is rounded up to a step that depends on the CPU.
fn memory_of(value: &str, text: &str) -> Result<u32, SizeRefused> {
    let (gibibytes, plain) = number(value);
    let mebibytes = (gibibytes * 1_024.0).ceil();
    let offered = TaskSize::all().map(|size| size.memory);
    let nearest = nearest(offered, mebibytes);
    if plain && mebibytes > 0.0 && mebibytes <= f64::from(nearest) {
        // Exact: a whole number that a `u32` was compared with.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Ok(mebibytes as u32)
    } else {
        Err(SizeRefused::Memory {
            label: quoted(text),
            nearest,
        })
    }
}

/// GiB.
fn disk_of(value: &str, text: &str) -> Result<u32, SizeRefused> {
    let (gibibytes, plain) = number(value);
    let nearest = nearest(FREE_DISK..=MOST_DISK, gibibytes);
    if plain && is(gibibytes, nearest) {
        Ok(nearest)
    } else {
        Err(SizeRefused::Disk {
            label: quoted(text),
            nearest,
        })
    }
}

/// A number without sign or exponent, and whether the text is nothing else. Of `16gb` it is 16, which
/// tells the nearest size; of a text without a number 0.
fn number(text: &str) -> (f64, bool) {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.'));
    let digits = &text[..end.unwrap_or(text.len())];
    let (whole, more) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = more.split('.').next().unwrap_or_default();
    // Digits alone: only both parts empty are no number.
    let read = format!("0{whole}.{fraction}0").parse().unwrap_or_default();
    (read, end.is_none() && text.parse::<f64>().is_ok())
}

fn is(value: f64, whole: u32) -> bool {
    (value - f64::from(whole)).abs() < f64::EPSILON
}

/// The smallest that is not smaller, else the largest.
fn nearest(offered: impl Iterator<Item = u32> + Clone, value: f64) -> u32 {
    let enough = offered
        .clone()
        .filter(|offered| f64::from(*offered) >= value);
    enough.min().or(offered.max()).unwrap_or_default()
}
