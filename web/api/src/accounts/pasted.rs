//! `POST /api/accounts/parse`: what vnpy keeps for its gateways, or an account's document, read for a form. Nothing is written.

use axum::Json;
use axum::http::StatusCode;
use mdhub_spec::account::document::AccountDocument;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::problem::{Problem, ProblemDetails};

/// Keys that are understood.
const KNOWN: [&str; 9] =
    ["user_id", "password", "broker_id", "md_address", "library", "用户名", "密码", "经纪商代码", "行情服务器"];

/// Keys that are about trading, and so read over.
pub(super) const TRADING: [&str; 15] = [
    "td_address",
    "app_id",
    "auth_code",
    "product_info",
    "交易服务器",
    "产品名称",
    "产品信息",
    "授权编码",
    "柜台环境",
    "userid",
    "brokerid",
    "auth_server",
    "appid",
    "authcode",
    "product_name",
];

/// What a pasted text describes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pasted {
    /// What it says of an account.
    account: PastedAccount,
    /// Keys that nobody knows.
    unknown_keys: Vec<String>,
}

/// An account as far as a text describes it, without its password.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PastedAccount {
    /// Where the text has one.
    id: Option<String>,
    /// `ctp` or `sopt`, where it can be told.
    gateway: Option<&'static str>,
    /// For the form.
    settings: PastedSettings,
    /// Whether there is a password in it. It stays here.
    has_password: bool,
}

/// Settings as far as a text describes them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PastedSettings {
    user_id: String,
    broker_id: String,
    md_address: Vec<String>,
    library: Option<String>,
}

/// The account that a pasted text describes: what vnpy keeps for a gateway, or an account's document. Nothing is written.
#[utoipa::path(post, path = "/api/accounts/parse", tag = "accounts", request_body(content = String, content_type = "application/json"),
    responses(
    (status = 200, body = Pasted),
    (status = 422, body = ProblemDetails, content_type = "application/problem+json", description = "it describes no account"),
))]
pub(crate) async fn parse(text: String) -> Result<Json<Pasted>, Problem> {
    let document = AccountDocument::parse(&text)
        .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    let named = ["gateway_class", "gateway_name"].iter().filter_map(|key| value["gateway"][key].as_str());
    let gateway = document.gateway.map(|kind| kind.as_str()).or_else(|| named.filter_map(kind).next());
    let settings = PastedSettings {
        user_id: document.user_id,
        broker_id: document.broker_id,
        md_address: document.md_address.into_iter().map(String::from).collect(),
        library: document.library.or(gateway.map(str::to_owned)),
    };
    let (id, has_password) = (document.id.map(String::from), !document.password.is_empty());
    let account = PastedAccount { id, gateway, settings, has_password };
    Ok(Json(Pasted { account, unknown_keys: unknown(&value) }))
}

/// The kind that a name of vnpy's speaks of.
pub(super) fn kind(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    // Neither is part of the other.
    ["sopt", "ctp"].into_iter().find(|kind| name.contains(kind))
}

fn unknown(value: &Value) -> Vec<String> {
    let nothing = Map::new();
    let inner = ["settings", "connect_setting"].iter().find_map(|key| value[key].as_object());
    let keys = inner.or_else(|| value.as_object()).unwrap_or(&nothing).keys();
    keys.filter(|key| !KNOWN.iter().chain(&TRADING).any(|known| known == key)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn vnpys_forms_are_read_unknown_keys_are_named_and_the_password_stays_here() {
        let bare =
            r#"{"用户名":"1","密码":"hunter2","经纪商代码":"9999","交易服务器":"x","行情服务器":"a:1","颜色":"red"}"#;
        let wrapped = format!(r#"{{"connect_setting": {bare}, "gateway": {{"gateway_class": "SoptGateway"}}}}"#);
        for (text, gateway) in [(bare, Value::Null), (&wrapped, "sopt".into())] {
            let Json(read) = parse(text.to_owned()).await.expect("understood");
            let read = json!(read);
            assert_eq!(read["unknown_keys"], json!(["颜色"]));
            assert_eq!(read["account"]["gateway"], gateway);
            assert_eq!(read["account"]["settings"]["md_address"], json!(["tcp://a:1"]));
            assert_eq!(read["account"]["has_password"], true);
            assert!(!read.to_string().contains("hunter2"), "{read}");
        }
        assert!(parse("{\"密码\": \"hunter2\"".into()).await.is_err_and(|e| !format!("{e:?}").contains("hunter2")));
    }
}
