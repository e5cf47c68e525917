//! The dashboard's files: read once at the start, so that no request ever touches the disk.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use crate::Sources;
use crate::problem::Problem;

mod inline;

/// Most files of a dashboard.
const FILES_MAX: usize = 4_096;
/// Most bytes of all of them.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Deepest folder.
const DEPTH_MAX: usize = 8;

/// Files whose name changes with what is in them are under this path.
const NAMED_BY_CONTENT: &str = "/_next/static/";

/// What a page that is not built is told; it needs nothing but itself.
const NOT_BUILT: &str = "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>mdhub</title>\n\
    <h1>The dashboard is not here</h1>\n<p>The hub runs. Its pages were not built, or it was not told where they are: \
    <code>make dashboard</code> builds them, and <code>http.dashboard</code> in the settings, or the demo's <code>--dashboard</code>, says where.</p>\n\
    <p>Meanwhile: <a href=\"/docs/\">the API</a>, <a href=\"/health\">health</a>.</p></html>\n";

/// The dashboard, as it was at the start.
#[derive(Debug, Default)]
pub struct Pages {
    files: HashMap<String, File>,
}

#[derive(Debug)]
struct File {
    bytes: Bytes,
    kind: &'static str,
    tag: HeaderValue,
    /// Of a page: which of its inline scripts may run.
    policy: Option<HeaderValue>,
}

impl Pages {
    /// Reads all files under `directory`. Links are left out.
    ///
    /// # Errors
    /// When a file cannot be read, there is no page, or there is more than a dashboard has.
    pub fn read(directory: &Path) -> io::Result<Self> {
        let mut pages = Self::default();
        let mut left = BYTES_MAX;
        pages.add(directory, "", 0, &mut left)?;
        if !pages.files.contains_key("/index.html") {
            return Err(io::Error::other("there is no index.html in it"));
        }
        Ok(pages)
    }

    /// How many files there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    fn add(&mut self, directory: &Path, under: &str, depth: usize, left: &mut u64) -> io::Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            // What is no UTF-8 is no name of a dashboard's file.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let (path, kind) = (format!("{under}/{name}"), entry.file_type()?);
            if kind.is_dir() && depth < DEPTH_MAX {
                self.add(&entry.path(), &path, depth + 1, left)?;
            } else if kind.is_file() {
                let size = entry.metadata()?.len();
                if size > *left || self.files.len() == FILES_MAX {
                    return Err(io::Error::other(format!("more than {FILES_MAX} files or {BYTES_MAX} bytes")));
                }
                *left -= size;
                self.files.insert(path, File::new(&name, std::fs::read(entry.path())?));
            }
        }
        Ok(())
    }

    /// The file behind a path: itself, or the page of that name.
    fn find(&self, path: &str) -> Option<&File> {
        match path {
            "/" => self.files.get("/index.html"),
            _ => self.files.get(path).or_else(|| self.files.get(&format!("{path}.html"))),
        }
    }
}

impl File {
    fn new(name: &str, bytes: Vec<u8>) -> Self {
        let kind = kind(name);
        let digest = Sha256::digest(&bytes);
        let hex = digest.iter().take(16).fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        // Weak: what is sent may be compressed.
        let tag = HeaderValue::from_str(&format!("W/\"{hex}\"")).unwrap_or(HeaderValue::from_static("W/\"\""));
        let policy = kind.starts_with("text/html").then(|| policy(&String::from_utf8_lossy(&bytes))).flatten();
        Self { bytes: bytes.into(), kind, tag, policy }
    }

    fn answer(&self, status: StatusCode, path: &str, asked: &HeaderMap) -> Response {
        let lasting = if path.starts_with(NAMED_BY_CONTENT) && status == StatusCode::OK {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        let mut headers = HeaderMap::from_iter([
            (header::CONTENT_TYPE, HeaderValue::from_static(self.kind)),
            (header::CACHE_CONTROL, HeaderValue::from_static(lasting)),
            (header::ETAG, self.tag.clone()),
        ]);
        headers.extend(self.policy.clone().map(|policy| (header::CONTENT_SECURITY_POLICY, policy)));
        let tag = self.tag.as_bytes();
        let is_known = asked.get_all(header::IF_NONE_MATCH).iter().any(|known| {
            known.as_bytes().split(|byte| *byte == b',').any(|one| one.trim_ascii() == tag || one.trim_ascii() == b"*")
        });
        if is_known && status == StatusCode::OK {
            headers.remove(header::CONTENT_TYPE);
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (status, headers, Body::from(self.bytes.clone())).into_response()
    }
}

/// The type by the name's end: what a dashboard consists of.
fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, end)| end) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "ico" => "image/x-icon",
        "png" => "image/png",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

/// What a page may load and run: its own, and the inline scripts that it came with, each by its hash.
fn policy(page: &str) -> Option<HeaderValue> {
    let hashes = inline::scripts(page).map(|script| {
        let digest = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(script));
        format!(" 'sha256-{digest}'")
    });
    let scripts: String = hashes.collect();
    let policy = format!(
        "default-src 'none'; script-src 'self'{scripts}; style-src 'self'; img-src 'self' data:; font-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).ok()
}

/// Whether programs, not people, look under this path: they are told in problem details what is not there.
fn is_for_programs(path: &str) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    matches!(first, "api" | "health" | "ready" | "ws" | "metrics")
}

/// Whatever no other route knows: a page, one of its files, or nothing.
pub(crate) async fn answer(State(sources): State<Sources>, request: Request) -> Response {
    let path = request.uri().path();
    let pages: &Arc<Pages> = &sources.pages;
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let why = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "pages can be read only").into_response();
        return ([(header::ALLOW, "GET, HEAD")], why).into_response();
    }
    if let Some(file) = pages.find(path) {
        return file.answer(StatusCode::OK, path, request.headers());
    }
    if let Some(page) = path.strip_suffix('/').filter(|page| pages.find(page).is_some()) {
        let to = request.uri().query().map_or_else(|| page.to_owned(), |query| format!("{page}?{query}"));
        return Redirect::permanent(&to).into_response();
    }
    match pages.files.get("/404.html") {
        _ if path == "/" => {
            let html = HeaderValue::from_static("text/html; charset=utf-8");
            ([(header::CONTENT_TYPE, html), (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))], NOT_BUILT)
                .into_response()
        }
        Some(page) if !is_for_programs(path) => page.answer(StatusCode::NOT_FOUND, path, request.headers()),
        _ => Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path").into_response(),
    }
}
