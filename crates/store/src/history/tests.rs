//! The history over days: what goes in comes out, is rolled up at the right boundaries, late or missed, and is deleted.

use std::cell;
use std::time::Duration;

use rusqlite::Connection;
use taffrail_record::{FIGURES, Figures, Timestamp};

use super::logly::{LogActors, LogCounts, Logs, NetworkRow, SystemRow};
use super::{
    Aggregate, Cell, History, Kept, Points, PointsRequest, RowsRequest, Seen, StoredSample, put_right,
    schema, tables,
};
use crate::engine::{Control, QueryError, TimeRange};

const SECOND: i64 = Timestamp::SECOND;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;
/// 2026-11-01T00:00:00Z
const START: i64 = 1_793_491_200 * SECOND;
const KEPT: Kept = Kept { samples: Duration::from_secs(7 * 86_400), hours: Duration::from_secs(90 * 86_400) };

fn history(folder: &tempfile::TempDir) -> History {
    let path = folder.path().join("taffrail.db");
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
        )
        .unwrap();
    schema::create(&connection).unwrap();
    History::open(&path).unwrap()
}

fn control() -> Control {
    Control::with_limit(Duration::from_secs(60))
}

/// Rows of a table, read page by page; of all its columns, or of some.
fn rows(history: &History, name: &str, columns: &[&str], node: Option<&str>, limit: usize) -> Vec<Vec<Cell>> {
    let table = tables().unwrap().into_iter().find(|table| table.name == name).unwrap();
    let place = |wanted: &&str| table.columns.iter().position(|column| column.name == *wanted).unwrap();
    let columns = columns.iter().map(place).collect();
    let request = RowsRequest { columns, range: TimeRange::ALL, node: node.map(str::to_owned), limit };
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = history.rows(&table, &request, after.as_ref(), &control()).unwrap();
        assert!(page.rows.len() <= limit);
        all.extend(page.rows);
        after = page.after;
        if after.is_none() {
            return all;
        }
    }
}

fn sample(node: &str, time: i64, cpu: Option<f64>) -> StoredSample {
    let mut figures: Figures = [None; FIGURES.len()];
    figures[0] = cpu;
    StoredSample {
        node: node.to_owned(),
        time: Timestamp(time),
        figures,
        envelope: format!("{{\"at\":{time}}}"),
    }
}

fn points(history: &History, since: i64, until: i64, step_ns: i64, aggregate: Aggregate) -> Points {
    let range = TimeRange { since: Timestamp(since), until: Timestamp(until) };
    let request = PointsRequest { node: Some("a"), range, step_ns, figures: &[0], aggregate };
    history.points(&request, &control()).unwrap()
}

/// Hours since [`START`] and values.
fn of(points: &Points) -> Vec<(f64, Option<f64>)> {
    let series = points.series.first().cloned().unwrap_or_default();
    let hours = series.times.iter().map(|time| (time.0 - START) as f64 / HOUR as f64);
    hours.zip(series.values.into_iter().flatten()).collect()
}

#[test]
fn samples_come_back_once_each() {
    let folder = tempfile::tempdir().unwrap();
    let history = history(&folder);
    let all = [
        sample("a", START, Some(1.5)),
        sample("b", START, None),
        sample("a", START + 10 * SECOND, Some(2.5)),
    ];
    assert_eq!(history.insert(&all).unwrap(), 3);
    // Sent again after an answer was lost.
    assert_eq!(history.insert(&[sample("a", START, Some(99.0)), all[2].clone()]).unwrap(), 0);
    let row = |sample: &StoredSample| {
        let cpu = sample.figures[0].map_or(Cell::Null, Cell::Real);
        vec![
            Cell::Text(sample.node.clone()),
            Cell::Integer(sample.time.0),
            cpu,
            Cell::Text(sample.envelope.clone()),
        ]
    };
    let columns = ["node_id", "time", "cpu_usage_percent", "metrics"];
    for limit in [1, 2, 10] {
        let read = rows(&history, "telemetry", &columns, None, limit);
        assert_eq!(read, all.iter().map(row).collect::<Vec<_>>(), "{limit}");
    }
    assert_eq!(rows(&history, "telemetry", &columns, Some("b"), 10), [row(&all[1])]);
    let latest = history.latest(None).unwrap();
    assert_eq!(latest, [all[2].clone(), all[1].clone()]);
    assert_eq!(history.extent().unwrap(), (3, Some(Timestamp(START))));
    let reader = History::open_read_only(&folder.path().join("taffrail.db")).unwrap();
    assert_eq!(reader.latest(Some("a")).unwrap(), all[2..]);
    assert!(reader.insert(&all).is_err());
}

