//! The page: its files are part of the program.

use std::fmt::Write as _;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

/// What stands in for the page where only the program was built.
const NOT_BUILT: &str =
    "<!doctype html><title>Taffrail</title><p>The UI was not built: run <code>make ui</code></p>";

#[derive(RustEmbed)]
#[folder = "../../ui/dist"]
struct Files;

/// `GET /`.
pub(crate) async fn index(headers: HeaderMap) -> Response {
    file("index.html", &headers).unwrap_or_else(|| axum::response::Html(NOT_BUILT).into_response())
}

/// A file of the page.
pub(crate) fn file(path: &str, request: &HeaderMap) -> Option<Response> {
    Files::get(path).map(|file| answer(path, file, request))
}

fn answer(path: &str, file: EmbeddedFile, request: &HeaderMap) -> Response {
    let mut tag = String::from("\"");
    for byte in file.metadata.sha256_hash().iter().take(12) {
        // Writing to a String cannot fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    // Names below assets/ change with their content.
    let cache = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let known = request.get(IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let headers =
        [(CONTENT_TYPE, content_type(path).to_owned()), (CACHE_CONTROL, cache.to_owned()), (ETAG, tag)];
    if known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, file.data).into_response()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "json" | "map" | "webmanifest" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(path: &str, request: &HeaderMap) -> Response {
        let data = b"<p>hi</p>".as_slice().into();
        let metadata = rust_embed::Metadata::__rust_embed_new([7; 32], None, None);
        answer(path, EmbeddedFile { data, metadata }, request)
    }

    #[test]
    fn hashed_files_are_kept_and_the_page_is_asked_for_again() {
        for (path, kind, cache) in [
            ("index.html", "text/html; charset=utf-8", "no-cache"),
            ("assets/index-D1.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
            ("assets/index-D1.css", "text/css; charset=utf-8", "public, max-age=31536000, immutable"),
            ("favicon.svg", "image/svg+xml", "no-cache"),
        ] {
            let response = page(path, &HeaderMap::new());
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()[CONTENT_TYPE], kind);
            assert_eq!(response.headers()[CACHE_CONTROL], cache);
            let mut again = HeaderMap::new();
            again.insert(IF_NONE_MATCH, response.headers()[ETAG].clone());
            assert_eq!(page(path, &again).status(), StatusCode::NOT_MODIFIED);
        }
    }
}
