//! The API's document, made from the handlers themselves, and Swagger UI to read it with.

use std::sync::{Arc, LazyLock};

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, Ref};
use utoipa::{Modify, OpenApi};
use utoipa_swagger_ui::Config;

use crate::accounts::{self, draft, pasted, trial};
use crate::problem::Problem;
use crate::{Sources, canaries, contracts, events, feed, gateways, health, logs, metrics, session};

/// Swagger UI sets styles by itself, and its icons are in its style sheet.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'; object-src 'none'";

/// The document.
#[derive(OpenApi)]
#[openapi(
    info(title = "mdhub", description = "Desired state, what it has come to, and the ticks of late. `GET /ws`: docs/live.md."),
    paths(
        health::health, health::ready, metrics::metrics,
        session::begin, session::show, session::end,
        accounts::list, accounts::create, accounts::one, accounts::change, accounts::remove,
        accounts::start, accounts::stop, accounts::restart, accounts::confirm_empty, pasted::parse, trial::validate,
        gateways::list, gateways::one,
        events::list, logs::list,
        canaries::list, contracts::list, feed::subscribers, feed::quarantine, feed::ticks,
    ),
    components(schemas(draft::Draft, draft::Change)),
    modifiers(&Everywhere),
    security(("session" = []), ("basic" = []))
)]
struct Document;

/// Errors that any operation under `/api` may answer with.
const ANYWHERE: [(&str, &str); 9] = [
    ("400", "the request is malformed"),
    ("401", "whoever asks is not known: log in, or send name and password"),
    ("403", "the request comes from a page of another site"),
    ("405", "the path does not know the method"),
    ("408", "the body did not come in time"),
    ("413", "the body is too long"),
    ("415", "the body is no JSON document"),
    ("421", "the request is for another host: see http.allowed_hosts"),
    ("429", "too many passwords are being checked"),
];

/// What holds of every operation.
struct Everywhere;

impl Modify for Everywhere {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(session::COOKIE)));
        let http = |scheme| SecurityScheme::Http(HttpBuilder::new().scheme(scheme).build());
        components.add_security_scheme("session", cookie);
        components.add_security_scheme("basic", http(HttpAuthScheme::Basic));
        components.add_security_scheme("token", http(HttpAuthScheme::Bearer));
        for (path, item) in &mut document.paths.paths {
            let operations = [
                ("get", &mut item.get),
                ("put", &mut item.put),
                ("post", &mut item.post),
                ("delete", &mut item.delete),
            ];
            for (method, operation) in operations {
                let Some(operation) = operation else { continue };
                // The names of handlers repeat; those of operations must not.
                let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
                operation.operation_id = Some(words.fold(method.to_owned(), |id, word| id + "_" + word));
                if !path.starts_with("/api") {
                    continue;
                }
                for (code, words) in ANYWHERE {
                    let problem = Content::new(Some(Ref::from_schema_name("ProblemDetails")));
                    let answer = ResponseBuilder::new().description(words).content("application/problem+json", problem);
                    operation.responses.responses.entry(code.into()).or_insert_with(|| answer.build().into());
                }
            }
        }
    }
}

static DOCUMENT: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(Document::openapi);

/// Open to everybody: it says what there is, and nothing of what is in it.
pub(crate) fn routes() -> Router<Sources> {
    Router::new()
        .route("/api/openapi.json", get(async || Json(&*DOCUMENT)))
        .route("/docs", get(async || Redirect::permanent("/docs/")))
        .route("/docs/", get(async || asset("")))
        .route("/docs/{file}", get(async |Path(file): Path<String>| asset(&file)))
}

/// A file of Swagger UI.
fn asset(file: &str) -> Response {
    static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| Arc::new(Config::from("/api/openapi.json")));
    let nothing = || Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path").into_response();
    let Ok(Some(found)) = utoipa_swagger_ui::serve(file, Arc::clone(&CONFIG)) else { return nothing() };
    let mut headers = HeaderMap::from_iter([(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))]);
    if let Ok(kind) = HeaderValue::from_str(&found.content_type) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    (headers, found.bytes.into_owned()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The dashboard's types are made from this file. `UPDATE_EXPECT=1` writes it anew.
    #[test]
    fn the_document_is_the_one_that_is_kept_beside_the_code() {
        let document = serde_json::to_string_pretty(&*DOCUMENT).expect("JSON") + "\n";
        expect_test::expect_file!["../openapi.json"].assert_eq(&document);
    }

    #[test]
    fn every_operation_has_words_and_says_what_an_error_looks_like() {
        let document = serde_json::to_value(&*DOCUMENT).expect("JSON");
        let paths = document["paths"].as_object().expect("paths");
        assert_eq!(paths.len(), 21, "a path is missing: {:?}", paths.keys());
        let mut ids = std::collections::HashSet::new();
        let problem = serde_json::json!({"$ref": "#/components/schemas/ProblemDetails"});
        for (path, operations) in paths {
            for (method, operation) in operations.as_object().expect("operations") {
                let id = operation["operationId"].as_str().expect("an id").to_owned();
                assert!(ids.insert(id), "{method} {path} has the id of another");
                let words = operation["summary"].as_str().unwrap_or_default();
                assert!(words.len() > 5, "{method} {path} has no words");
                for (code, answer) in operation["responses"].as_object().expect("answers") {
                    let is_error = code.starts_with('4') || (code == "503" && path.starts_with("/api"));
                    let schema = &answer["content"]["application/problem+json"]["schema"];
                    assert!(!is_error || *schema == problem, "{method} {path} {code}: {schema}");
                }
            }
        }
        let text = document.to_string();
        for part in ["\"basic\"", "\"session\"", "\"token\"", "wait_generation", "writeOnly"] {
            assert!(text.contains(part), "{part}");
        }
    }
}
