//! An account in vnpy's words. They are turned into ours, so that `POST` and `PUT` take what `/parse` reads.
//!
//! vnpy's are: its keys in Chinese, under `settings` or beside `id`; or its file's whole text under `connect_setting`. What is
//! about trading is read over, an address without a scheme gets `tcp://`, and numbers are texts. Where a value is given in both
//! languages, vnpy's stays as it is, to be refused by its name. Whatever has nothing of vnpy's is left untouched.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::{Json, RequestExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::pasted::{TRADING, kind};
use crate::problem::Problem;

/// vnpy's words for ours. The password is no setting here.
const WORDS: [(&str, &str); 4] =
    [("用户名", "user_id"), ("经纪商代码", "broker_id"), ("行情服务器", "md_address"), ("密码", "password")];
/// What a request may say beside the settings; vnpy's file has more there, that is read over.
const BESIDE: [&str; 8] =
    ["id", "gateway", "settings", "password", "priority", "is_enabled", "description", "generation"];

/// A JSON body in our words or in vnpy's.
pub(crate) struct Spoken<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Spoken<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_new = request.method() == axum::http::Method::POST;
        let (head, body) = request.into_parts();
        let bytes: Bytes = Request::new(body).extract().await.map_err(unread)?;
        let text = translated(&bytes, is_new).map_or(bytes, Bytes::from);
        let Json(read) = Json::from_request(Request::from_parts(head, Body::from(text)), state).await?;
        Ok(Self(read))
    }
}

fn unread(rejection: axum::extract::rejection::BytesRejection) -> Problem {
    let (status, words) = (rejection.status(), rejection.body_text());
    Problem::new(if status.is_client_error() { status } else { StatusCode::BAD_REQUEST }, words)
}

/// The same in our words; `None` where nothing in it is vnpy's. A new account's library is named as its gateway, unless it
/// says otherwise.
fn translated(text: &[u8], is_new: bool) -> Option<Vec<u8>> {
    let Value::Object(mut account) = serde_json::from_slice(text).ok()? else { return None };
    let is_file = account.contains_key("connect_setting") && !account.contains_key("settings");
    if is_file {
        let settings = account.remove("connect_setting")?;
        account.insert("settings".into(), settings);
    }
    let beside: Vec<String> = account.keys().filter(|key| is_chinese(key)).cloned().collect();
    if !beside.is_empty() {
        let settings = account.entry("settings").or_insert_with(|| Value::Object(Map::new())).as_object_mut()?;
        let mut moved = std::mem::take(settings);
        moved.extend(beside.iter().filter_map(|key| account.remove_entry(key)));
        account.insert("settings".into(), Value::Object(moved));
    }
    let has_password = account.contains_key("password");
    let settings = account.get_mut("settings")?.as_object_mut()?;
    if !is_file && !settings.keys().any(|key| is_chinese(key)) {
        return None;
    }
    let mut password = None;
    for (theirs, ours) in WORDS {
        if ours == "password" || settings.contains_key(ours) {
            continue;
        }
        if let Some(value) = settings.remove(theirs) {
            settings.insert(ours.to_owned(), value);
        }
    }
    for key in ["密码", "password"] {
        if password.is_none() && !has_password {
            password = settings.remove(key);
        }
    }
    settings.retain(|key, _| !TRADING.contains(&key.as_str()));
    for key in ["user_id", "broker_id"] {
        if let Some(value) = settings.get_mut(key)
            && value.is_number()
        {
            *value = value.to_string().into();
        }
    }
    match settings.get_mut("md_address") {
        Some(Value::String(address)) => with_scheme(address),
        Some(Value::Array(all)) => {
            for address in all {
                if let Value::String(address) = address {
                    with_scheme(address);
                }
            }
        }
        _ => {}
    }
    place(account, password, is_file, is_new)
}

/// Puts what is no setting where it belongs.
fn place(mut account: Map<String, Value>, password: Option<Value>, is_file: bool, is_new: bool) -> Option<Vec<u8>> {
    // An empty one is vnpy's way to have none.
    if let Some(password) = password.filter(|password| password != "") {
        account.insert("password".into(), password);
    }
    if is_file {
        let named = ["gateway_class", "gateway_name"].iter().filter_map(|key| account.get("gateway")?[key].as_str());
        if let Some(kind) = named.filter_map(kind).next() {
            account.insert("gateway".into(), kind.into());
        }
        account.retain(|key, _| BESIDE.contains(&key.as_str()));
    }
    let gateway = account.get("gateway").filter(|gateway| is_new && gateway.is_string()).cloned();
    if let (Some(gateway), Some(settings)) = (gateway, account.get_mut("settings")?.as_object_mut()) {
        settings.entry("library").or_insert(gateway);
    }
    serde_json::to_vec(&account).ok()
}

fn is_chinese(key: &str) -> bool {
    !key.is_ascii() && (WORDS.iter().any(|(theirs, _)| *theirs == key) || TRADING.contains(&key))
}

fn with_scheme(address: &mut String) {
    if !address.is_empty() && !address.contains("://") {
        address.insert_str(0, "tcp://");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn translate(account: &Value, is_new: bool) -> Option<Value> {
        let text = translated(account.to_string().as_bytes(), is_new)?;
        Some(serde_json::from_slice(&text).expect("JSON"))
    }

    #[test]
    fn vnpys_words_become_ours_wherever_they_stand() {
        let keys = json!({"用户名": 123, "密码": "p", "经纪商代码": "9999", "交易服务器": "x", "行情服务器": "a:1", "产品名称": "", "授权编码": ""});
        let ours = json!({"id": "a", "gateway": "sopt", "password": "p", "settings": {
            "user_id": "123", "broker_id": "9999", "md_address": "tcp://a:1", "library": "sopt"}});
        let mut beside = keys.clone();
        (beside["id"], beside["gateway"]) = ("a".into(), "sopt".into());
        let file = json!({"id": "a", "gateway": {"gateway_class": "SoptGateway"}, "broker": "b", "name": "n", "connect_setting": keys});
        for theirs in [json!({"id": "a", "gateway": "sopt", "settings": keys}), beside, file] {
            assert_eq!(translate(&theirs, true), Some(ours.clone()), "{theirs}");
        }
        let change = json!({"settings": {"行情服务器": ["tcp://b:2", "c:3"], "library": "sim"}});
        let changed = json!({"settings": {"md_address": ["tcp://b:2", "tcp://c:3"], "library": "sim"}});
        assert_eq!(translate(&change, false), Some(changed));
        assert_eq!(
            translate(&json!({"gateway": "ctp", "密码": ""}), false),
            Some(json!({"gateway": "ctp", "settings": {}}))
        );
    }

    #[test]
    fn what_has_nothing_of_vnpys_stays_as_it_is_and_what_is_said_twice_is_left_to_be_refused() {
        for ours in
            [json!({"settings": {"user_id": "1"}, "colour": "red"}), json!({"id": "a"}), json!([1]), json!("用户名")]
        {
            assert_eq!(translate(&ours, true), None, "{ours}");
        }
        let twice = json!({"settings": {"user_id": "1", "用户名": "2"}, "颜色": "red"});
        assert_eq!(translate(&twice, false).as_ref(), Some(&twice), "unknown words are refused by their names");
        let twice = json!({"password": "1", "settings": {"密码": "2", "颜色": "red"}});
        assert_eq!(translate(&twice, false).as_ref(), Some(&twice));
    }
}
