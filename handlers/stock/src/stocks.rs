//! What is kept in stock: the variable `STOCK`.
//!
//! The CDK app writes it, one entry per family:
//!
//! ```json
//! [{ "family": "fargate-runners-ubuntu-x64", "size": 2,
//!    "schedule": [{ "days": ["mon", "fri"], "from": "08:00", "to": "18:00", "size": 4 }],
//!    "linger": { "size": 1, "minutes": 30, "from": "07:00", "to": "19:00" },
//!    "maxAgeSeconds": 21600, "maxPerRepository": 1, "spot": false }]
//! ```
//!
//! `size`, `maxAgeSeconds` and `spot` are always there; `shell` is where a shell may be opened. Hours are UTC.

use std::str::FromStr;
use std::time::Duration;

use decisions::Demand;
use protocol::MAX_SLOTS;
use serde_json::{Map, Value};
use time::{OffsetDateTime, Weekday};

use crate::hours::{Span, minutes};

/// A task must live longer than its start takes.
const SHORTEST_AGE: u64 = 600;
/// A ticket's task is told its limit; AWS patches a task's host within two weeks.
const LONGEST_AGE: u64 = 7 * 24 * 3_600;
const LONGEST_LINGER: u64 = 24 * 60;

/// The stocks of a deployment; none comes twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stocks(Vec<Stock>);

/// What is kept of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stock {
    pub family: String,
    /// Tasks outside the scheduled hours.
    size: usize,
    schedule: Vec<Hours>,
    linger: Option<Linger>,
    /// A ticket that is older is retired.
    pub max_age: Duration,
    /// Whether its tasks run on Fargate Spot.
    pub spot: bool,
    /// Whether a shell may be opened in its tasks.
    pub shell: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Hours {
    days: Vec<Weekday>,
    span: Span,
    size: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Linger {
    size: usize,
    after: Duration,
    /// The whole day if `None`.
    span: Option<Span>,
}

impl Stocks {
    pub fn iter(&self) -> impl Iterator<Item = &Stock> {
        self.0.iter()
    }

    /// The stock of a family, if one is kept.
    pub fn of(&self, family: &str) -> Option<&Stock> {
        self.0.iter().find(|stock| stock.family == family)
    }
}

impl Stock {
    /// The stock of a family whose pool was removed.
    pub(crate) fn none(family: String) -> Self {
        Self {
            family,
            size: 0,
            schedule: Vec::new(),
            linger: None,
            max_age: Duration::from_secs(SHORTEST_AGE),
            spot: false,
            shell: false,
        }
    }

    /// The most tasks that are ever wanted.
    pub fn slots(&self) -> usize {
        let scheduled = self.schedule.iter().map(|hours| hours.size);
        let linger = self.linger.iter().map(|linger| linger.size);
        scheduled.chain(linger).fold(self.size, usize::max)
    }

    /// Whether a job keeps more tasks for a while.
    pub fn lingers(&self) -> bool {
        self.linger.is_some()
    }

    /// What asks for tasks at this moment.
    pub fn demand(&self, now: OffsetDateTime, last_job: Option<OffsetDateTime>) -> Demand {
        let applying = self
            .schedule
            .iter()
            .filter(|hours| hours.span.holds_on(now, |day| hours.days.contains(&day)));
        let linger = self.linger.as_ref();
        let lingers = linger.filter(|linger| linger.span.is_none_or(|span| span.holds(now)));
        Demand {
            // The app refuses hours that overlap.
            scheduled: applying.map(|hours| hours.size).max().unwrap_or(self.size),
            lingering: lingers.map_or(0, |linger| linger.size),
            linger: linger.map_or(Duration::ZERO, |linger| linger.after),
            // A job may come a moment after this function looked at its clock.
            since_job: last_job.map(|at| (now - at).try_into().unwrap_or(Duration::ZERO)),
        }
    }
}

/// A value of `STOCK` that cannot be used: where it is, what it is and what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StockError {
    #[error("it is no JSON: {0}")]
    NoJson(String),
    #[error("{at} is {value}; write {expected}")]
    Wrong {
        at: String,
        value: String,
        expected: String,
    },
    #[error("{0} is missing")]
    Missing(String),
    #[error("{0} is no field of it; remove it")]
    Unknown(String),
    #[error("{0} comes twice; give each family one entry")]
    Twice(String),
}

