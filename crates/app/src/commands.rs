//! The commands, one file each.

pub(crate) mod check;
pub(crate) mod collect;
mod columns;
pub(crate) mod config_docs;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod nodes;
mod output;
pub(crate) mod run;
pub(crate) mod search;
pub(crate) mod sources;
pub(crate) mod sql;
pub(crate) mod status;
pub(crate) mod tail;
