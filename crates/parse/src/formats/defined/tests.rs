//! Every sample of every file becomes what the file says, in the file's format and no other.

use super::registry::FILES;
use super::*;
use crate::formats::tests::{parser, raw};
use crate::{Detection, Parser};

#[test]
fn files_are_read_and_listed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../formats");
    let mut present: Vec<String> = fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".toml").map(str::to_owned))
        .collect();
    present.sort();
    let mut listed: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
    listed.sort_unstable();
    assert_eq!(present, listed);
    for (name, text) in FILES {
        let format = Format::read(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(format.name, *name);
        assert!(!format.samples.is_empty(), "{name} has no sample");
        assert!(format.expressions.is_empty(), "{name}: expressions are for formats of one's own");
    }
}

#[test]
fn samples_become_what_their_file_says() {
    let wrong: Vec<String> = registry().formats.iter().flat_map(samples::differing).collect();
    assert!(wrong.is_empty(), "{} samples:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn lines_are_written_again() {
    for sample in registry().formats.iter().flat_map(|format| &format.samples) {
        let batch = parser().parse(raw(&[sample.line.as_bytes()]));
        if let Some(rendered) = batch.render(0) {
            assert_eq!(String::from_utf8(rendered.unwrap()).unwrap(), sample.line);
        }
    }
}

/// In files of mixed lines, the format that most are in takes none of the others'.
#[test]
fn samples_stay_what_they_are_whatever_most_lines_are_in() {
    let records_of = |parser: &mut Parser, line: &str, format: Option<&'static str>| {
        parser.set_detection(Detection { format, day_first: false });
        parser.parse(raw(&[line.as_bytes()])).records().to_vec()
    };
    let mut parser = parser();
    let formats = &registry().formats;
    let mut taken = Vec::new();
    for (other, sample) in
        formats.iter().flat_map(|format| format.samples.iter().map(move |one| (format, one)))
    {
        let alone = records_of(&mut parser, &sample.line, None);
        for preferred in
            formats.iter().filter(|one| one.name != other.name && super::preferred(&one.name).is_some())
        {
            if records_of(&mut parser, &sample.line, Some(&preferred.name)) != alone {
                taken.push(format!("{} takes from {}: {}", preferred.name, other.name, sample.line));
            }
        }
    }
    assert!(taken.is_empty(), "{} lines:\n{}", taken.len(), taken.join("\n"));
}
