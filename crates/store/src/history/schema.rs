//! The tables. Those of Logly have its names, columns and indexes, so that what is written about them stays true.

use rusqlite::Connection;
use taffrail_record::FIGURES;

use crate::error::Result;

/// Samples by the hour and by the day.
pub(super) const ROLLUPS: [&str; 2] = ["telemetry_hourly", "telemetry_daily"];

const LOGLY: &str = "
CREATE TABLE IF NOT EXISTS system_metrics (
    id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL, cpu_percent REAL, cpu_count INTEGER,
    memory_total INTEGER, memory_available INTEGER, memory_percent REAL, disk_total INTEGER, disk_used INTEGER,
    disk_percent REAL, disk_read_bytes INTEGER, disk_write_bytes INTEGER, load_1min REAL, load_5min REAL,
    load_15min REAL
);
CREATE INDEX IF NOT EXISTS idx_system_metrics_timestamp ON system_metrics (timestamp);
CREATE TABLE IF NOT EXISTS network_metrics (
    id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL, bytes_sent INTEGER, bytes_recv INTEGER,
    packets_sent INTEGER, packets_recv INTEGER, errors_in INTEGER, errors_out INTEGER, drops_in INTEGER,
    drops_out INTEGER, connections_established INTEGER, connections_listen INTEGER,
    connections_time_wait INTEGER
);
CREATE INDEX IF NOT EXISTS idx_network_metrics_timestamp ON network_metrics (timestamp);
CREATE TABLE IF NOT EXISTS hourly_aggregates (
    id INTEGER PRIMARY KEY AUTOINCREMENT, hour_timestamp INTEGER NOT NULL UNIQUE, avg_cpu_percent REAL,
    max_cpu_percent REAL, avg_memory_percent REAL, max_memory_percent REAL, avg_disk_percent REAL,
    total_bytes_sent INTEGER, total_bytes_recv INTEGER, total_packets_sent INTEGER, total_packets_recv INTEGER,
    log_events_count INTEGER, failed_login_count INTEGER, banned_ip_count INTEGER, error_count INTEGER,
    warning_count INTEGER
);
CREATE INDEX IF NOT EXISTS idx_hourly_aggregates_hour ON hourly_aggregates (hour_timestamp);
CREATE TABLE IF NOT EXISTS daily_aggregates (
    id INTEGER PRIMARY KEY AUTOINCREMENT, date TEXT NOT NULL UNIQUE, avg_cpu_percent REAL, max_cpu_percent REAL,
    avg_memory_percent REAL, max_memory_percent REAL, avg_disk_percent REAL, total_bytes_sent INTEGER,
    total_bytes_recv INTEGER, log_events_count INTEGER, failed_login_count INTEGER, banned_ip_count INTEGER,
    error_count INTEGER, warning_count INTEGER, unique_ips_banned INTEGER, unique_users_failed INTEGER
);
CREATE INDEX IF NOT EXISTS idx_daily_aggregates_date ON daily_aggregates (date);
CREATE TABLE IF NOT EXISTS metadata (key TEXT PRIMARY KEY, value TEXT, updated_at INTEGER);
INSERT OR IGNORE INTO metadata VALUES
    ('schema_version', '2.0', unixepoch()), ('created_at', unixepoch(), unixepoch()), ('hostname', '', unixepoch());
";

/// Hours that samples came late for, and that are rolled up again.
const LATE: &str = "
CREATE TABLE IF NOT EXISTS telemetry_late (
    node TEXT NOT NULL, hour INTEGER NOT NULL, PRIMARY KEY (node, hour)
) WITHOUT ROWID;
";

const NODES: &str = "
CREATE TABLE IF NOT EXISTS nodes (
    node TEXT PRIMARY KEY, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, lag INTEGER,
    clock_skew INTEGER, kind TEXT NOT NULL, version TEXT NOT NULL, address TEXT NOT NULL, lines INTEGER NOT NULL,
    samples INTEGER NOT NULL
) WITHOUT ROWID;
";

/// Makes the tables that are not there. A figure that is added takes a new version of the catalog, which adds its columns.
pub(crate) fn create(connection: &Connection) -> Result<()> {
    let figures: Vec<String> = FIGURES.iter().map(|figure| format!("{} REAL", figure.name)).collect();
    connection.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS telemetry (
            id INTEGER PRIMARY KEY, node TEXT NOT NULL, time INTEGER NOT NULL, {}, envelope BLOB,
            UNIQUE (node, time)
        );
        CREATE INDEX IF NOT EXISTS telemetry_time ON telemetry (time);",
        figures.join(", ")
    ))?;
    let both = |name: &str| format!("avg_{name} REAL, max_{name} REAL");
    let columns: Vec<String> = FIGURES.iter().map(|figure| both(figure.name)).collect();
    for table in ROLLUPS {
        connection.execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS {table} (
                node TEXT NOT NULL, time INTEGER NOT NULL, samples INTEGER NOT NULL, {},
                PRIMARY KEY (node, time)
            ) WITHOUT ROWID;",
            columns.join(", ")
        ))?;
    }
    connection.execute_batch(LATE)?;
    connection.execute_batch(NODES)?;
    connection.execute_batch(LOGLY)?;
    Ok(())
}
