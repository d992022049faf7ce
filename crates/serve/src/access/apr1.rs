//! Apache's MD5 of passwords, `$apr1$`: what `htpasswd` writes unless it is told otherwise.
//!
//! The form is that of `apr_md5_encode` in Apache's APR-util. It is a thousand rounds of MD5: better than nothing, and much worse
//! than bcrypt.

use aws_lc_rs::constant_time;
use md5::{Digest as _, Md5};

/// How such a hash begins.
pub(super) const START: &str = "$apr1$";
/// Bytes of the salt, at most, and characters of the hash after it.
const SALT_MAX: usize = 8;
const LENGTH: usize = 22;
const ROUNDS: usize = 1000;
/// Characters that stand for six bits each.
const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

type Sum = [u8; 16];

/// The salt of a hash; `None` if it is none.
pub(super) fn salt(hash: &str) -> Option<&str> {
    let (salt, digits) = hash.strip_prefix(START)?.split_once('$')?;
    let is_whole = digits.len() == LENGTH && digits.bytes().all(|digit| DIGITS.contains(&digit));
    (is_whole && (1..=SALT_MAX).contains(&salt.len())).then_some(salt)
}

/// Whether a password is the one of a hash.
pub(super) fn fits(password: &str, hash: &str) -> bool {
    let Some(salt) = salt(hash) else { return false };
    let own = format!("{START}{salt}${}", digits(&sum(password.as_bytes(), salt.as_bytes())));
    constant_time::verify_slices_are_equal(own.as_bytes(), hash.as_bytes()).is_ok()
}

fn md5(parts: &[&[u8]]) -> Sum {
    parts.iter().fold(Md5::new(), |sum, part| sum.chain_update(part)).finalize().into()
}

fn sum(password: &[u8], salt: &[u8]) -> Sum {
    let around = md5(&[password, salt, password]);
    let mut first: Vec<u8> = [password, START.as_bytes(), salt].concat();
    first.extend(around.iter().cycle().take(password.len()));
    // For each bit of the length a zero, or the first character.
    let mut length = password.len();
    while length > 0 {
        first.push(if length & 1 == 1 { 0 } else { password[0] });
        length >>= 1;
    }
    let mut sum = md5(&[&first]);
    for round in 0..ROUNDS {
        let is_odd = round % 2 == 1;
        let before = sum;
        let [begin, end]: [&[u8]; 2] = if is_odd { [password, &before] } else { [&before, password] };
        let salt = if round % 3 == 0 { &[] } else { salt };
        let again = if round % 7 == 0 { &[] } else { password };
        sum = md5(&[begin, salt, again, end]);
    }
    sum
}

/// The sum in its own order, six bits a character.
fn digits(sum: &Sum) -> String {
    let mut text = String::with_capacity(LENGTH);
    let mut put = |mut bits: u32, count: usize| {
        for _ in 0..count {
            text.push(char::from(DIGITS[(bits & 63) as usize]));
            bits >>= 6;
        }
    };
    for [high, middle, low] in [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]] {
        put(u32::from(sum[high]) << 16 | u32::from(sum[middle]) << 8 | u32::from(sum[low]), 4);
    }
    put(u32::from(sum[11]), 2);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_openssl() {
        for (password, salt) in [
            ("secret", "g00QC4k1"),
            ("", "x"),
            ("p\u{e4}ss:w\u{f6}rd that is long", "ab./YZ9"),
            ("a", "12345678"),
        ] {
            let args = ["passwd", "-apr1", "-salt", salt, password];
            let made = std::process::Command::new("openssl").args(args).output().expect("openssl is there");
            let hash = String::from_utf8(made.stdout).unwrap();
            let hash = hash.trim();
            assert_eq!(super::salt(hash), Some(salt), "{hash}");
            assert!(fits(password, hash), "{hash}");
            assert!(!fits("other", hash) && !fits(&format!("{password}x"), hash));
        }
        for none in [
            "$apr1$",
            "$apr1$abc",
            "$apr1$$wgKGFFdCpYQLMOLQidJ0G.",
            "$apr1$g00QC4k1$short",
            "$apr1$g00QC4k1$wgKGFFdCpYQLMOLQidJ0G!",
        ] {
            assert!(super::salt(none).is_none() && !fits("secret", none), "{none}");
        }
    }
}
