//! The generated part of `docs/scale.md`.

use std::fmt::Write as _;

use fastrand::Rng;
use tooling::thousands;

use crate::faults::{Broken, Faults};
use crate::figures::Figures;
use crate::limit::{DAY, HOUR, Time};
use crate::load::{self, Arrival};
use crate::local;
use crate::machine::Machine;
use crate::plot::{COLD, FOURTH, Line, OTHER, Plot, WARM, linear, logarithmic};
use crate::quotas::{Limit, Quotas};
use crate::world::{Setup, play, pool_size};

/// Where the generated part begins and ends.
pub(crate) const BEGIN: &str = "<!-- cargo xtask simulate writes from here -->";
pub(crate) const END: &str = "<!-- to here -->";

/// Jobs of a month.
pub(crate) const VOLUMES: [u32; 7] = [1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000];
/// Of these it is shown what raising a limit brings.
const RAISED: [u32; 3] = [10_000, 100_000, 1_000_000];
/// For that the first working week is enough.
const WEEK: Time = 5 * DAY;
/// More are not raised.
const MOST_STEPS: usize = 8;
/// Seconds of a matrix that are shown.
const SHOWN: f64 = 300.0;
/// The month in which things go wrong.
const TROUBLED: u32 = 100_000;

/// Plays months.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Player<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) seed: u64,
}

/// A page and its plots, by their names.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) text: String,
    pub(crate) plots: Vec<(&'static str, String)>,
}

/// A volume's month without and with warm tasks.
struct Volume {
    jobs: u32,
    warm: u8,
    without: Figures,
    with: Figures,
}

