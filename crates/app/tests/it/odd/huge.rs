//! Files without end, holes, and patterns that mean more files than anybody has.

use super::*;

/// A file with 200 lines, then nothing up to 100 GB, and one more line.
fn hole(site: &Site) -> PathBuf {
    let path = site.write("logs/hole.log", "before the hole\n".repeat(200));
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(100 << 30).unwrap();
    site.append("logs/hole.log", "\nafter the hole\n");
    path
}

#[test]
fn a_hundred_gigabytes_of_nothing() {
    let site = Site::new();
    let (hole, empty) = (hole(&site), site.write("logs/empty.log", ""));
    fs::OpenOptions::new().write(true).open(&empty).unwrap().set_len(100 << 30).unwrap();
    let daemon = site.daemon();
    neighbour_is_read(&site, &daemon, "first");
    eventually("reading what stands before", || found(&daemon, "\"before the hole\"").len() == 200);
    assert!(
        matches!(state(&daemon, &empty).as_str(), "following" | "refused"),
        "{:?}",
        source(&daemon, &empty)
    );
    neighbour_is_read(&site, &daemon, "second");
    let read = wait_until(PATIENCE, || found(&daemon, "\"after the hole\"").len() == 1);
    let peak = peak_memory_mib(&daemon);
    assert!(peak < MEMORY_MIB, "{peak} MiB");
    assert!(read, "what comes after is not read within {PATIENCE:?}: {:?}", source(&daemon, &hole));
}

#[test]
fn only_the_end_of_a_hundred_gigabytes() {
    let site = Site::new();
    let hole = hole(&site);
    let daemon = site.daemon_with("[[source]]\npath = [\"{logs}\"]\nstart_at = \"end\"\n");
    eventually("following", || state(&daemon, &hole) == "following");
    site.append("logs/hole.log", "appended\n");
    has(&daemon, &site.source("logs/hole.log"), 1);
    assert_eq!(found(&daemon, "appended").len(), 1);
    let peak = peak_memory_mib(&daemon);
    assert!(peak < MEMORY_MIB, "{peak} MiB");
}

#[test]
fn holes_of_a_writer_that_does_not_append_are_no_lines() {
    let site = Site::new();
    let log = site.path("logs/a.log");
    let mut writer = fs::File::create(&log).unwrap();
    let mut write = |number: u64| writer.write_all(format!("line {number}\n").as_bytes()).unwrap();
    (0..3_000).for_each(&mut write);
    let mut daemon = site.daemon();
    has(&daemon, &site.source("logs/a.log"), 3_000);
    for number in 3_000..3_004 {
        // Whoever truncates does not tell the writer, who goes on where it was.
        let truncate = || fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(0).unwrap();
        if number % 2 == 1 {
            assert!(daemon.stop().unwrap().success());
            truncate();
            write(number);
            daemon = site.daemon();
        } else {
            truncate();
            write(number);
        }
        let whole = format!("SELECT count(*) FROM logs WHERE body = 'line {number}'");
        let found = wait_until(PATIENCE, || count(&daemon, &whole) == 1);
        let like = daemon.sql(&format!("SELECT length(body) FROM logs WHERE body LIKE '%line {number}'"));
        assert!(found, "line {number} is stored as {like:?} bytes: {:?}", source(&daemon, &log));
    }
    assert_eq!(count(&daemon, "SELECT count(*) FROM logs"), 3_004);
}

#[test]
fn a_pattern_that_means_very_many_files() {
    very_many_files("the only line\n");
}

#[test]
fn a_pattern_that_means_very_many_empty_files() {
    very_many_files("");
}

#[test]
fn a_pattern_that_means_too_many_files() {
    let site = Site::new();
    fs::create_dir(site.path("many")).unwrap();
    for number in 0..2_000 {
        fs::write(site.path(&format!("many/{number:06}.log")), "").unwrap();
    }
    let [many, logs] = [site.path("many/*.log"), site.path("logs/*.log")];
    let config =
        format!("max_files = 1000\n\n[[source]]\npath = [{many:?}]\n\n[[source]]\npath = [{logs:?}]\n");
    let daemon = site.daemon_with(&config);
    neighbour_is_read(&site, &daemon, "first");
    eventually("saying so", || daemon.stderr().contains("more than 1000 files match"));
    assert!(daemon.stderr().contains("raise max_files"), "{}", daemon.stderr());
    neighbour_is_read(&site, &daemon, "second");
}

#[track_caller]
fn very_many_files(content: &str) {
    const FILES: u64 = 5_000;
    let site = Site::new();
    fs::create_dir(site.path("many")).unwrap();
    for number in 0..FILES {
        fs::write(site.path(&format!("many/{number:06}.log")), content).unwrap();
    }
    let [many, logs] = [site.path("many/*.log"), site.path("logs/*.log")];
    let config = format!("[[source]]\npath = [{many:?}]\n\n[[source]]\npath = [{logs:?}]\n");
    let daemon = site.daemon_with(&config);
    neighbour_is_read(&site, &daemon, "first");
    let followed = || daemon.get("/api/v1/sources").unwrap().text().matches("\"following\"").count() as u64;
    let all = wait_until(Duration::from_secs(60), || followed() >= FILES);
    assert!(all, "{} of {FILES} files are followed:\n{}", followed(), daemon.stderr());
    site.append("many/001234.log", "in one of very many\n");
    has(&daemon, &site.source("many/001234.log"), content.lines().count() as u64 + 1);
    neighbour_is_read(&site, &daemon, "second");
    assert_alive(&daemon, "very many files");
    let peak = peak_memory_mib(&daemon);
    assert!(peak < MEMORY_MIB, "{peak} MiB");
}
