//! Request bodies: bounded in bytes, time and memory, gzip and zstd undone under the same bound.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use axum::http::{HeaderMap, StatusCode};
use flate2::read::MultiGzDecoder;
use futures::StreamExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::ApiError;
use crate::limits::Limits;
use crate::run::App;

/// Bytes of a body that is too large which are read before the answer: most clients send all of it before
/// they look at the answer, and would report a broken connection instead of our words.
const DRAIN_MAX: usize = 256 << 20;
/// Bytes a second that a body must come with, once its first time is over; and the longest that one may take.
const RATE_LEAST: usize = 4 << 10;
const BODY_TIME_MAX: Duration = Duration::from_secs(600);

/// A body and the memory it was granted.
#[derive(Debug)]
pub(crate) struct ReadBody {
    pub(crate) bytes: Vec<u8>,
    /// Given back when the request is answered.
    _memory: OwnedSemaphorePermit,
}

/// How a body is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Packing {
    None,
    Gzip,
    Zstd,
}

/// Reads a body whole and undoes its `Content-Encoding`.
pub(crate) async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<ReadBody, ApiError> {
    let limits = &app.services.limits;
    let packing = packing(headers)?;
    let mut stream = body.into_data_stream();
    let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|bytes| bytes > limits.body_bytes) {
        drain(&mut stream, limits).await;
        return Err(too_large(limits));
    }
    let grant =
        if packing != Packing::None { limits.body_bytes } else { declared.unwrap_or(limits.body_bytes) };
    let memory = Arc::clone(&app.bodies).acquire_many_owned((grant / 1024 + 1) as u32);
    let Ok(Ok(memory)) = timeout(limits.body_time, memory).await else {
        return Err(ApiError::busy("too many bodies are being read; try again in a moment"));
    };
    let mut bytes = collect(&mut stream, declared.unwrap_or_default(), limits).await?;
    if packing != Packing::None {
        let most = limits.body_bytes;
        let job = tokio::task::spawn_blocking(move || unpack(packing, &bytes, most));
        let unpacked = job.await.map_err(|error| ApiError::internal(&error.to_string()))?;
        bytes = unpacked?.ok_or_else(|| too_large(limits))?;
    }
    Ok(ReadBody { bytes, _memory: memory })
}

fn packing(headers: &HeaderMap) -> Result<Packing, ApiError> {
    let Some(encoding) = headers.get(CONTENT_ENCODING) else { return Ok(Packing::None) };
    match encoding.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(Packing::None),
        "gzip" | "x-gzip" => Ok(Packing::Gzip),
        "zstd" => Ok(Packing::Zstd),
        other => {
            let message = format!("Content-Encoding {other:?} is not read; send gzip, zstd or none");
            Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid", message))
        }
    }
}

async fn collect(stream: &mut BodyDataStream, declared: usize, limits: &Limits) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::with_capacity(declared);
    let began = Instant::now();
    loop {
        // A slow line gets the time that it needs, as long as it is no slower than any line is.
        let more = limits.body_time + Duration::from_secs(1) * (bytes.len() / RATE_LEAST) as u32;
        let arrived = timeout_at(began + more.min(BODY_TIME_MAX), stream.next()).await;
        let Ok(chunk) = arrived else { return Err(too_slow(began.elapsed())) };
        let Some(chunk) = chunk else { return Ok(bytes) };
        let chunk = chunk.map_err(|error| ApiError::invalid(format!("the body broke off: {error}")))?;
        if bytes.len() + chunk.len() > limits.body_bytes {
            drop(bytes);
            drain(stream, limits).await;
            return Err(too_large(limits));
        }
        bytes.extend_from_slice(&chunk);
    }
}

fn too_slow(after: Duration) -> ApiError {
    let message = format!(
        "the body did not arrive within {} s; it must come with {} KiB a second",
        after.as_secs(),
        RATE_LEAST >> 10
    );
    ApiError::new(StatusCode::REQUEST_TIMEOUT, "timed_out", message)
}

async fn drain(stream: &mut BodyDataStream, limits: &Limits) {
    let discard = async {
        let mut left = DRAIN_MAX;
        while let Some(Ok(chunk)) = stream.next().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                break;
            }
        }
    };
    // However it ends, the answer is the same.
    let _ = timeout(limits.body_time, discard).await;
}

/// `None` if it unpacks to more than `most` bytes.
fn unpack(packing: Packing, packed: &[u8], most: usize) -> Result<Option<Vec<u8>>, ApiError> {
    let mut bytes = Vec::new();
    let most_read = most as u64 + 1;
    let read = match packing {
        Packing::Zstd => zstd::Decoder::with_buffer(packed)
            .and_then(|decoder| decoder.take(most_read).read_to_end(&mut bytes)),
        _ => MultiGzDecoder::new(packed).take(most_read).read_to_end(&mut bytes),
    };
    read.map_err(|error| {
        ApiError::invalid(format!("the body is not packed as its Content-Encoding says: {error}"))
    })?;
    Ok((bytes.len() <= most).then_some(bytes))
}

fn too_large(limits: &Limits) -> ApiError {
    let message = format!(
        "the body is larger than {} bytes (after gzip is undone); send it in parts",
        limits.body_bytes
    );
    ApiError::too_large(message)
}
