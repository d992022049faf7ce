//! What the machine is doing, for Resolvix' clients: a sample when they ask, and a WebSocket of their own with a sample each
//! interval, which the control API opens and closes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Utf8Bytes, WebSocketUpgrade, close_code};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use serde_json::{Value, json};
use taffrail_http::websocket::{self, Seats, Told};
use taffrail_record::Timestamp;
use taffrail_telemetry::{Machine, Sampler, envelope};
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, interval_at};

use crate::door::{self, Door, OpenError};
use taffrail_forward::line;

/// Samples that a client may lag by.
const BUFFER: usize = 16;
/// Answers that wait for a client; who asks for more without reading gets none.
const ANSWERS: usize = 4;
/// Clients at a time; more are turned away.
const CLIENTS_MAX: usize = 128;
/// The time that rates are over where somebody wants a sample now.
const OVER: Duration = Duration::from_secs(1);

/// Where and what is shown.
#[derive(Clone, Debug)]
pub struct TelemetryConfig {
    /// Where it listens while it is open.
    pub address: SocketAddr,
    /// The machine's name for clients.
    pub node: String,
    /// How often a sample is sent.
    pub interval: Duration,
    /// The machine.
    pub machine: Arc<Machine>,
}

/// The samples of a machine, for its clients.
#[derive(Clone)]
pub struct Telemetry {
    config: Arc<TelemetryConfig>,
    clock: fn() -> Timestamp,
    door: Arc<Door<broadcast::Sender<Utf8Bytes>>>,
    seats: Seats,
}

impl Telemetry {
    /// Closed.
    pub fn new(config: TelemetryConfig, clock: fn() -> Timestamp) -> Self {
        Self { config: Arc::new(config), clock, door: Arc::default(), seats: Seats::new(CLIENTS_MAX) }
    }

    /// Where and what is shown.
    pub fn config(&self) -> &TelemetryConfig {
        &self.config
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.door.is_open()
    }

    /// A sample of now, as JSON; takes a second, over which its rates are.
    pub async fn sample(&self) -> String {
        let config = Arc::clone(&self.config);
        let sample = move || envelope(&Sampler::sample_over(&config.machine, OVER), &config.node);
        tokio::task::spawn_blocking(sample).await.unwrap_or_default()
    }

    /// Listens. Must be called inside of a runtime.
    ///
    /// # Errors
    /// If it is open, or somebody else has its address.
    pub fn open(&self) -> Result<(), OpenError> {
        let samples = broadcast::channel(BUFFER).0;
        self.door.open(self.config.address, samples.clone(), |listener| {
            tokio::spawn(serve(listener, self.clone(), samples.downgrade()))
        })
    }

    /// Says good-bye to all clients and frees the address; false if it was not open.
    pub async fn close(&self) -> bool {
        self.door.close().await
    }

    fn now(&self) -> String {
        line::timestamp("", (self.clock)(), 0)
    }

    fn greeting(&self) -> String {
        let TelemetryConfig { node, interval, .. } = &*self.config;
        json!({"type": "connection", "status": "connected", "node_id": node, "interval": interval.as_secs(),
               "timestamp": self.now()})
        .to_string()
    }
}

async fn serve(listener: TcpListener, telemetry: Telemetry, samples: broadcast::WeakSender<Utf8Bytes>) {
    let router = Router::new().fallback(upgrade).with_state(telemetry.clone());
    tokio::join!(door::serve(listener, router, CLIENTS_MAX), sample(telemetry, samples));
}

/// Takes a sample each interval while somebody watches.
async fn sample(telemetry: Telemetry, samples: broadcast::WeakSender<Utf8Bytes>) {
    let TelemetryConfig { interval, machine, node, .. } = &*telemetry.config;
    let mut ticks = interval_at(Instant::now() + *interval, *interval);
    let mut sampler = None;
    loop {
        ticks.tick().await;
        let Some(samples) = samples.upgrade() else { return };
        if samples.receiver_count() == 0 {
            sampler = None;
            continue;
        }
        let (machine, node, before) = (Arc::clone(machine), node.clone(), sampler.take());
        let job = tokio::task::spawn_blocking(move || match before {
            Some(mut sampler) => {
                let sample = Sampler::sample(&mut sampler);
                (envelope(&sample, &node), sampler)
            }
            None => {
                let mut sampler = Sampler::new(machine);
                std::thread::sleep(OVER);
                (envelope(&sampler.sample(), &node), sampler)
            }
        });
        let Ok((text, after)) = job.await else { return };
        sampler = Some(after);
        // Whoever watched may have gone.
        let _ = samples.send(text.into());
        // The first takes a second itself.
        ticks.reset();
    }
}

/// What a client may ask for.
enum Asked {
    Sample,
    Pong,
}

async fn upgrade(State(telemetry): State<Telemetry>, upgrade: WebSocketUpgrade) -> Response {
    let samples = telemetry.door.look(broadcast::Sender::subscribe);
    let (Some(samples), Some(seat)) = (samples, telemetry.seats.take()) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "no telemetry, or too many who watch").into_response();
    };
    websocket::bounded(upgrade).on_upgrade(|socket| async move {
        let _seat = seat;
        let (asked, asking) = mpsc::channel(ANSWERS);
        let heard = |text: &str| {
            let command = serde_json::from_str::<Value>(text).unwrap_or_default();
            let wanted = match command.get("command").and_then(Value::as_str) {
                Some("get_metrics") => Asked::Sample,
                Some("ping") => Asked::Pong,
                _ => return,
            };
            // One that does not read what it asked for gets no more.
            let _ = asked.try_send(wanted);
        };
        let told = stream::unfold((telemetry, samples, asking, true), next);
        let ended = websocket::converse(socket, told, heard).await;
        tracing::debug!(?ended, "a client of telemetry has gone");
    })
}

type Client = (Telemetry, broadcast::Receiver<Utf8Bytes>, mpsc::Receiver<Asked>, bool);

async fn next((telemetry, mut samples, mut asking, is_new): Client) -> Option<(Told, Client)> {
    let frame = loop {
        if is_new {
            break telemetry.greeting().into();
        }
        tokio::select! {
            sample = samples.recv() => match sample {
                Ok(sample) => break sample,
                // Old samples are nothing to be missed.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => {
                    let close = CloseFrame { code: close_code::AWAY, reason: "stopped".into() };
                    return Some((Told::GoodBye(close), (telemetry, samples, asking, false)));
                }
            },
            Some(asked) = asking.recv() => break match asked {
                Asked::Sample => telemetry.sample().await.into(),
                Asked::Pong => json!({"type": "pong", "timestamp": telemetry.now()}).to_string().into(),
            },
        }
    };
    Some((Told::Frames(vec![frame]), (telemetry, samples, asking, false)))
}