#[test]
fn hours_and_days_are_those_of_utc_and_late_samples_count() {
    let folder = tempfile::tempdir().unwrap();
    let history = history(&folder);
    // Each minute of two days and a bit: the hour's number, and one sample a day that says nothing.
    let minutes = 2 * 24 * 60 + 90;
    let all: Vec<_> = (0..minutes)
        .map(|minute| {
            let hour = f64::from(minute / 60);
            let cpu = (minute % 1_440 != 7).then_some(if minute % 60 == 59 { hour + 60.0 } else { hour });
            sample("a", START + i64::from(minute) * 60 * SECOND, cpu)
        })
        .collect();
    history.insert(&all).unwrap();
    let now = Timestamp(START + 2 * DAY + 90 * 60 * SECOND);
    let mean = |hour: f64| hour + 1.0;
    let want: Vec<_> = (0..49).map(|hour| (f64::from(hour), Some(mean(f64::from(hour))))).collect();
    for round in 0..2 {
        if round == 1 {
            history.maintain(now, KEPT).unwrap();
        }
        let hours = of(&points(&history, START, START + 2 * DAY + HOUR, HOUR, Aggregate::Mean));
        for (found, want) in hours.iter().zip(&want) {
            // The hour with the silent sample has 59 that say something.
            let silent = found.0 % 24.0 == 0.0;
            let off = (found.1.unwrap() - want.1.unwrap()).abs();
            assert!(found.0 == want.0 && off < if silent { 0.02 } else { 1e-9 }, "{found:?} {want:?}");
        }
        assert_eq!(hours.len(), 49);
        let days = of(&points(&history, START, START + 2 * DAY, DAY, Aggregate::Max));
        assert_eq!(days, [(0.0, Some(83.0)), (24.0, Some(107.0))], "round {round}");
        // What is not over yet comes from the samples.
        let last = of(&points(&history, START + 2 * DAY, now.0, DAY, Aggregate::Max));
        assert_eq!(last, [(48.0, Some(108.0))]);
    }
    // A machine that was cut off sends what it had kept.
    history.insert(&[sample("a", START + 5 * HOUR + 30 * SECOND, Some(1_000.0))]).unwrap();
    history.maintain(now, KEPT).unwrap();
    let late = of(&points(&history, START + 5 * HOUR, START + 6 * HOUR, HOUR, Aggregate::Max));
    assert_eq!(late, [(5.0, Some(1_000.0))]);
    let day = of(&points(&history, START, START + DAY, DAY, Aggregate::Max));
    assert_eq!(day, [(0.0, Some(1_000.0))]);
}

