//! Who answers a question about a data directory: its daemon, or the store opened here.

use std::path::Path;
use std::sync::Arc;

use taffrail_store::engine::Engine;

use crate::client::Client;

/// Who answers.
pub(crate) enum Backend {
    /// The daemon that runs on the data directory.
    Daemon(Client),
    /// The store, opened read-only.
    Local(Arc<dyn Engine>),
}

/// Finds the daemon of `data_dir`, else opens the store.
pub(crate) fn open(data_dir: &Path) -> anyhow::Result<Backend> {
    match Client::find(data_dir)? {
        Some(client) => Ok(Backend::Daemon(client)),
        None => anyhow::bail!("{} cannot be read without its daemon yet", data_dir.display()),
    }
}