impl Player<'_> {
    fn month(self, jobs: u32) -> Vec<Arrival> {
        load::month(jobs, &mut Rng::with_seed(self.seed))
    }

    fn play(self, setup: &Setup, arrivals: &[Arrival]) -> anyhow::Result<Figures> {
        play(self.machine, setup, arrivals, self.seed)
    }

    fn volume(self, jobs: u32) -> anyhow::Result<Volume> {
        let arrivals = self.month(jobs);
        let setup = Setup::new(Quotas::grown());
        let without = self.play(&setup, &arrivals)?;
        let warm = pool_size(jobs);
        let with = self.play(&Setup { warm, ..setup }, &arrivals)?;
        Ok(Volume {
            jobs,
            warm,
            without,
            with,
        })
    }

    /// The row of a volume in the first table.
    #[cfg(test)]
    pub(crate) fn row(self, jobs: u32) -> anyhow::Result<String> {
        Ok(self.volume(jobs)?.row())
    }

    /// The whole page. `told` hears what is played.
    pub(crate) fn page(self, told: &mut dyn FnMut(&str)) -> anyhow::Result<Written> {
        let mut volumes = Vec::new();
        for jobs in VOLUMES {
            told(&format!("a month of {} jobs", thousands(jobs.into())));
            volumes.push(self.volume(jobs)?);
        }
        told("matrices at once");
        let (storms, storm_plot) = self.storms()?;
        let mut text = String::new();
        text.push_str(&waiting(&volumes));
        for jobs in RAISED {
            told(&format!("limits of {} jobs", thousands(jobs.into())));
            text.push_str(&self.ladder(jobs)?);
        }
        text.push_str(&storms);
        told("faults");
        text.push_str(&self.faults()?);
        told("content");
        text.push_str(&self.content()?);
        told("the local stack");
        text.push_str(&local::section(self)?);
        text.push_str(&limits());
        let plots = vec![
            ("waiting.svg", waiting_plot(&volumes)?),
            ("matrix.svg", storm_plot),
        ];
        Ok(Written { text, plots })
    }

    /// What raising one limit after the other brings.
    fn ladder(self, jobs: u32) -> anyhow::Result<String> {
        let mut arrivals = self.month(jobs);
        arrivals.retain(|arrival| arrival.at < WEEK);
        let free = self.play(&Setup::new(Quotas::grown()), &arrivals)?;
        let mut setup = Setup::new(Quotas::new_account());
        let mut text = format!(
            "### {} jobs a month\n\nThe first working week ({} jobs), in an account and an installation with every default.\n\n\
             | raised | p50 | p95 | p99 | given up | first refusal | jobs waited for |\n|---|---:|---:|---:|---:|---|---|\n",
            thousands(jobs.into()),
            thousands(arrivals.len() as u64),
        );
        let mut raised = "nothing".to_owned();
        let mut before = None;
        for _ in 0..MOST_STEPS {
            let figures = self.play(&setup, &arrivals)?;
            // Attempts that find no vCPU use up the rest.
            let vcpus = Some(Limit::FargateVcpus).filter(|limit| figures.refusals(*limit) > 0);
            let worst = vcpus
                .or(figures.worst())
                .filter(|limit| figures.hours_lost(*limit) >= 0.05);
            let waited = worst.map_or_else(
                || "none".to_owned(),
                |limit| format!("{limit}: {}", hours(figures.hours_lost(limit))),
            );
            let times = if figures.behind > 0 {
                format!("{} jobs behind | – | –", thousands(figures.behind))
            } else {
                [50, 95, 99]
                    .map(|hundredth| seconds(figures.percentile(hundredth)))
                    .join(" | ")
            };
            let _ = writeln!(
                text,
                "| {raised} | {times} | {} | {} | {waited} |",
                thousands(figures.given_up),
                first(&figures),
            );
            let Some(limit) = worst else { break };
            // A matrix is of one repository, and so of one installation.
            let tail = [95, 99].map(|hundredth| figures.percentile(hundredth));
            let left = figures.behind + figures.given_up;
            let helps = before.is_none_or(|(earlier, [p95, p99]): (u64, [f64; 2])| {
                earlier > left || tail[0] < 0.9 * p95 || tail[1] < 0.9 * p99
            });
            if !helps {
                break;
            }
            before = Some((left, tail));
            let now = if limit == Limit::FargateVcpus {
                setup.quotas.raise_vcpus(free.most_tasks)
            } else {
                setup.quotas.raise(limit)
            };
            let Some(now) = now else { break };
            raised = format!("{limit}: {now}");
        }
        text.push('\n');
        Ok(text)
    }

    /// Matrices that are queued at once.
    fn storms(self) -> anyhow::Result<(String, String)> {
        let mut text = String::from(
            "## A matrix at once\n\n\
             256 jobs are the largest matrix that GitHub allows; four of them come at once in the second half. Nothing else \
             runs, quotas are those of the first table. A matrix is of one repository.\n\n\
             | jobs at once | warm tasks | p50 | p95 | p99 | all after | GitHub calls | first refusal |\n\
             |---:|---:|---:|---:|---:|---:|---:|---|\n",
        );
        let mut lines = Vec::new();
        // In working hours, once the warm tasks are ready.
        let at = 9 * HOUR;
        for matrices in [1, 4] {
            for (warm, color) in [(0, COLD), (20, OTHER), (50, FOURTH), (100, WARM)] {
                let mut rng = Rng::with_seed(self.seed);
                let mut arrivals = Vec::new();
                for _ in 0..matrices {
                    arrivals.extend(load::storm(load::STORM, at, &mut rng));
                }
                arrivals.sort_by_key(|arrival| arrival.at);
                let mut setup = Setup::new(Quotas::grown());
                setup.warm = warm;
                let figures = self.play(&setup, &arrivals)?;
                let _ = writeln!(
                    text,
                    "| {} | {warm} | {} | {} | {} | {} | {} | {} |",
                    thousands(figures.jobs() as u64),
                    seconds(figures.percentile(50)),
                    seconds(figures.percentile(95)),
                    seconds(figures.percentile(99)),
                    seconds(figures.percentile(100)),
                    thousands(figures.github_calls),
                    first(&figures),
                );
                if matrices == 1 {
                    lines.push(Line {
                        name: match warm {
                            0 => "no warm task".to_owned(),
                            _ => format!("{warm} warm tasks"),
                        },
                        points: figures.started_by(SHOWN),
                        color,
                        width: 2,
                        marks: false,
                    });
                }
            }
        }
        text.push_str("\n![Jobs of a matrix of 256 that have started, by seconds since it was queued](scale/matrix.svg)\n\n");
        let plot = linear(&Plot {
            title: "A matrix of 256 jobs: how many have started",
            x: "seconds since the matrix was queued",
            y: "jobs that have started",
            x_range: (0.0, SHOWN),
            y_range: (0.0, 260.0),
            lines,
        })?;
        Ok((text, plot))
    }

    /// A month with faults.
    fn faults(self) -> anyhow::Result<String> {
        let arrivals = self.month(TROUBLED);
        let mut text = format!(
            "## When things go wrong\n\n\
             {} jobs a month, the quotas of the first table, no warm tasks. An outage begins in the busiest hour of a Tuesday. *Given up* are jobs \
             that no runner had within their day; *interrupted* ones had a runner that Spot took back.\n\n\
             | fault | p50 | p95 | p99 | longest | tasks a job | given up | interrupted |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|\n",
            thousands(TROUBLED.into())
        );
        let outage = Faults::outage;
        for (name, faults) in [
            ("one task in 1,000 does not start", Faults::ordinary()),
            ("jobs on Spot", Faults::on_spot()),
            (
                "GitHub's API is down for an hour",
                outage(Broken::GitHub, 60),
            ),
            (
                "GitHub assigns no jobs for an hour",
                outage(Broken::Assignments, 60),
            ),
            (
                "GitHub sends no webhooks for half an hour",
                outage(Broken::Webhooks, 30),
            ),
            (
                "StartExecution is throttled for ten minutes",
                outage(Broken::StartExecution, 10),
            ),
            (
                "Fargate has no capacity for an hour",
                outage(Broken::Capacity, 60),
            ),
        ] {
            let setup = Setup {
                faults,
                ..Setup::new(Quotas::grown())
            };
            let figures = self.play(&setup, &arrivals)?;
            #[allow(clippy::cast_precision_loss)]
            let tasks = figures.tasks as f64 / figures.jobs() as f64;
            let _ = writeln!(
                text,
                "| {name} | {} | {} | {} | {} | {tasks:.3} | {} | {} |",
                seconds(figures.percentile(50)),
                seconds(figures.percentile(95)),
                seconds(figures.percentile(99)),
                seconds(figures.percentile(100)),
                figures.given_up,
                figures.interrupted,
            );
        }
        text.push('\n');
        Ok(text)
    }

    /// What it would mean if GitHub counted configurations as content.
    fn content(self) -> anyhow::Result<String> {
        let mut text = String::from(
            "## If a configuration were content\n\n\
             GitHub limits calls that generate content to about 80 a minute and 500 an hour. Nobody has reported that it counts \
             a runner's configuration among them, so the tables above do not (LM-07). If it did:\n\n\
             | jobs a month | p50 | p95 | p99 | given up or behind |\n|---:|---:|---:|---:|---:|\n",
        );
        for jobs in [10_000, 30_000, 100_000] {
            let mut setup = Setup::new(Quotas::grown());
            setup.quotas.github_content = Some((80, 500));
            let figures = self.play(&setup, &self.month(jobs))?;
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} |",
                thousands(jobs.into()),
                seconds(figures.percentile(50)),
                seconds(figures.percentile(95)),
                seconds(figures.percentile(99)),
                thousands(figures.given_up + figures.behind),
            );
        }
        text.push('\n');
        Ok(text)
    }

    /// Plays what the local stack played.
    pub(crate) fn local(self, setup: &Setup, arrivals: &[Arrival]) -> anyhow::Result<Figures> {
        self.play(setup, arrivals)
    }
}

