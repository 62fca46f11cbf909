//! Connect's rules for topics that a source connector creates (`topic.creation.*`).

use std::collections::BTreeMap;

use record::regex::JavaRegex;

use crate::cluster::NewTopic;

const PREFIX: &str = "topic.creation.";

#[derive(Debug)]
struct Group {
    name: String,
    include: Option<JavaRegex>,
    exclude: Option<JavaRegex>,
    partitions: i32,
    replication: i32,
    configs: BTreeMap<String, String>,
}

/// A connector's groups in the order in which they are tried; the last one, `default`, takes every topic.
#[derive(Debug)]
pub struct TopicCreation {
    groups: Vec<Group>,
}

impl TopicCreation {
    /// Reads a connector's groups; `None` when it has no `topic.creation.` key, in which case topics appear by
    /// the broker's automatic creation only.
    ///
    /// # Errors
    /// Per key, what is wrong.
    pub fn parse(connector: &BTreeMap<String, String>) -> Result<Option<Self>, Vec<(String, String)>> {
        if !connector.keys().any(|key| key.starts_with(PREFIX)) {
            return Ok(None);
        }
        let mut errors = Vec::new();
        let names = connector.get("topic.creation.groups").map(String::as_str).unwrap_or_default();
        let named = names.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "default");
        let default = read(connector, "default", None, &mut errors);
        let mut groups: Vec<Group> =
            named.filter_map(|name| read(connector, name, default.as_ref(), &mut errors)).collect();
        groups.extend(default);
        if errors.is_empty() { Ok(Some(Self { groups })) } else { Err(errors) }
    }

    /// What a topic of this name is created with, and the name of its group.
    pub fn topic(&self, name: &str) -> Option<(NewTopic, &str)> {
        let takes = |group: &Group| {
            let is = |regex: &Option<JavaRegex>| regex.as_ref().is_some_and(|r| r.matches(name).unwrap_or(false));
            group.name == "default" || is(&group.include) && !is(&group.exclude)
        };
        let group = self.groups.iter().find(|group| takes(group))?;
        let topic = NewTopic {
            name: name.to_owned(),
            partitions: group.partitions,
            replication: group.replication,
            configs: group.configs.clone(),
        };
        Some((topic, &group.name))
    }
}

fn read(
    connector: &BTreeMap<String, String>,
    name: &str,
    default: Option<&Group>,
    errors: &mut Vec<(String, String)>,
) -> Option<Group> {
    let prefix = format!("{PREFIX}{name}.");
    let mut group = Group {
        name: name.to_owned(),
        include: None,
        exclude: None,
        partitions: default.map_or(0, |d| d.partitions),
        replication: default.map_or(0, |d| d.replication),
        configs: BTreeMap::new(),
    };
    let before = errors.len();
    for (key, value) in connector {
        let Some(setting) = key.strip_prefix(&prefix) else { continue };
        let mut error = |text: String| errors.push((key.clone(), text));
        match setting {
            "partitions" => match value.trim().parse::<i32>() {
                Ok(n) if n >= 1 || n == -1 => group.partitions = n,
                _ => error(format!(
                    "Invalid value {value}: Number of partitions must be at least 1 or -1 for the broker's default"
                )),
            },
            "replication.factor" => match value.trim().parse::<i32>() {
                Ok(n) if (1..=i32::from(i16::MAX)).contains(&n) || n == -1 => group.replication = n,
                _ => error(format!(
                    "Invalid value {value}: Replication factor must be at least 1 or -1 for the broker's default"
                )),
            },
            "include" | "exclude" if name == "default" => {}
            "include" | "exclude" => match whole(value) {
                Ok(regex) if setting == "include" => group.include = Some(regex),
                Ok(regex) => group.exclude = Some(regex),
                Err(e) => error(format!("Invalid value {value}: {e}")),
            },
            _ => {
                group.configs.insert(setting.to_owned(), value.clone());
            }
        }
    }
    for (setting, value) in [("partitions", group.partitions), ("replication.factor", group.replication)] {
        let key = format!("{prefix}{setting}");
        if value == 0 && name == "default" && !connector.contains_key(&key) {
            errors.push((key.clone(), format!("Missing required configuration \"{key}\" which has no default value.")));
        }
    }
    if name != "default" && group.include.is_none() && !connector.contains_key(&format!("{prefix}include")) {
        let key = format!("{prefix}include");
        errors.push((key.clone(), format!("Missing required configuration \"{key}\" which has no default value.")));
    }
    (errors.len() == before).then_some(group)
}

/// A comma list of expressions, any of which must match a whole name.
fn whole(list: &str) -> Result<JavaRegex, String> {
    let joined: Vec<&str> = list.split(',').map(str::trim).collect();
    JavaRegex::new(&joined.join("|"), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn first_matching_group_wins() {
        let config = map(&[
            ("topic.creation.groups", "compacted, small"),
            ("topic.creation.default.partitions", "3"),
            ("topic.creation.default.replication.factor", "-1"),
            ("topic.creation.compacted.include", "srv\\.public\\..*,other"),
            ("topic.creation.compacted.exclude", ".*_log"),
            ("topic.creation.compacted.cleanup.policy", "compact"),
            ("topic.creation.small.include", "srv\\..*"),
            ("topic.creation.small.partitions", "1"),
        ]);
        let rules = TopicCreation::parse(&config).unwrap_or_else(|e| panic!("{e:?}")).unwrap_or_else(|| panic!("none"));
        let group = |name: &str| rules.topic(name).map(|(t, g)| (g.to_owned(), t.partitions, t.replication));
        assert_eq!(group("srv.public.c"), Some(("compacted".into(), 3, -1)));
        assert_eq!(group("srv.public.a_log"), Some(("small".into(), 1, -1)));
        assert_eq!(group("xother"), Some(("default".into(), 3, -1)));
        let configs = rules.topic("other").map(|(t, _)| t.configs).unwrap_or_default();
        assert_eq!(configs, map(&[("cleanup.policy", "compact")]));
    }

    #[test]
    fn mistakes_are_named_by_key() {
        assert!(TopicCreation::parse(&map(&[("name", "c")])).is_ok_and(|rules| rules.is_none()));
        let errors = TopicCreation::parse(&map(&[
            ("topic.creation.groups", "g"),
            ("topic.creation.default.partitions", "0"),
            ("topic.creation.g.include", "("),
        ]))
        .err()
        .unwrap_or_default();
        let keys: Vec<_> = errors.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "topic.creation.default.partitions",
                "topic.creation.default.replication.factor",
                "topic.creation.g.include"
            ]
        );
    }
}