#[test]
fn what_is_too_old_goes_and_what_it_came_to_stays() {
    let folder = tempfile::tempdir().unwrap();
    let history = history(&folder);
    let all: Vec<_> =
        (0..60).map(|minute| sample("a", START + minute * 60 * SECOND, Some(minute as f64))).collect();
    history.insert(&all).unwrap();
    history.maintain(Timestamp(START + HOUR), KEPT).unwrap();
    // Half of the hour's samples are deleted; a late one must not make it anew out of the other half.
    let later = START + 7 * DAY + HOUR / 2;
    history.maintain(Timestamp(later), KEPT).unwrap();
    history.insert(&[sample("a", START + HOUR - SECOND, Some(0.0))]).unwrap();
    history.maintain(Timestamp(later), KEPT).unwrap();
    assert_eq!(history.extent().unwrap().0, 31);
    let hour = of(&points(&history, START, START + HOUR, HOUR, Aggregate::Mean));
    assert_eq!(hour, [(0.0, Some(29.5))]);
    history.maintain(Timestamp(START + 92 * DAY), KEPT).unwrap();
    assert_eq!(history.extent().unwrap(), (0, None));
    assert_eq!(of(&points(&history, START, START + HOUR, HOUR, Aggregate::Mean)), []);
    assert_eq!(of(&points(&history, START, START + DAY, DAY, Aggregate::Max)), [(0.0, Some(59.0))]);
}

#[test]
fn a_clock_that_is_wrong_is_its_machines_own_trouble() {
    let folder = tempfile::tempdir().unwrap();
    let history = history(&folder);
    let minute = |node: &str, number: i64| sample(node, START + number * 60 * SECOND, Some(number as f64));
    let both: Vec<_> = (0..120).flat_map(|number| [minute("a", number), minute("b", number)]).collect();
    history.insert(&both).unwrap();
    let now = Timestamp(START + 7 * DAY + 2 * HOUR);
    history.maintain(Timestamp(START + 2 * HOUR), KEPT).unwrap();
    history.maintain(now, KEPT).unwrap();
    assert_eq!(history.extent().unwrap().0, 0);
    // Its samples are gone; what they came to is told, whatever another says.
    let wrong = sample("slow", 10 * SECOND, Some(1.0));
    let hours = [(0.0, Some(59.0)), (1.0, Some(119.0))];
    for _ in 0..2 {
        assert_eq!(history.insert(std::slice::from_ref(&wrong)).unwrap(), 1);
        assert_eq!(of(&points(&history, START, START + 2 * HOUR, HOUR, Aggregate::Max)), hours);
        history.maintain(now, KEPT).unwrap();
        assert_eq!(of(&points(&history, START, START + 2 * HOUR, HOUR, Aggregate::Max)), hours);
        // It is older than what is kept.
        assert_eq!(history.latest(Some("slow")).unwrap(), []);
    }
    // The clock here was a year ahead: the hour that is not over is told of all the same.
    let kept = Kept { samples: Duration::from_secs(1_000 * 86_400), ..KEPT };
    history.maintain(Timestamp(now.0 + 365 * DAY), kept).unwrap();
    history.maintain(now, kept).unwrap();
    history.insert(&[sample("a", now.0, Some(5.0))]).unwrap();
    let last = of(&points(&history, now.0, now.0 + HOUR, HOUR, Aggregate::Max));
    assert_eq!(last, [(170.0, Some(5.0))]);
}

