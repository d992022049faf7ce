//! Connections over HTTP: accepted, bounded, stopped in order; WebSockets; what is told to many.
//!
//! Owns: what all listeners of both programs have in common. Depends on: tokio, hyper, axum's types. Never: knows what is
//! asked or answered. Start reading at [`listener::accept_all`].

pub mod connection;
pub mod listener;
pub mod websocket;
pub mod window;
