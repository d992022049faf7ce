//! The routes, and what every request passes through on its way to one.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, LOCATION, ORIGIN, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use futures::FutureExt as _;

use crate::api::{
    agent, context, export, facets, health, histogram, nodes, openapi, push, search, sources, sql, stats,
    tail, tail_socket, telemetry,
};
use crate::error::ApiError;
use crate::leveredge::{self, Refusal};
use crate::metrics;
use crate::resolvix;
use crate::run::App;
use crate::services::Services;
use crate::ui;

/// Below this path errors have the native form, elsewhere the compatible one.
const NATIVE: &str = "/api/v1/";
/// What a page of ours may load: nothing from elsewhere, no script that stands in the page.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Everything that is served.
pub fn router(services: Services) -> Router {
    build(&Arc::new(App::new(services)))
}

pub(crate) fn build(app: &Arc<App>) -> Router {
    let mut router = Router::new();
    for (path, handlers) in routes() {
        router = router.route(path, handlers);
    }
    router
        .fallback(elsewhere)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(app), admit))
        .layer(middleware::from_fn(survive))
        .with_state(Arc::clone(app))
}

/// Every route. The OpenAPI documents list the same, a test sees to it.
pub(crate) fn routes() -> Vec<(&'static str, MethodRouter<Arc<App>>)> {
    vec![
        ("/api/v1/search", get(search::search)),
        ("/api/v1/histogram", get(histogram::histogram)),
        ("/api/v1/facets", get(facets::facets)),
        ("/api/v1/context", get(context::context)),
        ("/api/v1/sql", get(sql::get).post(sql::post)),
        ("/api/v1/tail", get(tail::tail)),
        ("/api/v1/tail/ws", get(tail_socket::tail_socket)),
        ("/api/v1/export/raw", get(export::export_raw)),
        ("/api/v1/sources", get(sources::sources)),
        ("/api/v1/stats", get(stats::stats)),
        ("/api/v1/health", get(health::health)),
        ("/api/v1/agent/entries", get(agent::here).post(agent::entries)),
        ("/api/v1/nodes", get(nodes::nodes)),
        ("/api/v1/telemetry", get(telemetry::telemetry)),
        ("/api/v1/telemetry/latest", get(telemetry::latest)),
        ("/api/v1/telemetry/live", get(telemetry::live)),
        ("/api/v1/telemetry/collect", post(telemetry::collect)),
        ("/api/v1/openapi.json", get(openapi::document)),
        ("/api/v1/logs", post(push::push)),
        ("/metrics", get(metrics::metrics)),
        ("/health", get(leveredge::stats::health)),
        ("/api/logs", get(leveredge::query::list).post(leveredge::ingest::ingest)),
        ("/api/logs/search", get(leveredge::query::search)),
        ("/api/logs/agent/{agent_name}", get(leveredge::query::of_agent)),
        ("/api/agents", get(leveredge::stats::agents)),
        ("/api/stats", get(leveredge::stats::stats)),
        ("/openapi.json", get(leveredge::document::openapi)),
        ("/docs", get(leveredge::document::page)),
        ("/redoc", get(leveredge::document::page)),
        ("/logs", post(resolvix::logs)),
        ("/telemetry", post(resolvix::telemetry)),
        ("/api/system_info", post(resolvix::system_info)),
        ("/", get(ui::index)),
    ]
}

/// Paths that are no route: the page's files, a route with a slash too many, nothing.
async fn elsewhere(method: Method, uri: Uri, headers: axum::http::HeaderMap) -> Response {
    let path = uri.path();
    if let Some(shorter) = path.strip_suffix('/')
        && routes().iter().any(|(route, _)| matches(route, shorter))
    {
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        return (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, format!("{shorter}{query}"))]).into_response();
    }
    if path.starts_with(NATIVE) {
        let message = format!("there is no {path}; {NATIVE}openapi.json lists what there is");
        return ApiError::not_found(message).into_response();
    }
    if matches!(method, Method::GET | Method::HEAD)
        && let Some(file) = ui::file(path.trim_start_matches('/'), &headers)
    {
        return file;
    }
    Refusal::text(StatusCode::NOT_FOUND, "Not Found").into_response()
}

/// Whether `path` is of the form of `route`.
fn matches(route: &str, path: &str) -> bool {
    match route.split_once('{') {
        Some((head, _)) => {
            path.strip_prefix(head).is_some_and(|rest| !rest.is_empty() && !rest.contains('/'))
        }
        None => route == path,
    }
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    if uri.path().starts_with(NATIVE) {
        let message =
            format!("{} does not take {method}; {NATIVE}openapi.json says what it takes", uri.path());
        return ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message).into_response();
    }
    Refusal::text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed").into_response()
}

/// Lets a request in: by its name for us, its origin and its length.
async fn admit(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let native = request.uri().path().starts_with(NATIVE);
    let Err(error) = check(&app, &request) else { return next.run(request).await };
    if native { error.into_response() } else { Refusal::from(error).into_response() }
}

fn check(app: &App, request: &Request) -> Result<(), ApiError> {
    let forbidden = |message: String| ApiError::new(StatusCode::FORBIDDEN, "forbidden", message);
    let text = |name: HeaderName| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    // Without a Host it is no browser, and so no page of someone else's.
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let host = authority.or(text(HOST));
    if let Some(host) = host.filter(|host| !app.services.hosts.allow(host)) {
        return Err(forbidden(format!(
            "this server does not answer to the name {host:?}; use 127.0.0.1 or localhost, \
             or add the name to allowed_hosts in the configuration"
        )));
    }
    let origin = text(ORIGIN).filter(|_| !matches!(*request.method(), Method::GET | Method::HEAD));
    if let Some(origin) =
        origin.filter(|origin| !app.services.hosts.allow_origin(origin, host.unwrap_or_default()))
    {
        return Err(forbidden(format!(
            "pages of {origin:?} may not send to this server; if they should, \
             add the name to allowed_hosts in the configuration"
        )));
    }
    let most = app.services.limits.query_bytes;
    if request.uri().query().is_some_and(|query| query.len() > most) {
        let message = format!("the query string is longer than {most} bytes; POST takes long SQL statements");
        return Err(ApiError::new(StatusCode::URI_TOO_LONG, "too_large", message));
    }
    Ok(())
}

/// Turns a panic of a handler into an answer, and tells browsers to take answers for what they say they are.
async fn survive(request: Request, next: Next) -> Response {
    let native = request.uri().path().starts_with(NATIVE);
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = answer.unwrap_or_else(|panic| {
        let cause = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let cause = cause.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        let error = ApiError::internal(&cause);
        if native { error.into_response() } else { Refusal::from(error).into_response() }
    });
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html")) {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    }
    response
}