#[test]
fn only_what_comes_late_is_rolled_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let history = history(&folder);
    let hour = |node: &str, hour: i64, cpu: f64| sample(node, START + hour * HOUR, Some(cpu));
    let kept = Kept { samples: Duration::from_secs(60 * 86_400), ..KEPT };
    history.insert(&[hour("a", 0, 1.0), hour("b", 0, 1.0)]).unwrap();
    let now = Timestamp(START + 20 * DAY);
    history.maintain(now, kept).unwrap();
    let database = Connection::open(folder.path().join("taffrail.db")).unwrap();
    let mark = |table: &str| {
        database.execute(&format!("UPDATE {table} SET max_cpu_usage_percent = 77"), []).unwrap();
    };
    mark("telemetry_hourly");
    mark("telemetry_daily");
    let late = || -> i64 {
        database.query_row("SELECT count(*) FROM telemetry_late", [], |row| row.get(0)).unwrap()
    };
    // Known ones are not late, nor are those of an hour that is not over.
    history.insert(&[hour("b", 0, 9.0), hour("a", 20 * 24, 3.0)]).unwrap();
    assert_eq!(late(), 0);
    // More than one transaction takes.
    let cut_off: Vec<_> = (1..480).map(|number| hour("b", number, number as f64)).collect();
    history.insert(&cut_off).unwrap();
    assert_eq!(late(), 479);
    history.maintain(now, kept).unwrap();
    assert_eq!(late(), 0);
    let of_b = |step: i64| -> Vec<_> {
        let range = TimeRange { since: Timestamp(START), until: now };
        let request =
            PointsRequest { node: Some("b"), range, step_ns: step, figures: &[0], aggregate: Aggregate::Max };
        of(&history.points(&request, &control()).unwrap())
            .into_iter()
            .map(|(_, value)| value.unwrap())
            .collect()
    };
    let mut want: Vec<f64> = (0..480).map(f64::from).collect();
    want[0] = 77.0;
    assert_eq!(of_b(HOUR), want);
    want = (0..20).map(|day| f64::from(day * 24 + 23)).collect();
    // The first hour was not touched, so its day still says what it said.
    want[0] = 77.0;
    assert_eq!(of_b(DAY), want);
    assert_eq!(of(&points(&history, START, START + HOUR, HOUR, Aggregate::Max)), [(0.0, Some(77.0))]);
    assert_eq!(of(&points(&history, START, START + DAY, DAY, Aggregate::Max)), [(0.0, Some(77.0))]);
}

#[test]
fn samples_of_the_future_are_of_now() {
    let all = |times: &[i64]| -> Vec<_> { times.iter().map(|time| sample("a", *time, None)).collect() };
    for (times, want) in [
        (&[START, START - DAY, START + HOUR][..], [START, START - DAY, START + HOUR]),
        (
            &[START - SECOND, START + DAY, START + DAY - 10 * SECOND],
            [START - SECOND, START, START - 10 * SECOND],
        ),
        (&[i64::MAX, i64::MIN, START], [START, i64::MIN, START]),
    ] {
        let mut samples = all(times);
        put_right(&mut samples, Timestamp(START));
        assert_eq!(samples.iter().map(|sample| sample.time.0).collect::<Vec<_>>(), want);
    }
}

/// Logs with one of each an hour, which cannot be asked at first.
struct FakeLogs {
    asked: cell::Cell<u64>,
    refuses: cell::Cell<bool>,
}

impl Logs for FakeLogs {
    fn counts(&self, range: TimeRange) -> Option<LogCounts> {
        assert_eq!(range.until.0 - range.since.0, HOUR);
        self.asked.set(self.asked.get() + 1);
        let counts = LogCounts { events: 10, failed_logins: 4, bans: 3, errors: 2, warnings: 1 };
        (!self.refuses.get()).then_some(counts)
    }

    fn actors(&self, range: TimeRange) -> Option<LogActors> {
        assert_eq!((range.until.0 - range.since.0, range.since.0 % DAY), (DAY, 0));
        Some(LogActors { banned_ips: 7, failed_users: 5 })
    }
}

