//! `/connector-plugins`.

use axum::extract::Request;
use serde_json::{Value, json};

use super::{Api, CONNECT_VERSION, RestError, StatusCode, answer::Answer, body};
use crate::{converters, text};

impl Api {
    pub(super) fn plugins(&self, request: &Request) -> Answer {
        let plugin = |class: &str, kind: &str, version: &str| json!({"class": class, "type": kind, "version": version});
        let mut all: Vec<_> = self
            .inner
            .validator
            .plugins()
            .iter()
            .map(|connector| plugin(connector.class(), "source", connector.version()))
            .collect();
        let only = body::query(request, "connectorsOnly");
        if only.first().is_some_and(|only| !only.eq_ignore_ascii_case("true")) {
            all.push(plugin(converters::JSON, "converter", CONNECT_VERSION));
            all.push(plugin(converters::JSON, "header_converter", CONNECT_VERSION));
            all.push(plugin(converters::SIMPLE, "header_converter", CONNECT_VERSION));
        }
        Answer::json(&all)
    }

    pub(super) fn plugin_config(&self, plugin: &str, request: &Request) -> Result<Answer, RestError> {
        let unknown = || RestError::new(StatusCode::NOT_FOUND, format!("Unknown plugin {plugin}."));
        let definitions = self.inner.validator.definitions(plugin).ok_or_else(unknown)?;
        let (class, version) = match self.inner.validator.plugin(plugin) {
            Some(connector) => (connector.class().to_owned(), connector.version()),
            None => (plugin.to_owned(), CONNECT_VERSION),
        };
        let wanted = body::query(request, "version").into_iter().next().unwrap_or_else(|| "latest".to_owned());
        if wanted != "latest" && !matches(&wanted, version) {
            let range = if wanted.starts_with(['[', '(']) { wanted } else { format!("[{wanted},{wanted}]") };
            return Err(RestError::bad(format!(
                "Plugin {class} not found that matches the version range {range}, available versions: [{version}]"
            )));
        }
        Ok(Answer::json(&definitions))
    }

    pub(super) async fn validate(&self, plugin: &str, request: Request) -> Result<Answer, RestError> {
        let config = body::config(body::object(request).await?)?;
        let class = text(&config, "connector.class");
        if let Some(class) = class.filter(|class| !fits(class, plugin)) {
            return Err(RestError::bad(format!(
                "Included connector type {class} does not match request type {plugin}"
            )));
        }
        let infos = self.inner.validator.validate(&config).await?;
        Ok(Answer::json(&serde_json::to_value(infos).unwrap_or(Value::Null)))
    }
}

/// Whether a class ends in the name of the path, both without `Connector`.
fn fits(class: &str, plugin: &str) -> bool {
    let bare = |name: &str| name.strip_suffix("Connector").unwrap_or(name).to_owned();
    bare(class).ends_with(&bare(plugin))
}

/// Whether a version lies in a range `[a,b)`, or is the one named.
fn matches(wanted: &str, version: &str) -> bool {
    let Some(range) = wanted.strip_prefix(['[', '(']).and_then(|rest| rest.strip_suffix([']', ')'])) else {
        return wanted == version;
    };
    let numbers =
        |text: &str| -> Vec<u64> { text.split(['.', '-']).map_while(|part| part.trim().parse().ok()).collect() };
    let version = numbers(version);
    let (low, high) = range.split_once(',').unwrap_or((range, range));
    let above =
        low.trim().is_empty() || if wanted.starts_with('[') { version >= numbers(low) } else { version > numbers(low) };
    let below = high.trim().is_empty()
        || if wanted.ends_with(']') { version <= numbers(high) } else { version < numbers(high) };
    above && below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_match_ranges() {
        for (wanted, expected) in
            [("3.6.1.Final", true), ("9.9", false), ("[3.6,3.7)", true), ("(3.6.1,4)", false), ("[,4)", true)]
        {
            assert_eq!(matches(wanted, "3.6.1.Final"), expected, "{wanted}");
        }
    }

    #[test]
    fn paths_fit_classes() {
        assert!(fits("io.debezium.connector.mysql.MySqlConnector", "MySqlConnector"));
        assert!(fits("MySqlConnector", "MySql"));
        assert!(!fits("MySqlConnector", "Foo"));
    }
}
