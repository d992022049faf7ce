//! Who answers a question about a data directory: its daemon, or the store opened here.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use taffrail_query::StoreEngine;
use taffrail_store::engine::Engine;
use taffrail_store::{Access, Limits, Recovered, Store};

use crate::client::Client;
use crate::config::Config;
use crate::pipeline::Parsers;

/// Memory of one SQL statement when the store is opened by a command.
const SQL_MEMORY_BYTES: usize = 1 << 30;

/// Who answers.
pub(crate) enum Backend {
    /// The daemon that runs on the data directory.
    Daemon(Client),
    /// The store, opened read-only.
    Local(Arc<dyn Engine>),
}

/// Finds the daemon of `data_dir`, else opens the store to ask it.
pub(crate) fn open(data_dir: &Path) -> anyhow::Result<Backend> {
    match find(data_dir)? {
        Data::Daemon(client) => Ok(Backend::Daemon(client)),
        Data::Store(store) => {
            Ok(Backend::Local(Arc::new(StoreEngine::new(Arc::new(*store), SQL_MEMORY_BYTES)?)))
        }
    }
}

/// Who has the data.
pub(crate) enum Data {
    /// The daemon that runs on it.
    Daemon(Client),
    /// Nobody: the store, opened read-only.
    Store(Box<Store>),
}

/// Finds the daemon of `data_dir`, else opens the store.
pub(crate) fn find(data_dir: &Path) -> anyhow::Result<Data> {
    if let Some(client) = Client::find(data_dir)? {
        return Ok(Data::Daemon(client));
    }
    let mut parsers = Parsers::new("");
    let (store, _) =
        Store::open(data_dir, Access::Read, Limits::default(), &mut |raw, note| parsers.replay(raw, note))?;
    Ok(Data::Store(Box::new(store)))
}

/// Opens the store of a config for the daemon.
pub(crate) fn open_to_write(config: &Config) -> anyhow::Result<(Store, Recovered)> {
    open_with(config, limits(config))
}

/// Opens the store of a config for an import, which ends when the disk is full and goes on when it is run again:
/// it needs no reserve.
pub(crate) fn open_to_import(config: &Config) -> anyhow::Result<(Store, Recovered)> {
    open_with(config, Limits { reserve_bytes: 0, ..limits(config) })
}

fn limits(config: &Config) -> Limits {
    Limits {
        memtable_bytes: config.memory.memtable_bytes as usize,
        max_age: Some(config.retention.max_age),
        max_bytes: Some(config.retention.max_size_bytes),
        ..Limits::default()
    }
}

fn open_with(config: &Config, limits: Limits) -> anyhow::Result<(Store, Recovered)> {
    let mut parsers = Parsers::new(&config.node);
    Store::open(&config.data_dir, Access::Write, limits, &mut |raw, note| parsers.replay(raw, note))
        .with_context(|| format!("open the data directory {}", config.data_dir.display()))
}
