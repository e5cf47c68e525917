//! Section `libraries`: which code gateways may run, by the names that accounts use.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Fault;
use crate::dialect::Dialect;

/// Classes whose vendor's records are taken before vnpy converts them.
const EXACT: [(&str, Dialect); 2] = [("vnpy_ctp.CtpGateway", Dialect::Ctp), ("vnpy_sopt.SoptGateway", Dialect::Sopt)];

/// One entry of section `libraries`: a vendor's shared object, or a gateway class of vnpy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Library {
    /// Path of the shared object, or of the environment that `gateways/vnpy/install` made; relative to the settings file.
    pub path: String,
    /// The shared object's SHA-256, checked before it is loaded.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Environment variables for workers that load it; nothing else reaches them.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// For accounts of gateway `vnpy`: the class, `MODULE.CLASS`, a `BaseGateway` of vnpy.
    #[serde(default)]
    pub gateway_class: Option<String>,
    /// Whose contracts that class carries; known of the pinned classes, needed for any other.
    #[serde(default)]
    pub serves: Option<Dialect>,
    /// What its `connect` is given beside the account's own fields, by vnpy's names.
    #[serde(default)]
    pub connect: BTreeMap<String, String>,
}

/// A gateway class of vnpy, as a worker is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VnpyClass {
    /// `MODULE.CLASS`.
    pub name: String,
    /// Whose contracts it carries.
    pub dialect: Dialect,
    /// Whether its ticks come as vnpy converted them: without the vendor's trading day, and with what vnpy rounds.
    pub is_low_precision: bool,
    /// What its `connect` is given beside the account's own fields.
    pub connect: BTreeMap<String, String>,
}

impl Library {
    /// The class of vnpy that this entry names, if it names one.
    #[must_use]
    pub fn vnpy_class(&self) -> Option<VnpyClass> {
        let name = self.gateway_class.clone()?;
        let exact = EXACT.into_iter().find(|(known, _)| *known == name).map(|(_, dialect)| dialect);
        let dialect = exact.or(self.serves)?;
        Some(VnpyClass { name, dialect, is_low_precision: exact.is_none(), connect: self.connect.clone() })
    }

    /// What no process could be given, or would not make sense of.
    pub(super) fn check(&self, name: &str) -> Result<(), Fault> {
        self.check_env(name)?;
        self.check_class().map_err(|message| ("libraries", format!("{name}.{message}")))
    }

    /// An environment that no process could be given would keep every gateway of this library from starting.
    fn check_env(&self, name: &str) -> Result<(), Fault> {
        let is_wrong =
            |(key, value): &(&String, &String)| key.is_empty() || key.contains(['=', '\0']) || value.contains('\0');
        self.env.iter().find(is_wrong).map_or(Ok(()), |(key, value)| {
            let message =
                format!("{name}.env: {key:?}: {value:?} is not allowed: a name without = and no NUL in either");
            Err(("libraries", message))
        })
    }

    fn check_class(&self) -> Result<(), String> {
        let Some(class) = &self.gateway_class else {
            return match (self.serves, self.connect.is_empty()) {
                (Some(dialect), _) => Err(format!("serves: {dialect} is only for an entry with a gateway_class")),
                (None, false) => Err("connect: it is only for an entry with a gateway_class".to_owned()),
                (None, true) => Ok(()),
            };
        };
        let is_name = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if class.len() > 200 || !class.contains('.') || !class.split('.').all(is_name) {
            return Err(format!(
                "gateway_class: {class:?} is not allowed: write MODULE.CLASS, for example vnpy_ctp.CtpGateway"
            ));
        }
        if self.sha256.is_some() {
            return Err("sha256: it is of a shared object, and this entry is an environment of Python".to_owned());
        }
        match (EXACT.into_iter().find(|(known, _)| known == class), self.serves) {
            (Some((_, is)), Some(said)) if is != said => {
                Err(format!("serves: {said} is not allowed: {class} carries contracts of {is}"))
            }
            (None, None) => Err(format!("serves: it is needed for {class}: ctp (futures) or sopt (stock options)")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(yaml: &str) -> Library {
        serde_json::from_str(yaml).expect("an entry")
    }

    #[test]
    fn a_class_that_is_pinned_is_exact_and_any_other_is_of_low_precision() {
        let class = |json: &str| library(json).vnpy_class().map(|class| (class.dialect, class.is_low_precision));
        assert_eq!(class(r#"{"path":"v","gateway_class":"vnpy_ctp.CtpGateway"}"#), Some((Dialect::Ctp, false)));
        assert_eq!(class(r#"{"path":"v","gateway_class":"vnpy_sopt.SoptGateway"}"#), Some((Dialect::Sopt, false)));
        let other = r#"{"path":"v","gateway_class":"desk.feeds.OurGateway","serves":"sopt","connect":{"key":"1"}}"#;
        assert_eq!(class(other), Some((Dialect::Sopt, true)));
        assert_eq!(class(r#"{"path":"v"}"#), None);
    }

    #[test]
    fn an_entry_that_makes_no_sense_is_refused_by_name() {
        for (json, part) in [
            (r#"{"path":"v","serves":"ctp"}"#, "vnpy.serves: ctp is only for an entry with a gateway_class"),
            (r#"{"path":"v","connect":{"a":"b"}}"#, "vnpy.connect: it is only for"),
            (r#"{"path":"v","gateway_class":"CtpGateway"}"#, "\"CtpGateway\" is not allowed: write MODULE.CLASS"),
            (r#"{"path":"v","gateway_class":"os.system('x')"}"#, "is not allowed: write MODULE.CLASS"),
            (r#"{"path":"v","gateway_class":"a..b"}"#, "is not allowed: write MODULE.CLASS"),
            (r#"{"path":"v","gateway_class":"desk.Ours"}"#, "vnpy.serves: it is needed for desk.Ours"),
            (r#"{"path":"v","gateway_class":"vnpy_ctp.CtpGateway","serves":"sopt"}"#, "carries contracts of ctp"),
            (r#"{"path":"v","gateway_class":"vnpy_ctp.CtpGateway","sha256":"00"}"#, "vnpy.sha256: it is of a shared"),
        ] {
            let fault = library(json).check("vnpy").map_err(|(_, message)| message);
            assert!(fault.as_ref().is_err_and(|message| message.contains(part)), "{json}: {fault:?}");
        }
        assert_eq!(library(r#"{"path":"v","gateway_class":"vnpy_ctp.CtpGateway","serves":"ctp"}"#).check("v"), Ok(()));
    }
}
