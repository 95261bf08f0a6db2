//! Traces: CSV text to a regular grid of minutes, with every fault at its line.

use std::borrow::Cow;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::csv::fields;
use crate::series::Series;

/// The load of a platform over time: one column for all of it, or one for each dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// In the order of the file, all on the same grid of minutes.
    pub columns: Vec<TraceColumn>,
    /// What was filled in or left out when it was read, as far as it changes the figures.
    pub notes: Vec<String>,
}

/// A column of a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceColumn {
    /// As its header says.
    pub name: String,
    /// One value a minute, without gaps.
    pub load: Series,
}

/// What is wrong with a trace, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {problem}")]
pub struct BadTrace {
    /// The line, from one.
    pub line: usize,
    /// What is wrong there.
    pub problem: String,
}

/// The longest trace: a wrong year in a time must not fill the memory with minutes.
const MINUTES_MAX: f64 = 800.0 * 1_440.0;

/// A known value and its time, in minutes since the epoch.
pub(super) type Point = (f64, f64);

/// Reads `timestamp,value`, or `timestamp` and one column for each dimension. Empty fields and NaN are unknown. A trace with
/// fewer than one point a minute is interpolated linearly; of one with more, each minute has the mean of its points.
///
/// # Errors
/// The first line that cannot be read, with what is wrong with it.
pub fn parse(text: &str) -> Result<Trace, BadTrace> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim_end_matches('\r')));
    let mut lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let (line, header) =
        lines.next().ok_or_else(|| BadTrace { line: 1, problem: "the trace is empty".into() })?;
    let names = header_names(header).map_err(|problem| BadTrace { line, problem })?;
    let mut columns: Vec<Vec<Point>> = names.iter().map(|_| Vec::new()).collect();
    let (mut last, mut last_line, mut again) = (f64::NEG_INFINITY, line, 0_usize);
    for (line, text) in lines {
        let bad = |problem: String| BadTrace { line, problem };
        let (at, values) = row(text, names.len()).map_err(bad)?;
        if at < last {
            return Err(bad(UNSORTED.into()));
        }
        again += usize::from(at <= last);
        (last, last_line) = (at, line);
        for (column, value) in columns.iter_mut().zip(values) {
            column.extend(value.map(|value| (at, value)));
        }
    }
    let mut notes = shortened(&names, &columns);
    notes.extend((0 < again).then(|| {
        format!("lines with the same time as the line before: {again}; their values count by their mean")
    }));
    let mut trace = gridded(names, &columns).map_err(|problem| BadTrace { line: last_line, problem })?;
    trace.notes.extend(notes);
    Ok(trace)
}

const UNSORTED: &str = "its time is before that of the line before: sort the trace by time; local times go back when the \
    clock is put back, so write them in UTC, with an offset, or with their zone in brackets";

/// Columns that begin later or end earlier than others: only what all of them cover is replayed.
fn shortened(names: &[String], columns: &[Vec<Point>]) -> Vec<String> {
    /// Columns that begin or end fewer minutes apart than this lose too little for a note.
    const APART_MIN: f64 = 60.0;
    let ends = |of: fn(&[Point]) -> Option<&Point>| -> Vec<End<'_>> {
        let each = names.iter().zip(columns);
        each.filter_map(|(name, points)| Some((name.as_str(), of(points)?.0))).collect()
    };
    let by_time = |a: &&End<'_>, b: &&End<'_>| a.1.total_cmp(&b.1);
    let (begins, ends) = (ends(|points| points.first()), ends(|points| points.last()));
    let told = |(name, at): End<'_>, (_, furthest): End<'_>, (does, side): (&str, &str)| {
        let hours = (furthest - at).abs() / 60.0;
        let sentence = format!(
            "{name} {does} {hours:.1} hours {side} the longest column; only what all columns cover is replayed"
        );
        (APART_MIN < hours * 60.0).then_some(sentence)
    };
    let late = begins.iter().max_by(by_time).zip(begins.iter().min_by(by_time));
    let early = ends.iter().min_by(by_time).zip(ends.iter().max_by(by_time));
    let late = late.and_then(|(one, furthest)| told(*one, *furthest, ("begins", "after")));
    let early = early.and_then(|(one, furthest)| told(*one, *furthest, ("ends", "before")));
    [late, early].into_iter().flatten().collect()
}

