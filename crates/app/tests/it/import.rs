//! What is imported comes out again byte for byte, is stored once, and what is left out is said.

use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::program::Site;

/// Everything that a line can be.
fn odd_lines() -> Vec<u8> {
    let mut bytes = b"2026-11-01T10:00:00Z web-1 sshd[12]: first\r\n".to_vec();
    bytes.extend_from_slice(b"\n\n  \n\r\n");
    bytes.extend_from_slice(b"{\"level\":\"error\",\"msg\":\"a \\u00fc\",\"n\":1.50}\n");
    bytes.extend_from_slice(b"\xff\xfe is no UTF-8 \xc3\n");
    bytes.extend_from_slice(b"NUL \0 in the middle\0\n");
    bytes.extend_from_slice(b"\x1b[31mred\x1b[0m\ttab \x7f\n");
    bytes.extend_from_slice("Nov  1 10:00:00 h p[1]: \u{1f600} blank at the end \n".as_bytes());
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_input_comes_out_byte_for_byte() {
    let site = Site::new();
    let odd = odd_lines();
    let no_newline = [&odd[..], b"the end has no newline"].concat();
    let two_members = [gzip(&odd), gzip(&no_newline)].concat();
    let both = [&odd[..], &no_newline].concat();
    for (name, stored, want) in [
        ("plain.log", odd.clone(), &odd),
        ("end.log", no_newline.clone(), &no_newline),
        ("odd.log.gz", gzip(&odd), &odd),
        ("members.gz", two_members, &both),
        ("odd.log.zst", zstd::encode_all(&odd[..], 1).unwrap(), &odd),
        ("end.zst", zstd::encode_all(&no_newline[..], 1).unwrap(), &no_newline),
        ("crlf.log", b"a\r\nb\r\n\r\n".to_vec(), &b"a\r\nb\r\n\r\n".to_vec()),
        ("blank.log", b"\n\n\n".to_vec(), &b"\n\n\n".to_vec()),
        ("nul.log", b"\0\0\n\0".to_vec(), &b"\0\0\n\0".to_vec()),
    ] {
        let path = site.write(name, stored);
        site.run(&["import", path.to_str().unwrap()]).expect(0);
        let got = site.export(&site.source(name));
        assert_eq!(got.escape_ascii().to_string(), want.escape_ascii().to_string(), "{name}");
    }
}

#[test]
fn stdin_comes_out_byte_for_byte_and_goes_on() {
    let site = Site::new();
    let odd = odd_lines();
    site.run_with(&["import", "-"], &odd).expect(0);
    assert_eq!(site.export("stdin"), odd);
    site.run_with(&["import", "--source", "pipe", "--service", "ours", "-"], b"one\ntwo").expect(0);
    assert_eq!(site.export("pipe"), b"one\ntwo");
    assert_eq!(site.bodies("service:ours"), ["one", "two"]);
    site.run_with(&["import", "-"], b"more\n").expect(0);
    assert_eq!(site.export("stdin"), [&odd[..], b"more\n"].concat());
}

#[test]
fn many_lines_of_many_formats_come_out_byte_for_byte() {
    let site = Site::new();
    let mut bytes = Vec::new();
    let mut number = 0_u64;
    while bytes.len() < 3 << 20 {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        match number >> 60 {
            0..4 => writeln!(
                bytes,
                "Nov  1 10:00:{:02} web-1 sshd[{}]: n {number}",
                number >> 32 & 31,
                number >> 40 & 999
            ),
            4..8 => writeln!(
                bytes,
                "{{\"ts\":{}.25,\"level\":\"info\",\"msg\":\"m {number}\"}}",
                1_793_491_200 + (number >> 50)
            ),
            8..12 => {
                writeln!(bytes, "10.0.0.1 - - [01/Nov/2026:10:00:00 +0000] \"GET /{number} HTTP/1.1\" 200 12")
            }
            12..15 => writeln!(bytes, "2026-11-01 10:00:00,123 - WARN - AGENT - {number}"),
            _ => writeln!(bytes, "free text {number}\r"),
        }
        .unwrap();
    }
    let path = site.write("many.log", &bytes);
    let ran = site.run(&["import", path.to_str().unwrap()]).expect(0);
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    let records = site.sql("SELECT count(*) AS n FROM logs")[0]["n"].as_u64().unwrap();
    assert!((lines as u64 * 9 / 10..lines as u64).contains(&records), "free text after a time belongs to it");
    let sums = format!("{lines} lines in {records} records, 3.0 MiB in ");
    assert!(ran.text().starts_with(&sums), "{}", ran.text());
    assert!(site.export(&site.source("many.log")) == bytes, "the export is another");
}

#[test]
fn importing_twice_stores_once() {
    let site = Site::new();
    let path = site.write("a.log", "one\ntwo\n");
    let file = path.to_str().unwrap();
    site.run(&["import", file]).expect(0);
    let again = site.run(&["import", file]).expect(0);
    assert!(again.text().starts_with("0 lines"), "{}", again.text());
    assert!(again.err.contains("stored before"), "{}", again.err);
    site.append("a.log", "three\n");
    assert!(site.run(&["import", file]).expect(0).text().starts_with("1 lines"));
    assert_eq!(site.bodies(""), ["one", "two", "three"]);
    let packed = site.write("b.log.gz", gzip(b"packed\n"));
    site.run(&["import", packed.to_str().unwrap()]).expect(0);
    let again = site.run(&["import", packed.to_str().unwrap()]).expect(2);
    assert!(again.err.contains("imported before") && again.err.contains("--source"), "{}", again.err);
    assert_eq!(site.bodies("packed").len(), 1);
}

#[test]
fn what_is_imported_is_not_followed_again_and_what_is_followed_not_imported_again() {
    let site = Site::new();
    let path = site.write("logs/a.log", "one\ntwo\n");
    site.run(&["import", path.to_str().unwrap()]).expect(0);
    site.append("logs/a.log", "three\n");
    let daemon = site.daemon();
    crate::program::eventually("reading the rest", || crate::program::found(&daemon, "three").len() == 1);
    assert!(daemon.stop().unwrap().success());
    assert!(site.run(&["import", path.to_str().unwrap()]).expect(0).text().starts_with("0 lines"));
    assert_eq!(site.bodies(""), ["one", "two", "three"]);
    assert_eq!(site.export(&site.source("logs/a.log")), b"one\ntwo\nthree\n");
}

#[test]
fn an_empty_file_is_fine_and_holds_nothing() {
    let site = Site::new();
    let path = site.write("empty.log", "");
    assert!(site.run(&["import", path.to_str().unwrap()]).expect(0).text().starts_with("0 lines, 0 B"));
    assert!(site.run(&["export", "raw", "--source", &site.source("empty.log")]).out.is_empty());
    assert_eq!(site.sql("SELECT count(*) AS n FROM logs")[0]["n"], 0);
}

#[test]
fn the_rest_of_an_overlong_line_is_a_gap() {
    let site = Site::new();
    let config = site.config("max_line = \"1 KiB\"\n");
    let long = "x".repeat(5_000);
    let path = site.write("long.log", format!("before\n{long}\nafter\n"));
    let ran = site.run(&["import", "-c", config.to_str().unwrap(), path.to_str().unwrap()]).expect(0);
    assert!(ran.text().contains("gaps"), "{}", ran.text());
    assert_eq!(site.bodies("before OR after"), ["before", "after"]);
    assert_eq!(site.bodies("x*"), [&long[..1024]]);
    let gaps = site.sql("SELECT * FROM gaps");
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0]["source"], site.source("long.log").as_str());
    assert_eq!((&gaps[0]["start_offset"], &gaps[0]["end_offset"]), (&(7 + 1024).into(), &(7 + 5_001).into()));
    assert!(!gaps[0]["reason"].as_str().unwrap().is_empty());
}

#[test]
fn what_cannot_be_read_is_skipped_with_a_reason_and_the_rest_imported() {
    let site = Site::new();
    let good = site.write("good.log", "good\n");
    let bz2 = site.write("a.bz2", b"BZh91AY&SY");
    let broken = gzip(odd_lines().repeat(50).as_slice());
    let cut = site.write("cut.gz", &broken[..broken.len() - 9]);
    let name = |path: &Path| path.display().to_string();
    for (path, words, code) in [
        (site.path("logs"), &["is a directory", "/*"][..], 2),
        (site.path("missing.log"), &["missing.log", "No such file"], 2),
        (bz2, &["bzcat"], 2),
        (cut, &["cut.gz"], 2),
    ] {
        let ran = site.run(&["import", &name(&path), &name(&good)]).expect(code);
        for word in words {
            assert!(ran.err.contains(word), "{}: {}", name(&path), ran.err);
        }
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
    }
    assert_eq!(site.bodies("good"), ["good"]);
    let kept = site.export(&site.source("cut.gz"));
    assert!(kept.len() > odd_lines().len(), "only {} bytes of what came before the end are kept", kept.len());
    assert!(odd_lines().repeat(50).starts_with(&kept), "what came before the end is another");
}