#[test]
fn loglys_rows_come_to_what_its_pages_say() {
    let folder = tempfile::tempdir().unwrap();
    let history = history(&folder);
    // 90 minutes before midnight until 90 minutes after it; the machine restarts, and the daemon misses an hour.
    let mut sent = 1_000_000;
    for minute in (0..90).chain(150..180) {
        let now = Timestamp(START + DAY - 90 * 60 * SECOND + minute * 60 * SECOND);
        sent = if minute == 60 { 500 } else { sent + 1_000 };
        let cpu = Some(if minute == 45 { 90.0 } else { 30.0 });
        let system = SystemRow { cpu_percent: cpu, memory_percent: Some(50.0), ..SystemRow::default() };
        // Once nobody could read them: what went through meanwhile counts in the next row.
        let counters = (minute != 20).then_some([sent, 0, 2 * sent, 0, 0, 0, 0, 8]);
        let network =
            NetworkRow { counters, connections_listen: Some(minute as u64), ..NetworkRow::default() };
        history.insert_rows(now, &system, &network).unwrap();
    }
    let last = Timestamp(START + DAY + (179 - 90) * 60 * SECOND);
    assert_eq!(history.last_counters().unwrap(), Some((last, [sent, 0, 2 * sent, 0, 0, 0, 0, 8])));
    let logs = FakeLogs { asked: cell::Cell::new(0), refuses: cell::Cell::new(true) };
    let now = Timestamp(START + DAY + 2 * HOUR + SECOND);
    history.roll_up_rows(now, &logs).unwrap();
    let database = Connection::open(folder.path().join("taffrail.db")).unwrap();
    let count = |table: &str| -> i64 {
        database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!((count("hourly_aggregates"), count("daily_aggregates")), (0, 0));
    logs.refuses.set(false);
    history.roll_up_rows(now, &logs).unwrap();
    history.roll_up_rows(now, &logs).unwrap();
    // Once refused; then each hour once.
    assert_eq!(logs.asked.get(), 1 + 4);
    let mut statement = database
        .prepare("SELECT hour_timestamp, max_cpu_percent, total_bytes_sent, total_packets_sent, error_count FROM hourly_aggregates ORDER BY 1")
        .unwrap();
    type Row = (i64, Option<f64>, Option<i64>, Option<i64>, i64);
    let rows: Vec<Row> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let hour = |number: i64| (START + DAY) / SECOND + number * 3_600;
    let want = [
        // 30 minutes: nothing came before the first row.
        (hour(-2), Some(30.0), Some(29_000), Some(58_000), 2),
        // The counters began anew at half past: 30 steps, what they began with, and 29 steps.
        (hour(-1), Some(90.0), Some(30_000 + 500 + 29_000), Some(60_000 + 1_000 + 58_000), 2),
        (hour(0), None, None, None, 2),
        // What went through while nobody looked counts where it was seen.
        (hour(1), Some(30.0), Some(30_000), Some(60_000), 2),
    ];
    assert_eq!(rows, want);
    let day = database
        .query_row("SELECT date, max_cpu_percent, total_bytes_sent, log_events_count, unique_ips_banned FROM daily_aggregates", [], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, f64>(1)?, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?, row.get::<_, i64>(4)?))
        })
        .unwrap();
    assert_eq!(day, ("2026-11-01".to_owned(), 90.0, 29_000 + 59_500, 20, 7));
    assert_eq!(count("daily_aggregates"), 1);
}

