//! Words of the configuration that are more than a text: durations, time zones, cron patterns.
//!
//! Each is parsed once, by the check that reports faults with their place, and has a name (`format`) in the JSON
//! Schema by which that check finds it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::{Timestamp, Zoned, civil, tz::TimeZone};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value as Json;

/// A configuration value with a syntax of its own.
trait Scalar: Sized {
    /// Its name in the JSON Schema's `format`.
    const FORMAT: &'static str;
    /// What to write, for the sentence of a fault.
    const EXPECTS: &'static str;
    fn parse(value: &Json) -> Option<Self>;
    fn schema() -> Schema;
}

macro_rules! scalars {
    ($($name:ident),+) => {
        /// Checks `value` against a scalar's format: what to write instead, if it does not fit.
        /// Formats that are not ours fit everything.
        pub(crate) fn mismatch(format: &str, value: &Json) -> Option<&'static str> {
            $(if format == $name::FORMAT {
                return $name::parse(value).is_none().then_some($name::EXPECTS);
            })+
            None
        }

        $(impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                let value = Json::deserialize(input)?;
                $name::parse(&value).ok_or_else(|| D::Error::custom(format!("must be {}", $name::EXPECTS)))
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let mut schema = $name::schema();
                schema.insert("format".to_owned(), $name::FORMAT.into());
                schema
            }
        })+
    };
}

scalars!(Span, Length, Zone, Moment, Cron, Name, Statistic, Endpoint);

/// A length of time: seconds as a number, or text such as `90s`, `15m`, `2h`, `14d`, `1h30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// Ten years: longer than anything here can mean, short enough that sums cannot overflow.
const SPAN_S_MAX: u64 = 10 * 365 * 86_400;

const DAY_S: u64 = 86_400;

impl Span {
    /// Text such as `1h30m` to a span. Errors are left to the caller to word.
    fn read(text: &str) -> Option<Span> {
        Length::read(text).map(|length| Span(length.exact + Duration::from_secs(length.days * DAY_S)))
    }
}

/// How long an event lasts: like a [`Span`], but its days and weeks are those of the clock on the wall, which have an hour
/// more or less when it changes. Hours, minutes and seconds are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Length {
    days: u64,
    exact: Duration,
}

impl Length {
    fn read(text: &str) -> Option<Length> {
        let (mut days, mut exact_s) = (0_u64, 0_u64);
        let mut rest = text.trim();
        while !rest.is_empty() {
            let end = rest.find(|letter: char| !letter.is_ascii_digit())?;
            let (digits, tail) = rest.split_at(end);
            let (part, unit) = match tail.chars().next()? {
                's' => (&mut exact_s, 1),
                'm' => (&mut exact_s, 60),
                'h' => (&mut exact_s, 3_600),
                'd' => (&mut days, 1),
                'w' => (&mut days, 7),
                _ => return None,
            };
            *part = part.checked_add(digits.parse::<u64>().ok()?.checked_mul(unit)?)?;
            rest = tail.get(1..)?;
        }
        let total_s = days.checked_mul(DAY_S)?.checked_add(exact_s)?;
        let length = Length { days, exact: Duration::from_secs(exact_s) };
        (!text.trim().is_empty() && total_s <= SPAN_S_MAX).then_some(length)
    }

    /// Whether it is no time at all.
    pub fn is_zero(self) -> bool {
        self == Length::default()
    }

    /// When what begins at `start` is over. `written` is the time of day that its days are counted from: that of the start,
    /// where the clock has such a time.
    pub fn after(self, start: Timestamp, written: civil::DateTime, zone: &TimeZone) -> Timestamp {
        let days_later = || {
            let days = jiff::Span::new().try_days(i64::try_from(self.days).ok()?).ok()?;
            let later = written.checked_add(days).ok()?;
            Some(zone.to_ambiguous_zoned(later).compatible().ok()?.timestamp())
        };
        let from = if self.days == 0 { start } else { days_later().unwrap_or(Timestamp::MAX).max(start) };
        from.checked_add(self.exact).unwrap_or(Timestamp::MAX)
    }
}

impl Scalar for Length {
    const FORMAT: &'static str = "headroom-calendar-duration";
    const EXPECTS: &'static str = Span::EXPECTS;

    fn parse(value: &Json) -> Option<Length> {
        match value {
            Json::String(text) => Length::read(text),
            _ => Span::parse(value).map(|span| Length { days: 0, exact: span.0 }),
        }
    }

    fn schema() -> Schema {
        Span::schema()
    }
}

/// A text that is not a length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a length of time; write such as `90s`, `15m`, `2h`, `14d`")]
pub struct NotASpan(String);

impl FromStr for Span {
    type Err = NotASpan;