impl FromStr for Stocks {
    type Err = StockError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let json: Value =
            serde_json::from_str(text).map_err(|error| StockError::NoJson(error.to_string()))?;
        let entries = At::root(&json).list("a list of objects, one per family")?;
        let mut stocks: Vec<Stock> = Vec::new();
        for entry in entries {
            let stock = stock(&entry)?;
            if stocks.iter().any(|other| other.family == stock.family) {
                return Err(StockError::Twice(stock.family));
            }
            stocks.push(stock);
        }
        Ok(Self(stocks))
    }
}

const SIZE: &str = "a whole number from 0 to 100";
const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

fn stock(at: &At) -> Result<Stock, StockError> {
    let fields = at.fields(&[
        "family",
        "size",
        "schedule",
        "linger",
        "maxAgeSeconds",
        "maxPerRepository",
        "spot",
        "shell",
    ])?;
    let family = fields.required("family")?;
    // The tag on the task definition tells `token`; the keeper needs no limit.
    if let Some(limit) = fields.optional("maxPerRepository") {
        limit.number(1, u64::from(MAX_SLOTS), "a whole number from 1 to 100")?;
    }
    let schedule = fields.optional("schedule").map(|at| {
        let list = at.list("a list of objects")?;
        if list.is_empty() {
            return Err(at.wrong("at least one entry, or leave it out for the same size always"));
        }
        list.iter().map(hours).collect::<Result<Vec<_>, _>>()
    });
    Ok(Stock {
        family: family
            .text()
            .filter(|name| !name.is_empty())
            .ok_or_else(|| family.wrong("the family of a task definition"))?
            .to_owned(),
        size: fields.required("size")?.size()?,
        schedule: schedule.transpose()?.unwrap_or_default(),
        linger: fields
            .optional("linger")
            .map(|at| linger(&at))
            .transpose()?,
        max_age: Duration::from_secs(fields.required("maxAgeSeconds")?.number(
            SHORTEST_AGE,
            LONGEST_AGE,
            "a whole number of seconds from 600 (10 minutes) to 604800 (7 days)",
        )?),
        spot: fields.required("spot")?.flag()?,
        shell: match fields.optional("shell") {
            Some(shell) => shell.flag()?,
            None => false,
        },
    })
}

fn hours(at: &At) -> Result<Hours, StockError> {
    let fields = at.fields(&["days", "from", "to", "size"])?;
    let expected = "at least one of mon, tue, wed, thu, fri, sat, sun";
    let days = fields.required("days")?;
    let named = days.list(expected)?;
    let day = |at: &At| {
        let found = DAYS.iter().find(|(name, _)| at.text() == Some(name));
        found.map(|(_, day)| *day).ok_or_else(|| at.wrong(expected))
    };
    if named.is_empty() {
        return Err(days.wrong(expected));
    }
    Ok(Hours {
        days: named.iter().map(day).collect::<Result<_, _>>()?,
        span: span(&fields.required("from")?, &fields.required("to")?)?,
        size: fields.required("size")?.size()?,
    })
}

fn linger(at: &At) -> Result<Linger, StockError> {
    let fields = at.fields(&["size", "minutes", "from", "to"])?;
    let minutes = fields.required("minutes")?;
    let most = "a whole number from 1 to 1440";
    Ok(Linger {
        size: fields.required("size")?.size()?,
        after: Duration::from_secs(60 * minutes.number(1, LONGEST_LINGER, most)?),
        span: match (fields.optional("from"), fields.optional("to")) {
            (Some(from), Some(to)) => Some(span(&from, &to)?),
            (None, None) => None,
            (Some(_), None) => return Err(fields.missing("to")),
            (None, Some(_)) => return Err(fields.missing("from")),
        },
    })
}

fn span(from: &At, to: &At) -> Result<Span, StockError> {
    let minute = |at: &At| at.text().and_then(minutes);
    let begin = minute(from)
        .filter(|begin| *begin < 24 * 60)
        .ok_or_else(|| from.wrong("a time from \"00:00\" to \"23:59\""))?;
    let end = minute(to).ok_or_else(|| to.wrong("a time from \"00:00\" to \"24:00\""))?;
    Span::new(begin, end).ok_or_else(|| to.wrong("another time than `from`"))
}

/// A value and where it is.
struct At<'a> {
    path: String,
    value: &'a Value,
}

/// An object's fields and where it is.
struct Fields<'a> {
    path: String,
    map: &'a Map<String, Value>,
}

