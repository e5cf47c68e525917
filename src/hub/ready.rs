//! Whether the hub does its work: it is well, and its processes are those that were asked for, be it by an earlier read.

use std::sync::Arc;

use mdhub_api::HealthProbe;
use serde_json::Value;
use tokio::sync::watch as tokio_watch;

/// Judges the newest of `documents`, those of status.json.
pub(super) fn probe(health: HealthProbe, documents: tokio_watch::Receiver<Arc<Value>>) -> HealthProbe {
    Arc::new(move || {
        health()?;
        was_read(&documents.borrow()["desired"])
    })
}

fn was_read(desired: &Value) -> Result<(), String> {
    let why = || desired["message"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
    match desired["state"].as_str() {
        Some("unread") | None => Err(format!("the desired state was not read yet{}", why())),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_hub_is_ready_once_it_is_well_and_knows_what_is_wanted() {
        let sick: HealthProbe = Arc::new(|| Err("the feed thread stands still".into()));
        let well: HealthProbe = Arc::new(|| Ok(()));
        for (desired, health, expected) in [
            (json!({"state": "fresh"}), &well, Ok(())),
            (json!({"state": "stale", "message": "it is away"}), &well, Ok(())),
            (json!({"state": "suspicious"}), &well, Ok(())),
            (json!({"state": "fresh"}), &sick, Err("the feed thread stands still".to_owned())),
            (
                json!({"state": "unread", "message": "away"}),
                &well,
                Err("the desired state was not read yet: away".into()),
            ),
            (Value::Null, &well, Err("the desired state was not read yet".into())),
        ] {
            let documents = tokio_watch::Sender::new(Arc::new(json!({"desired": desired})));
            assert_eq!(probe(health.clone(), documents.subscribe())(), expected, "{desired}");
        }
    }
}