    fn from_str(text: &str) -> Result<Span, NotASpan> {
        Span::read(text).ok_or_else(|| NotASpan(text.to_owned()))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total_s = self.0.as_secs();
        if total_s == 0 {
            return write!(f, "0s");
        }
        let parts = [
            (total_s / 86_400, "d"),
            (total_s / 3_600 % 24, "h"),
            (total_s / 60 % 60, "m"),
            (total_s % 60, "s"),
        ];
        parts.iter().filter(|(count, _)| 0 < *count).try_for_each(|(count, unit)| write!(f, "{count}{unit}"))
    }
}

impl Scalar for Span {
    const FORMAT: &'static str = "headroom-duration";
    const EXPECTS: &'static str =
        "a length of time: seconds as a number, or text such as `90s`, `15m`, `2h`, `14d`";

    fn parse(value: &Json) -> Option<Span> {
        match value {
            Json::Number(number) => {
                let total_s = number.as_u64().filter(|total_s| *total_s <= SPAN_S_MAX)?;
                Some(Span(Duration::from_secs(total_s)))
            }
            Json::String(text) => Span::read(text),
            _ => None,
        }
    }

    fn schema() -> Schema {
        json_schema!({"type": ["integer", "string"], "minimum": 0, "pattern": "^([0-9]+[smhdw])+$"})
    }
}

/// An IANA time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(pub TimeZone);

impl Scalar for Zone {
    const FORMAT: &'static str = "headroom-time-zone";
    const EXPECTS: &'static str = "an IANA time zone such as `Europe/Zurich` or `UTC`";

    fn parse(value: &Json) -> Option<Zone> {
        TimeZone::get(value.as_str()?).ok().map(Zone)
    }

    fn schema() -> Schema {
        json_schema!({"type": "string"})
    }
}

/// A moment: local to the platform's time zone, or absolute when it carries an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// `2026-11-27T08:00`, in the platform's time zone.
    Local(civil::DateTime),
    /// `2026-11-27T08:00:00Z`.
    Absolute(Timestamp),
}

impl Moment {
    /// The instant meant. In a fold of the clock it is the earlier one, in a gap the later (RFC 5545).
    /// Past the calendar's end it is the last instant there is.
    pub fn instant(self, zone: &TimeZone) -> Timestamp {
        match self {
            Moment::Local(local) => {
                zone.to_ambiguous_zoned(local).compatible().map_or(Timestamp::MAX, |at| at.timestamp())
            }
            Moment::Absolute(at) => at,
        }
    }
}

impl Scalar for Moment {
    const FORMAT: &'static str = "headroom-moment";
    const EXPECTS: &'static str = "a date and time such as `2026-11-27T08:00`, in the platform's time zone";

    fn parse(value: &Json) -> Option<Moment> {
        let text = value.as_str()?;
        // A zone in brackets is the one that is meant, whatever the platform's is.
        if text.contains('[') {
            return Zoned::from_str(text).ok().map(|at| Moment::Absolute(at.timestamp()));
        }
        let absolute = Timestamp::from_str(text).ok().map(Moment::Absolute);
        absolute.or_else(|| civil::DateTime::from_str(text).ok().map(Moment::Local))
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "examples": ["2026-11-27T08:00"]})
    }
}

/// A cron pattern of five fields, in the platform's time zone.
#[derive(Clone, Debug)]
pub struct Cron(pub Box<croner::Cron>);

impl PartialEq for Cron {
    fn eq(&self, other: &Cron) -> bool {
        self.0.pattern.to_string() == other.0.pattern.to_string()
    }
}

impl Scalar for Cron {
    const FORMAT: &'static str = "headroom-cron";
    const EXPECTS: &'static str = "a cron pattern of five fields such as `0 1 * * MON-FRI`";

    fn parse(value: &Json) -> Option<Cron> {
        let text = value.as_str()?;
        let five = text.split_whitespace().count() == 5;
        five.then(|| croner::Cron::from_str(text).ok().map(Box::new).map(Cron)).flatten()
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "examples": ["0 1 * * *"]})
    }
}

impl Cron {
    /// Whether its hours are written as `*`, or as every so many of them: it then counts hours as they pass, and not by what
    /// the clock shows.
    pub fn counts_hours(&self) -> bool {
        self.field(1).is_some_and(|hours| hours.starts_with('*'))
    }

    /// Its day of the month and its day of the week, where either is enough: both are written, and nothing says that a day
    /// has to be both.
    pub fn either_day(&self) -> Option<(&str, &str)> {
        let pattern = &self.0.pattern;
        let free = pattern.is_dom_wildcard() || pattern.is_dow_wildcard() || pattern.matches_dom_and_dow();
        if free { None } else { Some((self.field(2)?, self.field(4)?)) }
    }

    fn field(&self, index: usize) -> Option<&str> {
        self.0.as_str().split_whitespace().nth(index)
    }
}

/// A name that also serves as a key in stores and paths: letters, digits, `.`, `-`, `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(pub String);

/// Parameter Store paths, table keys and execution names all hold 64.
const NAME_LETTERS_MAX: usize = 64;