/// A column, and when it begins or ends.
type End<'a> = (&'a str, f64);

fn header_names(header: &str) -> Result<Vec<String>, String> {
    let mut fields = fields(header.trim_start_matches('\u{feff}'))?.into_iter();
    let first = fields.next().unwrap_or_default();
    let names: Vec<String> = fields.map(Cow::into_owned).collect();
    if !first.eq_ignore_ascii_case("timestamp") || names.is_empty() || names.iter().any(String::is_empty) {
        return Err(
            "the header must be `timestamp,value`, or `timestamp` and one column for each dimension, such as \
             `timestamp,web/desired,api/desired`"
                .into(),
        );
    }
    match names
        .iter()
        .enumerate()
        .find(|(index, name)| names.iter().take(*index).any(|before| before == *name))
    {
        Some((_, twice)) => Err(format!("the column `{twice}` stands twice")),
        None => Ok(names),
    }
}

/// The time in minutes since the epoch, and the known values.
fn row(line: &str, columns: usize) -> Result<(f64, Vec<Option<f64>>), String> {
    let fields = fields(line)?;
    let mut fields = fields.iter();
    let at = time(fields.next().map_or("", |field| field))?;
    let values: Vec<Option<f64>> = fields.map(|field| number(field)).collect::<Result<_, _>>()?;
    if values.len() != columns {
        return Err(format!("has {} columns, the header has {}", values.len() + 1, columns + 1));
    }
    Ok((at, values))
}

fn time(text: &str) -> Result<f64, String> {
    let bad = || format!("`{text}` is not a time such as 2026-01-31T18:05:00Z");
    let at: Timestamp = match text.parse() {
        // A zone in brackets says what the time is of, and an offset beside it has to agree.
        _ if text.contains('[') => {
            text.parse::<Zoned>().map_err(|error| format!("{}: {error}", bad()))?.timestamp()
        }
        Ok(at) => at,
        // Without a zone it is UTC.
        Err(_) => {
            let civil: DateTime = text.parse().map_err(|_| bad())?;
            civil.to_zoned(TimeZone::UTC).map_err(|_| bad())?.timestamp()
        }
    };
    Ok(at.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64() / 60.0)
}

fn number(text: &str) -> Result<Option<f64>, String> {
    if text.is_empty() || text.eq_ignore_ascii_case("nan") {
        return Ok(None);
    }
    let plain = if text.contains(',') {
        ungrouped(text).ok_or_else(|| grouped_badly(text))?
    } else {
        text.to_owned()
    };
    match plain.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Some(value)),
        _ => Err(format!("`{text}` is not a number")),
    }
}