impl<'a> At<'a> {
    fn root(value: &'a Value) -> Self {
        Self {
            path: "STOCK".to_owned(),
            value,
        }
    }

    fn wrong(&self, expected: &str) -> StockError {
        StockError::Wrong {
            at: self.path.clone(),
            value: self.value.to_string(),
            expected: expected.to_owned(),
        }
    }

    fn text(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    fn number(&self, least: u64, most: u64, expected: &str) -> Result<u64, StockError> {
        let number = self.value.as_u64();
        number
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| self.wrong(expected))
    }

    fn flag(&self) -> Result<bool, StockError> {
        let flag = self.value.as_bool();
        flag.ok_or_else(|| self.wrong("true or false"))
    }

    fn size(&self) -> Result<usize, StockError> {
        let size = self.number(0, u64::from(MAX_SLOTS), SIZE)?;
        usize::try_from(size).map_err(|_| self.wrong(SIZE))
    }

    fn list(&self, expected: &str) -> Result<Vec<At<'a>>, StockError> {
        let items = self.value.as_array().ok_or_else(|| self.wrong(expected))?;
        let items = items.iter().enumerate().map(|(index, value)| At {
            path: format!("{}[{index}]", self.path),
            value,
        });
        Ok(items.collect())
    }

    fn fields(&self, known: &[&str]) -> Result<Fields<'a>, StockError> {
        let map = self
            .value
            .as_object()
            .ok_or_else(|| self.wrong("an object"))?;
        let path = self.path.clone();
        match map.keys().find(|key| !known.contains(&key.as_str())) {
            Some(unknown) => Err(StockError::Unknown(format!("{path}.{unknown}"))),
            None => Ok(Fields { path, map }),
        }
    }
}

impl<'a> Fields<'a> {
    fn missing(&self, name: &str) -> StockError {
        StockError::Missing(format!("{}.{name}", self.path))
    }

    fn required(&self, name: &str) -> Result<At<'a>, StockError> {
        self.optional(name).ok_or_else(|| self.missing(name))
    }

    fn optional(&self, name: &str) -> Option<At<'a>> {
        self.map.get(name).map(|value| At {
            path: format!("{}.{name}", self.path),
            value,
        })
    }
}

#[cfg(test)]
mod tests {
    // Literals read best in place.
    #![allow(clippy::needless_pass_by_value)]

    use super::*;
    use serde_json::json;
    use time::macros::datetime;

    fn read(json: &Value) -> Result<Stocks, StockError> {
        json.to_string().parse()
    }

    fn one(changes: Value) -> Stock {
        let stocks = read(&json!([with(changes)])).unwrap();
        stocks.0.into_iter().next().unwrap()
    }