#[test]
fn machines_are_known_by_what_they_sent() {
    let folder = tempfile::tempdir().unwrap();
    let history = history(&folder);
    let seen = |node: &str, at: i64, version: &str| Seen {
        node: node.to_owned(),
        at: Timestamp(at),
        lag: (!version.is_empty()).then_some(7),
        clock_skew: (!version.is_empty()).then_some(-SECOND),
        kind: "agent".to_owned(),
        version: version.to_owned(),
        address: "192.0.2.7".to_owned(),
        lines: 10,
        samples: 1,
    };
    history.note_nodes(&[seen("b", START, "0.1.0"), seen("a", START, "")]).unwrap();
    history.note_nodes(&[seen("b", START + HOUR, ""), seen("b", START + SECOND, "")]).unwrap();
    let nodes = history.nodes().unwrap();
    assert_eq!(nodes.iter().map(|node| node.node.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let b = &nodes[1];
    assert_eq!((b.first_seen.0, b.last_seen.0), (START, START + HOUR));
    assert_eq!((b.lag, b.clock_skew), (Some(7), Some(-SECOND)), "as it was said last");
    assert_eq!((nodes[0].lag, nodes[0].clock_skew), (None, None));
    assert_eq!((b.version.as_str(), b.lines, b.samples), ("0.1.0", 30, 3));
}

#[test]
fn whoever_asks_waits_for_nobody_and_not_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let history = history(&folder);
    let all: Vec<StoredSample> =
        (0..20_000).map(|number| sample("a", START + number * SECOND, Some(1.0))).collect();
    history.insert(&all).unwrap();
    // The connection that writes is in use, and the catalog in the hands of another that writes.
    let writing = history.connection();
    let other = Connection::open(folder.path().join("taffrail.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; DELETE FROM telemetry").unwrap();
    assert_eq!(points(&history, START, START + HOUR, HOUR, Aggregate::Mean).series.len(), 1);
    assert_eq!(history.latest(None).unwrap(), all[19_999..]);
    assert_eq!(rows(&history, "telemetry", &["time"], None, 20_001).len(), 20_000);
    drop(writing);
    let range = TimeRange::ALL;
    let request =
        PointsRequest { node: None, range, step_ns: 1, figures: &[0, 1, 2], aggregate: Aggregate::Mean };
    let given_up = Control::with_limit(Duration::from_millis(2));
    let error = history.points(&request, &given_up).unwrap_err();
    assert!(matches!(error, QueryError::TimedOut), "{error:?}");
    assert_eq!(history.extent().unwrap().0, 20_000, "the connection is as good as before");
}

#[test]
fn tables_have_all_that_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let history = history(&folder);
    let samples: Vec<StoredSample> = ["a", "b"]
        .iter()
        .flat_map(|node| (0..48).map(|hour| sample(node, START + hour * HOUR, Some(2.0))))
        .collect();
    history.insert(&samples).unwrap();
    history.maintain(Timestamp(START + 2 * DAY + 1), KEPT).unwrap();
    let seen = Seen { node: "a".to_owned(), at: Timestamp(7), lag: Some(1_500_000_000), ..Seen::default() };
    history.note_nodes(&[seen]).unwrap();
    let system = SystemRow { cpu_percent: Some(50.0), cpu_count: Some(2), ..SystemRow::default() };
    history.insert_rows(Timestamp(START), &system, &NetworkRow::default()).unwrap();
    let columns = ["node_id", "time", "samples", "avg_cpu_usage_percent", "max_cpu_usage_percent"];
    let row = |node: &str, time: i64, samples: i64| {
        let value = Cell::Real(2.0);
        vec![Cell::Text(node.to_owned()), Cell::Integer(time), Cell::Integer(samples), value.clone(), value]
    };
    let hourly = rows(&history, "telemetry_hourly", &columns, None, 7);
    let wanted: Vec<_> = samples.iter().map(|sample| row(&sample.node, sample.time.0, 1)).collect();
    assert_eq!(hourly, wanted);
    let daily = rows(&history, "telemetry_daily", &columns, Some("b"), 7);
    assert_eq!(daily, [row("b", START, 24), row("b", START + DAY, 24)]);
    assert_eq!(
        rows(&history, "nodes", &["node_id", "last_seen", "lag_seconds", "clock_skew_seconds"], None, 7),
        [[Cell::Text("a".to_owned()), Cell::Integer(7), Cell::Real(1.5), Cell::Null]]
    );
    assert_eq!(
        rows(&history, "system_metrics", &["timestamp", "cpu_percent", "cpu_count"], None, 7),
        [[Cell::Integer(START / SECOND), Cell::Real(50.0), Cell::Integer(2)]]
    );
    assert_eq!(rows(&history, "network_metrics", &["bytes_sent"], None, 7), [[Cell::Null]]);
    assert_eq!(rows(&history, "hourly_aggregates", &["hour_timestamp"], None, 7).len(), 0);
    assert_eq!(
        History::none()
            .rows(
                &tables().unwrap()[0],
                &RowsRequest { columns: vec![0], range: TimeRange::ALL, node: None, limit: 1 },
                None,
                &control()
            )
            .unwrap()
            .rows
            .len(),
        0
    );
}
