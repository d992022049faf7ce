//! The container runtime interface's files: `2016-10-06T00:17:09.669794202Z stdout F message`.

use taffrail_record::AttributeKind;

use crate::class::find;
use crate::clock::Stamp;
use crate::draft::{Draft, Known};

pub(super) fn parse(line: &[u8], stamp: &Stamp, draft: &mut Draft) -> bool {
    let stream = stamp.end() + 1;
    let rest = line.get(stream - 1..).unwrap_or_default();
    if !(rest.starts_with(b" stdout ") || rest.starts_with(b" stderr ")) || !stamp.is_rfc3339() {
        return false;
    }
    let tag = stream + 7;
    let tag_end = find(line, tag, b' ').unwrap_or(line.len());
    // `F` and `P` are the only tags so far; further ones would follow after a colon.
    if !matches!(line.get(tag), Some(b'F' | b'P')) || !(tag_end == tag + 1 || line[tag + 1] == b':') {
        return false;
    }
    draft.cut_time(line, 0, stamp);
    draft.cut_known(line, stream, stream + 6, Known::Stream);
    draft.attribute(Known::Stream, AttributeKind::Text, stream, stream + 6);
    draft.cut_known(line, tag, tag_end, Known::Logtag);
    draft.attribute(Known::Logtag, AttributeKind::Text, tag, tag_end);
    draft.cut_body(line, (tag_end + 1).min(line.len()));
    true
}

#[cfg(test)]
mod tests {
    use crate::formats::tests::check;

    #[test]
    fn samples() {
        check(
            "2016-10-06T00:17:09.669794202Z stdout F hello world",
            "2016-10-06T00:17:09.669794202Z INFO | hello world | stream=stdout logtag=F",
            "{ts:iso-T.9Z} {.stream} {.logtag} {body}",
        );
        check(
            "2016-10-06T00:17:10.113242941+02:00 stderr P ERROR partial ",
            "2016-10-05T22:17:10.113242941Z ERROR | ERROR partial  | stream=stderr logtag=P",
            "{ts:iso-T.9+02:00} {.stream} {.logtag} {body}",
        );
        check(
            "2016-10-06T00:17:09Z stdout F",
            "2016-10-06T00:17:09.000000000Z INFO |  | stream=stdout logtag=F",
            "{ts:iso-T.0Z} {.stream} {.logtag}{body}",
        );
        check(
            "2016-10-06T00:17:09Z stdout Full disk",
            "2016-10-06T00:17:09.000000000Z INFO | stdout Full disk",
            "{ts:iso-T.0Z} {body}",
        );
    }
}
