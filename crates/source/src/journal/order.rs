//! Puts the fields of an entry in a fixed order.
//!
//! `journalctl` writes the fields of each entry in a random order, of the same entry too, another one each time
//! that it is asked. In order, an entry has one raw line, and a million entries of a service share one layout.

use memchr::memchr2;

/// Where a member stands, and where its name ends.
type Member = (usize, usize, usize);

/// Scratch space, kept for its allocations.
#[derive(Default, Debug)]
pub(super) struct Order {
    members: Vec<Member>,
    sorted: Vec<u8>,
}

impl Order {
    /// Sorts the members of `line`, one JSON object, by name; a line that is anything else stays as it is.
    pub(super) fn sort(&mut self, line: &mut [u8]) {
        self.members.clear();
        if scan(line, &mut self.members).is_none()
            || self.members.is_sorted_by_key(|member| name(line, member))
        {
            return;
        }
        self.members.sort_by_key(|member| name(line, member));
        self.sorted.clear();
        for member in &self.members {
            self.sorted.push(if self.sorted.is_empty() { b'{' } else { b',' });
            self.sorted.extend_from_slice(&line[member.0..member.2]);
        }
        self.sorted.push(b'}');
        if self.sorted.len() == line.len() {
            line.copy_from_slice(&self.sorted);
        }
    }
}

fn name<'a>(line: &'a [u8], member: &Member) -> &'a [u8] {
    &line[member.0..member.1]
}

/// The members of `line`, which must be an object without blanks and without objects in it.
fn scan(line: &[u8], members: &mut Vec<Member>) -> Option<()> {
    let mut at = 0;
    loop {
        let open = if members.is_empty() { b'{' } else { b',' };
        (line.get(at) == Some(&open)).then_some(())?;
        let start = at + 1;
        let colon = string_end(line, start)?;
        (line.get(colon) == Some(&b':')).then_some(())?;
        at = value_end(line, colon + 1)?;
        members.push((start, colon, at));
        if line.get(at) == Some(&b'}') {
            return (at + 1 == line.len()).then_some(());
        }
    }
}

/// The end of the string that starts at `at`.
fn string_end(line: &[u8], at: usize) -> Option<usize> {
    (line.get(at) == Some(&b'"')).then_some(())?;
    let mut at = at + 1;
    loop {
        at += memchr2(b'"', b'\\', line.get(at..)?)?;
        if line[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The end of a string, a number, a word, or a list of these (lists of lists are binary values of repeated fields).
fn value_end(line: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0u32;
    loop {
        match line.get(at)? {
            b'"' => at = string_end(line, at)?,
            b'[' => {
                depth += 1;
                at += 1;
                continue;
            }
            b'0'..=b'9' | b'a'..=b'z' | b'-' | b'.' => at += 1,
            b',' if depth > 0 => at += 1,
            b']' if depth > 0 => {
                depth -= 1;
                at += 1;
            }
            _ => return None,
        }
        if depth == 0 && matches!(line.get(at), Some(b',' | b'}')) {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sorted(line: &str) -> String {
        let mut bytes = line.as_bytes().to_vec();
        Order::default().sort(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn members_come_in_the_order_of_their_names() {
        for (line, want) in [
            (r#"{"_PID":"1","MESSAGE":"a"}"#, r#"{"MESSAGE":"a","_PID":"1"}"#),
            (r#"{"B":"}\",{","A":[1,2,255],"C":null}"#, r#"{"A":[1,2,255],"B":"}\",{","C":null}"#),
            (r#"{"B":["x,]","y\\"],"A":[[1,2],"z",null]}"#, r#"{"A":[[1,2],"z",null],"B":["x,]","y\\"]}"#),
            (r#"{"B":1.5,"A":""}"#, r#"{"A":"","B":1.5}"#),
        ] {
            assert_eq!(sorted(line), want);
        }
    }

    #[test]
    fn what_is_no_plain_object_stays() {
        for line in [
            "",
            "{",
            "{}",
            "-- Boot --",
            r#"{"B":{"x":1},"A":1}"#,
            r#"{ "B" : "1", "A" : "2" }"#,
            r#"{"B":1,"A":2"#,
            r#"{"B":1,"A":2} "#,
            r#"{"B":"1,"A":2}"#,
            r#"{"B":[1,"A":2}"#,
            r#"{"B":,"A":2}"#,
        ] {
            assert_eq!(sorted(line), line);
        }
    }

    proptest! {
        #[test]
        fn no_byte_is_lost(line in r#"\{?("[AB]":("[a"\\]*"|\[[0-9,]*\]|1)[,}]){0,5}[{}",:\[\]]{0,3}"#) {
            let mut before = line.clone().into_bytes();
            let mut after = sorted(&line).into_bytes();
            prop_assert_eq!(sorted(&sorted(&line)), sorted(&line), "sorting is done once");
            before.sort_unstable();
            after.sort_unstable();
            prop_assert_eq!(before, after);
        }
    }
}
