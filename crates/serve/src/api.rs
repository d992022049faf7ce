//! The native API below `/api/v1`: one file an endpoint, each with the types of its answer.
//!
//! The types serialise and deserialise: the command line reads the same answers that the server writes.

pub(crate) mod agent;
pub(crate) mod context;
pub(crate) mod export;
pub(crate) mod facets;
pub(crate) mod health;
pub(crate) mod histogram;
pub(crate) mod nodes;
pub(crate) mod openapi;
pub(crate) mod parameters;
pub(crate) mod push;
mod record;
mod sampling;
pub(crate) mod search;
pub(crate) mod sources;
pub(crate) mod sql;
pub(crate) mod stats;
pub(crate) mod tail;
pub(crate) mod tail_socket;
pub(crate) mod telemetry;
mod time;

pub use crate::error::{ErrorAnswer, ErrorBody};
pub(crate) use agent::Sender;
pub use agent::{AgentAnswer, EntriesAnswer};
pub use context::ContextAnswer;
pub use facets::{FacetAnswer, FacetsAnswer, ValueCount};
pub use health::{HealthAnswer, Problem};
pub use histogram::HistogramAnswer;
pub use nodes::{NodeAnswer, NodesAnswer};
pub use push::PushAnswer;
pub use record::Record;
pub use sampling::SampledNotice;
pub use search::SearchAnswer;
pub use sources::{
    FileIdentity, GapAnswer, GapReasonSum, GapsAnswer, SOURCES_LIMIT_MAX, SeenFormat, Source, SourceGaps,
    SourcesAnswer, is_named,
};
pub use sql::cell::sql_value;
pub use sql::{SqlAnswer, SqlColumn};
pub use stats::{DiskAnswer, StatsAnswer};
pub use tail::GapNotice;
pub use telemetry::{TelemetryAnswer, TelemetrySeries};
pub(crate) use time::{calendar_ns, iso};
pub use time::{parse_duration, parse_time, rfc3339};