impl Volume {
    fn row(&self) -> String {
        let Self {
            without: cold,
            with,
            ..
        } = self;
        #[allow(clippy::cast_precision_loss)]
        let warm = 100.0 * with.warm as f64 / with.jobs() as f64;
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {warm:.0} % | {} |",
            thousands(self.jobs.into()),
            seconds(cold.percentile(50)),
            seconds(cold.percentile(95)),
            seconds(cold.percentile(99)),
            self.warm,
            seconds(with.percentile(50)),
            seconds(with.percentile(95)),
            seconds(with.percentile(99)),
            cold.worst()
                .map(|limit| (limit, cold.hours_lost(limit)))
                .filter(|(_, lost)| lost * 3_600.0 >= 0.5)
                .map_or_else(
                    || "none".to_owned(),
                    |(limit, lost)| format!("{limit}: {}", hours(lost))
                ),
        )
    }
}

fn waiting(volumes: &[Volume]) -> String {
    let mut text = String::from(
        "## Waiting time by jobs a month\n\n\
         From the moment in which GitHub queues a job until a runner has it. Every quota is the default of a new account and of one \
         installation, except the vCPUs, of which there are enough, and GitHub's calls: 12,500 an hour, which it grants by itself to an \
         organization of some size.\n\n\
         | jobs a month | cold: p50 | p95 | p99 | warm tasks | with them: p50 | p95 | p99 | started warm | cold jobs waited longest for |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|---:|---|\n",
    );
    for volume in volumes {
        let _ = writeln!(text, "{}", volume.row());
    }
    text.push_str(
        "\n![Waiting time at p50, p95 and p99 by jobs a month, without and with warm tasks](scale/waiting.svg)\n\n\
         ## Which limit is met first, and what raising it brings\n\n\
         Each line raises what the line before names last: the vCPUs as long as jobs waited for them, because attempts in vain use up \
         the rest, then what jobs waited longest for. It ends when that brings nothing: a matrix is of one repository, and so of \
         one installation. *Behind* are jobs that were still queued when \
         there were a hundred times as many events as a job needs: attempts use up what later ones need, so that the queue does \
         not get shorter.\n\n",
    );
    text
}

