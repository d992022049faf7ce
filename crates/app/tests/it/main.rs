//! The real program, started, fed, killed, damaged and asked: one module a promise.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]
#![allow(clippy::print_stdout, reason = "what is printed is shown when a test fails")]

mod agent;
mod control;
mod crash;
mod damage;
mod disk;
mod duckdb;
mod explain;
mod files;
mod formats;
mod import;
mod journal;
mod leveredge;
mod live;
mod logrotate;
mod logwisp;
mod multiline;
mod odd;
mod pipes;
mod program;
mod refuse;
mod search;
mod small_disk;
mod status;
mod streams;
mod telemetry;
