//! Config providers: `${name:[path:]key}` in configurations, resolved at each use.
//!
//! Resolved values go into the maps handed to plugins and clients and nowhere else: never into a topic,
//! an answer or a log.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use engine::plugin::ConfigMap;
use serde_json::Value;

use crate::{RawConfig, properties};

const PACKAGE: &str = "org.apache.kafka.common.config.provider.";

/// A provider that cannot be used, or that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProviderError(pub String);

#[derive(Debug, Clone)]
enum Provider {
    File { allowed: Option<Vec<PathBuf>> },
    Directory { allowed: Option<Vec<PathBuf>> },
    Env { pattern: Option<fancy_regex::Regex> },
}

/// The providers of a worker file.
#[derive(Debug, Clone, Default)]
pub struct Providers(BTreeMap<String, Provider>);

impl Providers {
    /// Reads `config.providers` and its keys.
    ///
    /// # Errors
    /// One text per provider that cannot be honoured.
    pub fn from_worker(config: &BTreeMap<String, String>) -> Result<Self, Vec<String>> {
        let (mut providers, mut problems) = (BTreeMap::new(), Vec::new());
        let names = config.get("config.providers").map(String::as_str).unwrap_or_default();
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let class = config.get(&format!("config.providers.{name}.class")).map(|class| class.trim());
            let param = |key: &str| config.get(&format!("config.providers.{name}.param.{key}")).map(|v| v.trim());
            let allowed = || {
                param("allowed.paths")
                    .filter(|paths| !paths.is_empty())
                    .map(|paths| paths.split(',').map(|path| normal(Path::new(path.trim()))).collect())
            };
            let provider = match class.map(|class| class.strip_prefix(PACKAGE).unwrap_or(class)) {
                Some("FileConfigProvider") => Provider::File { allowed: allowed() },
                Some("DirectoryConfigProvider") => Provider::Directory { allowed: allowed() },
                Some("EnvVarConfigProvider") => match param("allowlist.pattern").map(full_match).transpose() {
                    Ok(pattern) => Provider::Env { pattern },
                    Err(error) => {
                        problems.push(format!("config.providers.{name}.param.allowlist.pattern: {error}"));
                        continue;
                    }
                },
                Some(other) => {
                    problems.push(format!(
                        "config.providers.{name}.class: {other} is not supported: use {PACKAGE}FileConfigProvider, \
                         DirectoryConfigProvider or EnvVarConfigProvider under the same name, so that the \
                         placeholders ${{{name}:...}} stay as they are"
                    ));
                    continue;
                }
                None => {
                    problems.push(format!("config.providers.{name}.class is missing: name the provider's class"));
                    continue;
                }
            };
            providers.insert(name.to_owned(), provider);
        }
        if problems.is_empty() { Ok(Self(providers)) } else { Err(problems) }
    }

    /// Replaces the placeholders of one value. An unknown provider or key leaves the text as it is.
    ///
    /// # Errors
    /// A provider could not read its file.
    pub fn resolve(&self, value: &str) -> Result<String, ProviderError> {
        if self.0.is_empty() || !value.contains("${") {
            return Ok(value.to_owned());
        }
        let (mut out, mut rest) = (String::with_capacity(value.len()), value);
        while let Some((before, from)) = rest.split_once("${") {
            let Some((reference, after)) = from.split_once('}') else { break };
            out.push_str(before);
            match self.look_up(reference)? {
                Some(found) => out.push_str(&found),
                None => {
                    out.push_str("${");
                    out.push_str(reference);
                    out.push('}');
                }
            }
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// Replaces the placeholders of a connector's configuration; nulls are left out.
    ///
    /// # Errors
    /// As [`Providers::resolve`].
    pub fn resolve_config(&self, config: &RawConfig) -> Result<ConfigMap, ProviderError> {
        let mut resolved = ConfigMap::new();
        for (key, value) in config {
            if let Value::String(value) = value {
                resolved.insert(key.clone(), self.resolve(value)?);
            }
        }
        Ok(resolved)
    }

    fn look_up(&self, reference: &str) -> Result<Option<String>, ProviderError> {
        let Some((name, rest)) = reference.split_once(':') else { return Ok(None) };
        let Some(provider) = self.0.get(name) else { return Ok(None) };
        let (path, key) = rest.split_once(':').unwrap_or(("", rest));
        match provider {
            Provider::Env { pattern } => {
                if !path.is_empty() {
                    return Err(ProviderError(format!(
                        "the environment provider '{name}' takes no path, but '{path}' was given"
                    )));
                }
                let allowed = pattern.as_ref().is_none_or(|pattern| pattern.is_match(key).unwrap_or(false));
                Ok(std::env::var(key).ok().filter(|_| allowed))
            }
            Provider::File { allowed } => {
                if path.is_empty() || !permitted(name, allowed, Path::new(path)) {
                    return Ok(None);
                }
                let bytes = std::fs::read(path)
                    .map_err(|e| ProviderError(format!("could not read properties from file {path}: {e}")))?;
                let mut pairs = properties::parse(&properties::decode(&bytes))
                    .map_err(|e| ProviderError(format!("could not read properties from file {path}: {e}")))?;
                Ok(pairs.remove(key))
            }
            Provider::Directory { allowed } => {
                let file = Path::new(path).join(key);
                let inside = Path::new(key).components().all(|part| matches!(part, Component::Normal(_)));
                if path.is_empty() || !inside || !permitted(name, allowed, &file) || !file.is_file() {
                    return Ok(None);
                }
                std::fs::read_to_string(&file)
                    .map(Some)
                    .map_err(|e| ProviderError(format!("could not read file {}: {e}", file.display())))
            }
        }
    }
}

fn full_match(pattern: &str) -> Result<fancy_regex::Regex, String> {
    fancy_regex::Regex::new(&format!("^(?:{pattern})$")).map_err(|e| format!("not a regular expression: {e}"))
}

fn permitted(name: &str, allowed: &Option<Vec<PathBuf>>, path: &Path) -> bool {
    let path = normal(path);
    let ok = allowed.as_ref().is_none_or(|roots| roots.iter().any(|root| path.starts_with(root)));
    if !ok {
        tracing::warn!("config provider '{name}': {} is not within allowed.paths", path.display());
    }
    ok
}

/// Absolute, without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut out = PathBuf::new();
    for part in absolute.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn providers(dir: &Path) -> Providers {
        let text = format!(
            "config.providers=file,dir,env\nconfig.providers.file.class={PACKAGE}FileConfigProvider\n\
             config.providers.file.param.allowed.paths={0}\nconfig.providers.dir.class={PACKAGE}DirectoryConfigProvider\n\
             config.providers.env.class={PACKAGE}EnvVarConfigProvider\nconfig.providers.env.param.allowlist.pattern=PA.*\n",
            dir.display()
        );
        Providers::from_worker(&properties::parse(&text).unwrap()).unwrap()
    }

    #[test]
    fn resolves_files_folders_and_variables() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.properties"), "user=joe\npassword=s3}cret").unwrap();
        std::fs::write(dir.path().join("token"), "t\n").unwrap();
        let p = providers(dir.path());
        let d = dir.path().display();
        for (text, expected) in [
            (format!("x${{file:{d}/a.properties:user}}y"), "xjoey".to_owned()),
            (format!("${{file:{d}/a.properties:password}}"), "s3}cret".to_owned()),
            (format!("${{file:{d}/a.properties:none}}"), format!("${{file:{d}/a.properties:none}}")),
            (format!("${{dir:{d}:token}}"), "t\n".to_owned()),
            ("${env:HOME}".to_owned(), "${env:HOME}".to_owned()),
            (
                format!("${{env:PATH}}|${{file:{d}/a.properties:user}}"),
                format!("{}|joe", std::env::var("PATH").unwrap()),
            ),
            ("${vault:x:y}".to_owned(), "${vault:x:y}".to_owned()),
            ("a${b".to_owned(), "a${b".to_owned()),
            ("${x}${env:NO".to_owned(), "${x}${env:NO".to_owned()),
            ("${file:/etc/passwd:root}".to_owned(), "${file:/etc/passwd:root}".to_owned()),
        ] {
            assert_eq!(p.resolve(&text).unwrap(), expected, "{text}");
        }
        assert!(p.resolve(&format!("${{file:{d}/none:a}}")).is_err());
    }

    #[test]
    fn refuses_classes_of_others() {
        let text = "config.providers=s\nconfig.providers.s.class=io.strimzi.kafka.KubernetesSecretConfigProvider";
        let problems = Providers::from_worker(&properties::parse(text).unwrap()).unwrap_err();
        assert!(problems[0].contains("io.strimzi.kafka.KubernetesSecretConfigProvider"), "{problems:?}");
    }
}