fn waiting_plot(volumes: &[Volume]) -> anyhow::Result<String> {
    let mut lines = Vec::new();
    for (name, color, is_warm) in [("cold", COLD, false), ("with warm tasks", WARM, true)] {
        for (hundredth, width) in [(50, 1), (95, 2), (99, 4)] {
            let points = volumes.iter().map(|volume| {
                let figures = if is_warm {
                    &volume.with
                } else {
                    &volume.without
                };
                let wait = figures.percentile(hundredth).max(1.0);
                (f64::from(volume.jobs), wait)
            });
            lines.push(Line {
                name: format!("{name}, p{hundredth}"),
                points: points.collect(),
                color,
                width,
                marks: true,
            });
        }
    }
    logarithmic(&Plot {
        title: "Seconds from queued to started, by jobs a month",
        x: "jobs a month",
        y: "seconds",
        x_range: (1_000.0, 1_000_000.0),
        y_range: (1.0, 1_000.0),
        lines,
    })
}

/// The quotas, with their sources.
pub(crate) fn limits() -> String {
    let quotas = Quotas::new_account();
    let mut text = String::from(
        "## Quotas\n\nThe defaults that are simulated. The rows are those of [assumptions.md](assumptions.md).\n\n\
         | quota | default | row | source |\n|---|---|---|---|\n",
    );
    for limit in Limit::ALL {
        let _ = writeln!(
            text,
            "| {limit} | {} | {} | <{}> |",
            quotas.shown(limit),
            limit.row(),
            limit.source()
        );
    }
    text
}

/// The limit that was met first, and when.
fn first(figures: &Figures) -> String {
    figures
        .first()
        .map_or_else(|| "none".to_owned(), |(limit, _)| limit.to_string())
}

/// Seconds, as a person says them.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        0.0..120.0 => format!("{seconds:.0} s"),
        120.0..7_200.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3_600.0),
    }
}

fn hours(hours: f64) -> String {
    match hours {
        0.0..0.1 => seconds(hours * 3_600.0),
        0.1..10.0 => format!("{hours:.1} h"),
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        _ => format!("{} h", thousands(hours.round() as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas_and_times_their_unit() {
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(seconds(34.6), "35 s");
        assert_eq!(seconds(600.0), "10 min");
        assert_eq!(seconds(9_000.0), "2.5 h");
        assert_eq!(hours(0.01), "36 s");
        assert_eq!(hours(0.1), "0.1 h");
        assert_eq!(hours(1_234.4), "1,234 h");
    }
}
