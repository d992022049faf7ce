//! At rest everything is open: DuckDB reads the segments and says the same.

use std::process::Command;

use crate::program::{Site, python_or_skip};

const SCRIPT: &str = r#"
import duckdb, json, sys
logs = f"read_parquet('{sys.argv[1]}/segments/*.parquet', union_by_name=true)"
rows = duckdb.sql(f"""
    SELECT count(*), min(timestamp)::VARCHAR, max(severity_number), min(body), max(body),
           count(DISTINCT service), sum("offset")::BIGINT, sum(attributes.pid)::BIGINT
    FROM {logs}""").fetchall()
print(json.dumps(list(rows[0])))
"#;

#[test]
fn duckdb_reads_the_segments() {
    let Some(python) = python_or_skip("duckdb::duckdb_reads_the_segments") else { return };
    let site = Site::new();
    let lines: String = (0..2_000)
        .map(|n| {
            format!("2026-11-01T10:00:{:02}.{:03}Z web-1 sshd[{}]: error {n}\n", n / 1_000, n % 1_000, n + 1)
        })
        .collect();
    let path = site.write("a.log", lines);
    site.run(&["import", path.to_str().unwrap()]).expect(0);
    let ours = site.sql(
        "SELECT count(*) AS a, min(timestamp) AS b, max(severity_number) AS c, min(body) AS d, max(body) AS e, \
         count(DISTINCT service) AS f, sum(\"offset\") AS g, sum(attributes['pid']) AS h FROM logs",
    );
    let output = Command::new(python).arg("-c").arg(SCRIPT).arg(site.data()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(theirs[0], 2_000);
    for (index, column) in ["a", "c", "d", "e", "f", "g", "h"].iter().enumerate() {
        let theirs = &theirs[if index == 0 { 0 } else { index + 1 }];
        assert_eq!(theirs, &ours[0][column], "{column}: {ours:?}");
    }
    let (theirs, ours) = (theirs[1].as_str().unwrap(), ours[0]["b"].as_str().unwrap());
    assert!(
        theirs.starts_with("2026-11-01 10:00:00") && ours.starts_with("2026-11-01T10:00:00"),
        "{theirs} {ours}"
    );
}
