//! One flat JSON object: numbers, and texts.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(BTreeMap<String, Value>);

impl Fields {
    pub(crate) fn extend(&mut self, line: &str) -> Result<(), String> {
        let more: BTreeMap<String, Value> = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
        self.0.extend(more);
        Ok(())
    }

    pub(crate) fn from_value(value: &Value) -> Self {
        Self(value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.0.into_iter().collect())
    }

    pub(crate) fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.0.get(name)?.as_f64()
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}
