//! HTTP: the native API, the compatible one, the live stream and the embedded page.
//!
//! Owns: routes, bounds, answers, the hub of live streams. Depends on: record, store (the trait `Engine`),
//! axum. Never: knows DataFusion or how a line is parsed; blocks a runtime thread.
//! Start reading at [`router`](mod@router) for the routes and [`services`] for what they stand on.

pub mod access;
pub mod api;
pub mod audit;
mod body;
mod error;
mod hosts;
mod leveredge;
mod limits;
mod live;
mod metrics;
mod mistake;
mod nodes;
mod resolvix;
pub mod router;
mod run;
mod server;
pub mod services;
pub mod streams;
#[cfg(test)]
mod tests;
pub mod tls;
mod ui;
mod watched;

pub use hosts::Hosts;
pub use limits::Limits;
pub use live::LiveHub;
pub use mistake::Mistake;
pub use router::router;
pub use server::{Server, bind};
pub use services::{Delivery, Health, Info, Ingest, IngestError, Machines, Push, Receipt, Services, Sources};
pub use taffrail_http::listener::Error;
pub use taffrail_http::window::Totals;
