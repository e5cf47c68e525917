//! `mdhub token NAME`: makes a publish token, and what the settings are to say of it.

use mdhub_api::password;
use mdhub_spec::settings::{Settings, Sha256};
use sha2::{Digest as _, Sha256 as Hash};

use crate::{Failure, say};

/// Prints the token, and the entry of the settings that lets it in. It is kept nowhere.
///
/// # Errors
/// A name that the settings would refuse.
pub(crate) fn run(name: &str) -> Result<(), Failure> {
    let token = password::make()?;
    let entry = entry(name, &token)?;
    say(format_args!("token of {name}, for the client alone: {token}\nentry of publish.tokens in mdhub.yaml: {entry}"))
}

/// The entry of `publish.tokens`, as the settings take it.
fn entry(name: &str, token: &str) -> Result<String, Failure> {
    let sha256 = String::from(Sha256(Hash::digest(token.as_bytes()).into()));
    // JSON is YAML, too, whatever is in the name.
    let entry = serde_json::json!({"name": name, "sha256": sha256}).to_string();
    let settings = format!("apiVersion: mdhub/v1\nkind: Hub\npublish: {{tokens: [{entry}]}}\n");
    Settings::parse("the settings with this token", &settings).map_err(|e| e.to_string())?;
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_the_digest_of_the_token_and_a_name_that_the_settings_take() {
        // echo -n abc | sha256sum
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(entry("desk-7", "abc"), Ok(format!(r#"{{"name":"desk-7","sha256":"{digest}"}}"#)));
        let refused = entry("desk 7", "abc").expect_err("a space");
        assert!(refused.contains("publish.tokens") && refused.contains("desk 7"), "{refused}");
    }
}