impl Scalar for Name {
    const FORMAT: &'static str = "headroom-name";
    const EXPECTS: &'static str = "a name of 1 to 64 letters, digits, `.`, `-` and `_`";

    fn parse(value: &Json) -> Option<Name> {
        let text = value.as_str()?;
        let plain = text.chars().all(|letter| letter.is_ascii_alphanumeric() || ".-_".contains(letter));
        (plain && !text.is_empty() && text.len() <= NAME_LETTERS_MAX).then(|| Name(text.to_owned()))
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"})
    }
}

/// A CloudWatch statistic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Statistic(pub String);

impl Scalar for Statistic {
    const FORMAT: &'static str = "headroom-statistic";
    const EXPECTS: &'static str =
        "a CloudWatch statistic: Average, Sum, Minimum, Maximum, SampleCount, or p99, tm90 and the like";

    fn parse(value: &Json) -> Option<Statistic> {
        let text = value.as_str()?;
        let named = ["Average", "Sum", "Minimum", "Maximum", "SampleCount", "IQM"].contains(&text);
        let extended = ["p", "tm", "wm", "tc", "ts"].iter().any(|prefix| {
            text.strip_prefix(prefix)
                .and_then(|rest| rest.parse::<f64>().ok())
                .is_some_and(|p| (0.0..=100.0).contains(&p))
        });
        (named || extended).then(|| Statistic(text.to_owned()))
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "examples": ["Average", "Sum", "p99"]})
    }
}

/// Where an HTTP health check goes: a whole URL, or a path on the group's own load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `https://shop.example.com/health`
    Url(String),
    /// `/health`
    Path(String),
}

impl Scalar for Endpoint {
    const FORMAT: &'static str = "headroom-endpoint";
    const EXPECTS: &'static str =
        "an http or https URL, or a path such as `/health` on the group's load balancer";

    fn parse(value: &Json) -> Option<Endpoint> {
        let text = value.as_str()?;
        let clean = text.chars().all(|letter| letter.is_ascii_graphic());
        let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        match host {
            Some(host) if clean && !host.is_empty() && !host.starts_with('/') => {
                Some(Endpoint::Url(text.to_owned()))
            }
            None if clean && text.starts_with('/') => Some(Endpoint::Path(text.to_owned())),
            _ => None,
        }
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^(https?://[^/]|/)", "examples": ["/health"]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str) -> Option<u64> {
        Span::parse(&Json::from(text)).map(|span| span.0.as_secs())
    }

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, expected) in
            [("90s", 90), ("15m", 900), ("2h", 7_200), ("1h30m", 5_400), ("14d", 1_209_600)]
        {
            assert_eq!(span(text), Some(expected), "{text}");
        }
        for text in ["", "m", "5", "5 m", "-5m", "5x", "99999999999999999999d", "4000d"] {
            assert_eq!(span(text), None, "{text}");
        }
        assert_eq!(Span::parse(&Json::from(300)), Some(Span(Duration::from_secs(300))));
        assert_eq!(Span::parse(&Json::from(-1)), None);
        assert_eq!(Span(Duration::from_secs(5_400)).to_string(), "1h30m");
    }

    #[test]
    fn formats_tell_what_to_write() {
        for (format, good, bad) in [
            (Zone::FORMAT, "Europe/Zurich", "Europe/Zuerich"),
            (Moment::FORMAT, "2026-11-27T08:00", "27.11.2026"),
            (Moment::FORMAT, "2026-11-27T08:00[Europe/Zurich]", "2026-11-27T08:00[Mars/Olympus]"),
            (Cron::FORMAT, "0 16 * * FRI", "0 16 * *"),
            (Name::FORMAT, "e-commerce.v2", "e commerce"),
            (Statistic::FORMAT, "p99.9", "median"),
            (Endpoint::FORMAT, "/health", "health"),
        ] {
            assert_eq!(mismatch(format, &Json::from(good)), None, "{good}");
            assert!(mismatch(format, &Json::from(bad)).is_some(), "{bad}");
        }
    }

    #[test]
    fn local_moments_follow_the_clock_of_the_place() {
        let zone = TimeZone::get("Europe/Zurich").unwrap();
        let instant = |text: &str| Moment::parse(&Json::from(text)).unwrap().instant(&zone).to_string();
        assert_eq!(instant("2026-11-27T08:00"), "2026-11-27T07:00:00Z");
        assert_eq!(instant("2026-07-27T08:00"), "2026-07-27T06:00:00Z");
        assert_eq!(instant("2026-07-27T08:00[America/New_York]"), "2026-07-27T12:00:00Z");
        assert_eq!(instant("2026-03-29T02:30"), "2026-03-29T01:30:00Z"); // does not exist: one hour later
        assert_eq!(instant("2026-10-25T02:30"), "2026-10-25T00:30:00Z"); // exists twice: the first
    }
}