/// A number without the commas between its thousands; `None` where they stand elsewhere.
fn ungrouped(text: &str) -> Option<String> {
    let digits = |text: &str| text.chars().all(|letter| letter.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut groups = whole.trim_start_matches(['-', '+']).split(',');
    let first = groups.next().filter(|first| (1..=3).contains(&first.len()) && digits(first));
    let grouped = first.is_some() && groups.all(|group| group.len() == 3 && digits(group));
    (grouped && !fraction.contains(',')).then(|| text.replace(',', ""))
}

fn grouped_badly(text: &str) -> String {
    format!(
        "`{text}` is not a number: a comma stands between thousands only, and a point before the fraction"
    )
}

/// All columns on the minutes that every one of them covers.
pub(super) fn gridded(names: Vec<String>, columns: &[Vec<Point>]) -> Result<Trace, String> {
    let columns: Vec<Vec<Point>> = columns.iter().map(|points| by_minute(points)).collect();
    let (mut first, mut last) = (f64::NEG_INFINITY, f64::INFINITY);
    for (name, points) in names.iter().zip(&columns) {
        let (Some(from), Some(to), 2..) = (points.first(), points.last(), points.len()) else {
            return Err(format!("the column `{name}` has fewer than two values"));
        };
        (first, last) = (first.max(from.0.ceil()), last.min(to.0.floor()));
    }
    if last <= first {
        return Err("the columns have no minutes in common".into());
    }
    if MINUTES_MAX < last - first {
        return Err(format!("the trace is longer than {:.0} days", MINUTES_MAX / 1_440.0));
    }
    let start = Timestamp::UNIX_EPOCH
        .checked_add(jiff::SignedDuration::from_secs_f64(first * 60.0))
        .map_err(|_| "the trace begins outside the calendar".to_owned())?;
    let load = |points: &[Point]| Series::new(start, 60, minutes(points, first, last));
    let notes = names.iter().zip(&columns).flat_map(|(name, points)| notes(name, points)).collect();
    let columns =
        names.into_iter().zip(&columns).map(|(name, points)| TraceColumn { name, load: load(points) });
    Ok(Trace { columns: columns.collect(), notes })
}

/// Replaces several points of one minute by their mean at its beginning.
fn by_minute(points: &[Point]) -> Vec<Point> {
    let minutes = points.chunk_by(|a, b| a.0.floor() == b.0.floor());
    let point = |minute: &[Point]| match minute {
        [(at, _), _, ..] => {
            let count = f64::from(u32::try_from(minute.len()).unwrap_or(u32::MAX));
            Some((at.floor(), minute.iter().map(|(_, value)| value).sum::<f64>() / count))
        }
        one => one.first().copied(),
    };
    minutes.filter_map(point).collect()
}

/// What the reader of a replay has to know of a column.
fn notes(name: &str, points: &[Point]) -> Vec<String> {
    /// Coarser than decisions usually are.
    const COARSE: f64 = 5.0;
    const HOUR: f64 = 60.0;
    let mut apart: Vec<f64> =
        points.windows(2).filter_map(|pair| Some(pair.last()?.0 - pair.first()?.0)).collect();
    apart.sort_unstable_by(f64::total_cmp);
    let usual = apart.get(apart.len() / 2).copied().unwrap_or(0.0);
    let unknown: f64 = apart.iter().filter(|minutes| HOUR.max(3.0 * usual) < **minutes).sum();
    let negative = points.iter().filter(|(_, value)| *value < 0.0).count();
    let mut notes = Vec::new();
    if 0.0 < unknown {
        notes.push(format!(
            "{name}: {:.1} hours have no points; straight lines stand in for them, as if they had been measured",
            unknown / HOUR
        ));
    }
    if COARSE < usual {
        notes.push(format!(
            "{name}: points lie {usual:.0} minutes apart; the straight lines between them show what comes sooner than \
             it would be seen, and every policy that looks ahead does better here than it would"
        ));
    }
    if 0 < negative {
        notes.push(format!("{name}: {negative} negative values were read as zero"));
    }
    notes
}

/// One value for every minute from `first` to `last`, interpolated linearly and never negative.
fn minutes(points: &[Point], first: f64, last: f64) -> Vec<Option<f64>> {
    let mut values = Vec::new();
    let mut left = points.iter().zip(points.iter().skip(1)).peekable();
    let mut minute = first;
    while minute <= last {
        while left.peek().is_some_and(|(_, next)| next.0 < minute) {
            left.next();
        }
        let Some((from, to)) = left.peek() else { break };
        let share = (minute - from.0) / (to.0 - from.0);
        values.push(Some((from.1 + (to.1 - from.1) * share).max(0.0)));
        minute += 1.0;
    }
    values
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, expected: Expect) {
        let told = match parse(text) {
            Ok(trace) => {
                let values =
                    |column: &TraceColumn| column.load.known().map(|value| value.to_string()).collect();
                let column = |column: &TraceColumn| {
                    let values: Vec<String> = values(column);
                    format!("{} from {}: {}", column.name, column.load.start(), values.join(" "))
                };
                trace.columns.iter().map(column).collect::<Vec<_>>().join("\n")
            }
            Err(bad) => bad.to_string(),
        };
        expected.assert_eq(&told);
    }

    #[test]
    fn minutes_lie_on_the_lines_between_points() {
        check(
            "timestamp,value\n2026-01-01T00:00:30Z,0\n2026-01-01T00:02:30Z,4\n2026-01-01T00:04:30Z,-8\n",
            expect!["value from 2026-01-01T00:01:00Z: 1 3 1 0"],
        );
    }

    #[test]
    fn a_minute_has_the_mean_of_its_points() {
        let second = |second: u32| {
            format!(
                "2026-01-01T00:{:02}:{:02}Z,{}\n",
                second / 60,
                second % 60,
                if second.is_multiple_of(60) { 60 } else { 0 }
            )
        };
        let text: String = (0..180).map(second).collect();
        check(&format!("timestamp,value\n{text}"), expect!["value from 2026-01-01T00:00:00Z: 1 1 1"]);
    }

    #[test]
    fn what_bears_on_the_figures_is_noted() {
        let check = |points: &[Point], expected: Expect| expected.assert_eq(&notes("web", points).join("\n"));
        check(&[(0.0, 1.0), (5.0, 1.0), (10.0, 2.0)], expect![""]);
        check(
            &[(0.0, 1.0), (60.0, -1.0), (120.0, 1.0), (480.0, 2.0)],
            expect![[r#"
                web: 6.0 hours have no points; straight lines stand in for them, as if they had been measured
                web: points lie 60 minutes apart; the straight lines between them show what comes sooner than it would be seen, and every policy that looks ahead does better here than it would
                web: 1 negative values were read as zero"#]],
        );
    }

    #[test]
    fn columns_share_the_minutes_that_all_of_them_have() {
        check(
            "\u{feff}Timestamp, web/desired ,\"db\"\r\n2026-01-01 00:00,1,\r\n2026-01-01T00:01,,5\r\n\r\n2026-01-01T00:03:00+00:00,4,NaN\r\n2026-01-01T00:04:00Z,5,8\r\n",
            expect![[r#"
                web/desired from 2026-01-01T00:01:00Z: 2 3 4 5
                db from 2026-01-01T00:01:00Z: 5 6 7 8"#]],
        );
    }

    #[test]
    fn a_bad_line_is_named_with_what_is_wrong() {
        const TWO: &str = "timestamp,value\n2026-01-01T00:00:00Z,1\n2026-01-01T00:05:00Z,2\n";
        check("", expect!["1: the trace is empty"]);
        check(
            "time;load\n",
            expect![
                "1: the header must be `timestamp,value`, or `timestamp` and one column for each dimension, such as `timestamp,web/desired,api/desired`"
            ],
        );
        check("timestamp,a,a\n", expect!["1: the column `a` stands twice"]);
        check(&format!("{TWO}2026-01-01T00:10:00Z\n"), expect!["4: has 1 columns, the header has 2"]);
        check(&format!("{TWO}2026-01-01T00:10:00Z,many\n"), expect!["4: `many` is not a number"]);
        check(
            &format!("{TWO}yesterday,3\n"),
            expect!["4: `yesterday` is not a time such as 2026-01-31T18:05:00Z"],
        );
        check(
            &format!("{TWO}2026-01-01T00:04:00Z,3\n"),
            expect![
                "4: its time is before that of the line before: sort the trace by time; local times go back when the clock is put back, so write them in UTC, with an offset, or with their zone in brackets"
            ],
        );
        check(
            &format!("{TWO}2026-01-01T00:10:00Z,\"3\n"),
            expect!["4: has a quote that is not closed on its line"],
        );
        check(
            &format!("{TWO}2026-01-01T00:10:00Z,\"3\"4\n"),
            expect!["4: has `4` after a quote, where a comma belongs"],
        );
        check(
            &format!("{TWO}2026-01-01T00:10:00Z,\"1,5\"\n"),
            expect![
                "4: `1,5` is not a number: a comma stands between thousands only, and a point before the fraction"
            ],
        );
        check(
            &format!("{TWO}2026-01-01T00:10[Mars/Olympus],3\n"),
            expect![
                "4: `2026-01-01T00:10[Mars/Olympus]` is not a time such as 2026-01-31T18:05:00Z: failed to find time zone `Mars/Olympus` in time zone database"
            ],
        );
        check(
            "timestamp,value\n2026-01-01T00:00:00Z,1\n",
            expect!["2: the column `value` has fewer than two values"],
        );
        check(&format!("{TWO}2226-01-01T00:00:00Z,3\n"), expect!["4: the trace is longer than 800 days"]);
    }

    fn noted(text: &str, expected: Expect) {
        expected.assert_eq(&parse(text).unwrap().notes.join("\n"));
    }

    #[test]
    fn lines_of_one_time_have_their_mean_and_are_told() {
        let text = "timestamp,value\n2026-01-01T00:00:00Z,1\n2026-01-01T00:05:00Z,2\n2026-01-01T00:05:00Z,4\n2026-01-01T00:07:00Z,3\n";
        check(text, expect!["value from 2026-01-01T00:00:00Z: 1 1.4 1.8 2.2 2.6 3 3 3"]);
        noted(
            text,
            expect!["lines with the same time as the line before: 1; their values count by their mean"],
        );
    }

    #[test]
    fn a_zone_in_brackets_is_the_zone_of_the_time() {
        check(
            "timestamp,value\n2026-03-29T01:59[Europe/Zurich],1\n2026-03-29T03:01+02:00[Europe/Zurich],3\n",
            expect!["value from 2026-03-29T00:59:00Z: 1 2 3"],
        );
        check(
            "timestamp,value\n2026-10-25T02:59+02:00[Europe/Zurich],1\n2026-10-25T02:00+01:00[Europe/Zurich],3\n",
            expect!["value from 2026-10-25T00:59:00Z: 1 3"],
        );
    }

    #[test]
    fn quoted_fields_may_hold_commas() {
        check(
            "\"timestamp\",\"orders, paid\",\"the \"\"rest\"\"\"\n\"2026-01-01T00:00:00Z\" , \"1,234.5\",\"-1,000\"\n2026-01-01T00:01:00Z,\"12,345,678\",\"\"\n2026-01-01T00:02:00Z,1, 2\n",
            expect![[r#"
                orders, paid from 2026-01-01T00:00:00Z: 1234.5 12345678 1
                the "rest" from 2026-01-01T00:00:00Z: 0 0 2"#]],
        );
    }

    #[test]
    fn a_column_that_ends_early_is_told() {
        let hours = |web: &str, db: &str| {
            let line = |hour: u32| {
                let value =
                    |hours: &str| if hours.split(' ').any(|one| one == hour.to_string()) { "1" } else { "" };
                format!("2026-01-01T{hour:02}:00:00Z,{},{}\n", value(web), value(db))
            };
            format!("timestamp,web,db\n{}", (0..10).map(line).collect::<String>())
        };
        noted(
            &hours("0 1 2 3 4 5", "0 1 2 3"),
            expect![[r#"
            web: points lie 60 minutes apart; the straight lines between them show what comes sooner than it would be seen, and every policy that looks ahead does better here than it would
            db: points lie 60 minutes apart; the straight lines between them show what comes sooner than it would be seen, and every policy that looks ahead does better here than it would
            db ends 2.0 hours before the longest column; only what all columns cover is replayed"#]],
        );
        noted(
            &hours("3 4 5", "0 1 2 3 4 5 6"),
            expect![[r#"
            web: points lie 60 minutes apart; the straight lines between them show what comes sooner than it would be seen, and every policy that looks ahead does better here than it would
            db: points lie 60 minutes apart; the straight lines between them show what comes sooner than it would be seen, and every policy that looks ahead does better here than it would
            web begins 3.0 hours after the longest column; only what all columns cover is replayed"#]],
        );
        let apart = parse(&hours("0 1", "0 1")).unwrap().notes;
        assert!(apart.iter().all(|note| !note.contains("longest")), "{apart:?}");
    }
}
