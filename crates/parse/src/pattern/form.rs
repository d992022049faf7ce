//! What the holes of a pattern take: how far a value of each form goes, and what is one.

use super::{Form, Hole, MAC_LEN, Target, is_blank};
use crate::class;
use crate::quoted;

impl Hole {
    /// Start and end of a hole's value, and where the line goes on.
    pub(super) fn extent(&self, line: &[u8], start: usize) -> Option<(usize, usize, usize)> {
        let rest = &line[start..];
        let ends = |byte: &u8| is_blank(*byte) || self.stops.contains(byte);
        if self.absent && rest.first() == Some(&b'-') && rest.get(1).is_none_or(ends) {
            return Some((start, start + 1, start + 1));
        }
        let run = |inside: &dyn Fn(u8) -> bool| rest.iter().take_while(|byte| inside(**byte)).count();
        let len = match self.form {
            Form::Word => run(&|byte| !is_blank(byte) && !self.stops.contains(&byte)),
            Form::Text if self.until.is_empty() => rest.len(),
            Form::Text if self.to_end => rest.strip_suffix(self.until.as_slice())?.len(),
            Form::Text => memchr::memmem::find(rest, &self.until)?,
            Form::Int => {
                let sign = usize::from(rest.first() == Some(&b'-'));
                sign + rest[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count()
            }
            Form::Number => run(&|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-')),
            Form::Ip => match run(&|byte| byte.is_ascii_digit() || byte == b'.') {
                // What follows it is a port; a point that ends a sentence is none of its own.
                len if rest[..len].contains(&b'.') => len - usize::from(rest[..len].ends_with(b".")),
                _ => {
                    let len = run(&|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.' | b'%'));
                    match self.until.first() {
                        Some(b':') => memchr::memrchr(b':', &rest[..len]).unwrap_or(len),
                        _ => len,
                    }
                }
            },
            Form::Letter => run(&|byte| byte.is_ascii_alphabetic()).min(1),
            Form::Hex => run(&|byte| byte.is_ascii_hexdigit()),
            Form::Name => run(&is_named),
            Form::Class => memchr::memrchr(b'.', &rest[..run(&is_named)])?,
            Form::Dashed => run(&|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
            Form::Mac => MAC_LEN.min(run(&|byte| byte.is_ascii_hexdigit() || byte == b':')),
            Form::Choice => self.choices.iter().find(|choice| rest.starts_with(choice)).map_or(0, Vec::len),
            Form::Path => path_len(rest),
            Form::Quoted => {
                if rest.first() != Some(&b'"') {
                    return None;
                }
                let close = quoted::end(line, start + 1)?;
                return Some((start + 1, close, close + 1));
            }
        };
        let end = start + len.min(rest.len());
        let padding = match self.form {
            Form::Text if !matches!(self.target, Target::Body) => {
                rest[..end - start].iter().rev().take_while(|byte| is_blank(**byte)).count()
            }
            _ => 0,
        };
        Some((start, end - padding, end))
    }

    /// Whether a value is of this form.
    pub(super) fn accepts(&self, value: &[u8]) -> bool {
        match self.form {
            Form::Quoted => true,
            Form::Text => !value.is_empty() || matches!(self.target, Target::Body),
            Form::Int => {
                value.strip_prefix(b"-").unwrap_or(value).iter().all(u8::is_ascii_digit)
                    && value != b"-"
                    && !value.is_empty()
            }
            Form::Number => value.iter().any(u8::is_ascii_digit),
            Form::Ip => {
                value.contains(&b':')
                    || value.contains(&b'.')
                        && value.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
            }
            Form::Dashed => value.split(|byte| *byte == b'-').filter(|part| !part.is_empty()).count() > 2,
            Form::Mac => {
                let parts = || value.split(|byte| *byte == b':');
                parts().count() == 6 && parts().all(|part| part.len() == 2)
            }
            Form::Name | Form::Class => {
                value.first().is_some_and(|first| !first.is_ascii_digit() && *first != b'-')
            }
            Form::Word | Form::Hex | Form::Letter | Form::Choice => !value.is_empty(),
            Form::Path => value.contains(&b':'),
        }
    }
}

/// Bytes of `app::server` and the like, colons that follow it left out.
fn path_len(text: &[u8]) -> usize {
    let name = |at: usize| class::end_of(text, at, class::WORD);
    let mut end = name(0);
    while text[end..].starts_with(b"::") && name(end + 2) > end + 2 {
        end = name(end + 2);
    }
    end
}

const fn is_named(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'$' | b'/')
}
