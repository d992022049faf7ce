//! The engine: a store's snapshots answered by search, counts and SQL.

use std::ops::ControlFlow;
use std::sync::Arc;

use taffrail_search::{ScanMatcher, grammar, store_error};
use taffrail_store::engine::{
    Arrivals, ArrivalsRequest, Context, ContextRequest, Control, DiskStatus, Engine, Facet, FacetRequest,
    GAPS_NEWEST, Gaps, Histogram, HistogramRequest, Matcher, QueryError, SearchPage, SearchRequest, SqlSink,
    Stats,
};
use taffrail_store::filter::Filter;
use taffrail_store::{Snapshot, Store};

use crate::sql;

/// Answers questions about a store.
pub struct StoreEngine {
    store: Arc<Store>,
    runtime: tokio::runtime::Runtime,
    sql_memory_bytes: usize,
}

impl StoreEngine {
    /// `sql_memory_bytes` bounds what one statement may hold; 256 MiB is a good value.
    pub fn new(store: Arc<Store>, sql_memory_bytes: usize) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().thread_name("sql").build()?;
        Ok(Self { store, runtime, sql_memory_bytes })
    }

    fn snapshot(&self) -> Result<Snapshot, QueryError> {
        self.store.snapshot().map_err(store_error)
    }
}

impl Engine for StoreEngine {
    fn parse(&self, expression: &str) -> Result<Filter, QueryError> {
        let filter = grammar::parse(expression)?;
        // A filter that does not compile is better refused here, with the expression in sight.
        ScanMatcher::new(&filter)?;
        Ok(filter)
    }

    fn search(&self, request: &SearchRequest, control: &Control) -> Result<SearchPage, QueryError> {
        taffrail_search::search(&self.snapshot()?, request, control)
    }

    fn arrivals(&self, request: &ArrivalsRequest<'_>, control: &Control) -> Result<Arrivals, QueryError> {
        taffrail_search::arrivals(&self.snapshot()?, request, control)
    }

    fn histogram(&self, request: &HistogramRequest, control: &Control) -> Result<Histogram, QueryError> {
        taffrail_search::histogram(&self.snapshot()?, request, control)
    }

    fn facets(&self, request: &FacetRequest, control: &Control) -> Result<Vec<Facet>, QueryError> {
        taffrail_search::facets(&self.snapshot()?, request, control)
    }

    fn context(&self, request: &ContextRequest, control: &Control) -> Result<Context, QueryError> {
        taffrail_search::context(&self.snapshot()?, request, control)
    }

    fn export_raw(
        &self,
        source: &str,
        control: &Control,
        sink: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<bool, QueryError> {
        taffrail_search::export(&self.snapshot()?, source, control, sink)
    }

    fn sql(&self, statement: &str, control: &Control, sink: &mut dyn SqlSink) -> Result<(), QueryError> {
        let gaps = self.store.gaps().map_err(store_error)?;
        let history = Arc::clone(self.store.history());
        let tables = sql::Tables { snapshot: self.snapshot()?, gaps, history };
        self.runtime.block_on(sql::run(tables, self.sql_memory_bytes, statement, control, sink))
    }

    fn matcher(&self, filter: &Filter) -> Result<Box<dyn Matcher>, QueryError> {
        Ok(Box::new(ScanMatcher::new(filter)?))
    }

    fn stats(&self) -> Result<Stats, QueryError> {
        self.store.stats().map_err(store_error)
    }

    fn gaps(&self) -> Result<Gaps, QueryError> {
        self.store.gap_sums(GAPS_NEWEST).map_err(store_error)
    }

    fn disk(&self) -> DiskStatus {
        self.store.disk_status()
    }
}

#[cfg(test)]
mod tests;