    /// A plain entry with some changes; `null` removes a field.
    fn with(changes: Value) -> Value {
        let mut entry = json!({ "family": "f", "size": 1, "maxAgeSeconds": 21600, "spot": false });
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                entry.as_object_mut().unwrap().remove(name);
            } else {
                entry[name] = value.clone();
            }
        }
        entry
    }

    #[test]
    fn hours_take_the_place_of_the_size_and_a_job_adds_to_both() {
        let stock = one(json!({
            "size": 1,
            "schedule": [
                { "days": ["mon", "tue"], "from": "08:00", "to": "18:00", "size": 4 },
                { "days": ["sun"], "from": "00:00", "to": "24:00", "size": 0 },
            ],
            "linger": { "size": 2, "minutes": 30, "from": "07:00", "to": "19:00" },
        }));
        assert_eq!(stock.slots(), 4);
        let wanted = |now, job| decisions::wanted(stock.demand(now, job));
        let monday = datetime!(2026-01-05 12:00 UTC);
        let evening = datetime!(2026-01-05 18:00 UTC);
        let night = datetime!(2026-01-05 19:00 UTC);
        let sunday = datetime!(2026-01-04 12:00 UTC);
        let ago = |now: OffsetDateTime, minutes| Some(now - time::Duration::minutes(minutes));
        for (now, job, tasks) in [
            (monday, None, 4),
            (monday, ago(monday, 1), 4),
            (evening, None, 1),
            (evening, ago(evening, 29), 2),
            (evening, ago(evening, 30), 1),
            (night, ago(night, 1), 1),
            (sunday, None, 0),
            (sunday, ago(sunday, 1), 2),
            // A clock that is behind another one's.
            (evening, ago(evening, -1), 2),
        ] {
            assert_eq!(wanted(now, job), tasks, "{now}, {job:?}");
        }
    }

    #[test]
    fn a_wrong_value_is_named_with_what_to_write() {
        let hours = |changes: Value| {
            let mut hours = json!({ "days": ["mon"], "from": "08:00", "to": "18:00", "size": 1 });
            for (name, value) in changes.as_object().unwrap() {
                hours[name] = value.clone();
            }
            json!([with(json!({ "schedule": [hours] }))])
        };
        let linger = |linger: Value| json!([with(json!({ "linger": linger }))]);
        let entry = |changes| json!([with(changes)]);
        for (json, message) in [
            (
                json!({}),
                "STOCK is {}; write a list of objects, one per family",
            ),
            (json!([1]), "STOCK[0] is 1; write an object"),
            (
                entry(json!({ "size": 101 })),
                "STOCK[0].size is 101; write a whole number from 0 to 100",
            ),
            (
                entry(json!({ "size": -1 })),
                "STOCK[0].size is -1; write a whole number from 0 to 100",
            ),
            (
                entry(json!({ "size": "2" })),
                "STOCK[0].size is \"2\"; write a whole number from 0 to 100",
            ),
            (entry(json!({ "size": null })), "STOCK[0].size is missing"),
            (
                entry(json!({ "sise": 1 })),
                "STOCK[0].sise is no field of it; remove it",
            ),
            (
                entry(json!({ "family": "" })),
                "STOCK[0].family is \"\"; write the family of a task definition",
            ),
            (
                entry(json!({ "schedule": [] })),
                "STOCK[0].schedule is []; write at least one entry, or leave it out for the same size always",
            ),
            (
                hours(json!({ "days": [] })),
                "STOCK[0].schedule[0].days is []; write at least one of mon, tue, wed, thu, fri, sat, sun",
            ),
            (
                hours(json!({ "days": ["mon", "MON"] })),
                "STOCK[0].schedule[0].days[1] is \"MON\"; write at least one of mon, tue, wed, thu, fri, sat, sun",
            ),
            (
                hours(json!({ "from": "24:00" })),
                "STOCK[0].schedule[0].from is \"24:00\"; write a time from \"00:00\" to \"23:59\"",
            ),
            (
                hours(json!({ "to": "8:00" })),
                "STOCK[0].schedule[0].to is \"8:00\"; write a time from \"00:00\" to \"24:00\"",
            ),
            (
                hours(json!({ "to": "08:00" })),
                "STOCK[0].schedule[0].to is \"08:00\"; write another time than `from`",
            ),
            (
                linger(json!({ "size": 1, "minutes": 0 })),
                "STOCK[0].linger.minutes is 0; write a whole number from 1 to 1440",
            ),
            (
                linger(json!({ "size": 1, "minutes": 5, "from": "08:00" })),
                "STOCK[0].linger.to is missing",
            ),
            (
                entry(json!({ "maxAgeSeconds": 599 })),
                "STOCK[0].maxAgeSeconds is 599; write a whole number of seconds from 600 (10 minutes) to 604800 (7 days)",
            ),
            (
                entry(json!({ "maxPerRepository": 0 })),
                "STOCK[0].maxPerRepository is 0; write a whole number from 1 to 100",
            ),
            (
                entry(json!({ "spot": "no" })),
                "STOCK[0].spot is \"no\"; write true or false",
            ),
            (
                entry(json!({ "shell": "yes" })),
                "STOCK[0].shell is \"yes\"; write true or false",
            ),
            (
                json!([with(json!({})), with(json!({}))]),
                "f comes twice; give each family one entry",
            ),
        ] {
            assert_eq!(read(&json).unwrap_err().to_string(), message);
        }
        let error = "[{".parse::<Stocks>().unwrap_err().to_string();
        assert!(error.starts_with("it is no JSON: "), "{error}");
    }

    #[test]
    fn a_stock_of_a_hundred_with_every_field_is_read() {
        let stock = one(json!({
            "size": 100, "maxPerRepository": 3, "spot": true,
            "linger": { "size": 1, "minutes": 1440 },
        }));
        assert!(stock.spot && stock.lingers());
        assert_eq!(stock.slots(), 100);
        assert_eq!(stock.max_age, Duration::from_hours(6));
    }
}
