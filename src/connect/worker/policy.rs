//! What a worker allows: users, client settings of connectors; and what of Connect it cannot honour.

use super::{OverridePolicy, Reader};
use crate::access::{LOGIN_CONFIG, Users};

/// Settings of Connect that cannot be honoured.
pub(super) fn refuse(r: &mut Reader) {
    let exactly_once = r.get("exactly.once.source.support").unwrap_or("disabled").to_ascii_lowercase();
    match exactly_once.as_str() {
        "disabled" => {}
        "preparing" | "enabled" => r.problems.push(format!(
            "exactly.once.source.support={exactly_once} is not supported yet: set it to disabled (at least once)"
        )),
        other => r.problems.push(format!(
            "Invalid value {other} for configuration exactly.once.source.support: String must be one of (case \
             insensitive): DISABLED, ENABLED, PREPARING"
        )),
    }
    if r.get("afterimage.errors.deadletterqueue.topic.name").is_some_and(|topic| !topic.is_empty()) {
        r.problems.push(
            "afterimage.errors.deadletterqueue.topic.name is not supported yet: remove it; a row that cannot be \
             converted stops its connector"
                .to_owned(),
        );
    }
}

/// The users of `rest.extension.classes` with Connect's extension for basic authentication.
pub(super) fn users(r: &mut Reader) -> Option<Users> {
    let classes = r.get("rest.extension.classes").unwrap_or_default().to_owned();
    let mut wanted = false;
    for class in classes.split(',').map(str::trim).filter(|class| !class.is_empty()) {
        match class.strip_prefix("org.apache.kafka.connect.rest.basic.auth.extension.").unwrap_or(class) {
            "BasicAuthSecurityRestExtension" => wanted = true,
            _ => r.problems.push(format!(
                "rest.extension.classes: {class} cannot be honoured: it names Java code, and there is no JVM here. \
                 org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension is built in"
            )),
        }
    }
    if !wanted {
        return None;
    }
    let options = std::env::var("KAFKA_OPTS").unwrap_or_default();
    Users::open(r.get(LOGIN_CONFIG), &options).map_err(|why| r.problems.push(why)).ok()
}

/// `afterimage.admin.authentication`: whether the admin port asks for users too.
pub(super) fn admin_authentication(r: &mut Reader, users: bool) -> bool {
    match r.get("afterimage.admin.authentication").unwrap_or("none").to_ascii_lowercase().as_str() {
        "none" => false,
        "basic" if users => true,
        "basic" => {
            r.problems.push(
                "afterimage.admin.authentication=basic needs users: set rest.extension.classes=\
                 org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension"
                    .to_owned(),
            );
            false
        }
        other => {
            r.problems.push(format!(
                "Invalid value {other} for configuration afterimage.admin.authentication: String must be one of: none, basic"
            ));
            false
        }
    }
}

/// `connector.client.config.override.policy`.
pub(super) fn overrides(r: &mut Reader) -> OverridePolicy {
    let text = r.get("connector.client.config.override.policy").unwrap_or("All").to_owned();
    let simple = text.strip_prefix("org.apache.kafka.connect.connector.policy.").unwrap_or(&text);
    match simple.strip_suffix("ConnectorClientConfigOverridePolicy").unwrap_or(simple) {
        "All" => OverridePolicy::All,
        "None" => OverridePolicy::None,
        "Principal" => OverridePolicy::Principal,
        "Allowlist" => {
            let keys = r.get("connector.client.config.override.allowlist").unwrap_or_default();
            OverridePolicy::Allowlist(keys.split(',').map(|key| key.trim().to_owned()).collect())
        }
        _ => {
            r.problems.push(format!(
                "connector.client.config.override.policy={text} is not supported: use All, None, Principal or Allowlist"
            ));
            OverridePolicy::None
        }
    }
}
