//! Paths: which resource a path names and which methods it has.
//!
//! Paths are case-sensitive; one slash at the end is accepted; what follows a `;` in a segment is cut off; segments are
//! percent-decoded after splitting, so that a connector's name may hold an encoded slash.

use super::Paths;

/// A resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Root,
    Health,
    Connectors,
    Connector(String),
    Config(String),
    Status(String),
    Tasks(String),
    TaskStatus(String, u32),
    TaskRestart(String, u32),
    Pause(String),
    Resume(String),
    Stop(String),
    Restart(String),
    Topics(String),
    TopicsReset(String),
    Offsets(String),
    Plugins,
    PluginConfig(String),
    Validate(String),
    Loggers,
    Logger(String),
    /// A call from worker to leader.
    Internal,
}

/// What a path is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Routed {
    /// A resource, and its methods as OPTIONS lists them.
    Found(Route, &'static str),
    /// No resource.
    Unknown,
    /// Not decodable.
    Broken,
}

const GET: &str = "HEAD,GET,OPTIONS";
const PUT: &str = "OPTIONS,PUT";
const POST: &str = "POST,OPTIONS";

/// Finds the resource of a path.
pub(super) fn find(path: &str, paths: Paths) -> Routed {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut segments = Vec::new();
    for raw in path.split('/') {
        let raw = raw.split(';').next().unwrap_or_default();
        match decode(raw) {
            Some(segment) => segments.push(segment),
            None => return Routed::Broken,
        }
    }
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let admin = parts.first() == Some(&"admin");
    if (admin && paths == Paths::NoAdmin) || (!admin && paths == Paths::AdminOnly) {
        return Routed::Unknown;
    }
    let own = |name: &&str| (*name).to_owned();
    let (route, methods) = match parts.as_slice() {
        [""] => (Route::Root, GET),
        ["health"] => (Route::Health, GET),
        ["connectors"] => (Route::Connectors, "HEAD,POST,GET,OPTIONS"),
        ["connectors", c] => (Route::Connector(own(c)), "HEAD,DELETE,GET,OPTIONS"),
        ["connectors", c, "config"] => (Route::Config(own(c)), "HEAD,GET,OPTIONS,PUT,PATCH"),
        ["connectors", c, "status"] => (Route::Status(own(c)), GET),
        ["connectors", c, "tasks"] => (Route::Tasks(own(c)), "HEAD,POST,GET,OPTIONS"),
        ["connectors", c, "tasks", t, what @ ("status" | "restart")] => match (t.parse(), *what) {
            (Ok(t), "status") => (Route::TaskStatus(own(c), t), GET),
            (Ok(t), _) => (Route::TaskRestart(own(c), t), POST),
            (Err(_), _) => return Routed::Unknown,
        },
        ["connectors", c, "pause"] => (Route::Pause(own(c)), PUT),
        ["connectors", c, "resume"] => (Route::Resume(own(c)), PUT),
        ["connectors", c, "stop"] => (Route::Stop(own(c)), PUT),
        ["connectors", c, "restart"] => (Route::Restart(own(c)), POST),
        ["connectors", c, "topics"] => (Route::Topics(own(c)), GET),
        ["connectors", c, "topics", "reset"] => (Route::TopicsReset(own(c)), PUT),
        ["connectors", c, "offsets"] => (Route::Offsets(own(c)), "HEAD,DELETE,GET,OPTIONS,PATCH"),
        ["connectors", _, "fence"] => (Route::Internal, PUT),
        ["connector-plugins"] => (Route::Plugins, GET),
        ["connector-plugins", p, "config"] => (Route::PluginConfig(own(p)), GET),
        ["connector-plugins", p, "config", "validate"] => (Route::Validate(own(p)), PUT),
        ["admin", "loggers"] => (Route::Loggers, GET),
        ["admin", "loggers", l] => (Route::Logger(own(l)), "HEAD,GET,OPTIONS,PUT"),
        _ => return Routed::Unknown,
    };
    Routed::Found(route, methods)
}

/// Percent-decodes a segment as UTF-8; a plus stays a plus.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |b: Option<u8>| char::from(b?).to_digit(16);
            let code = digit(rest.next())? * 16 + digit(rest.next())?;
            bytes.push(u8::try_from(code).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Percent-encodes a connector's name for a `Location`.
pub(super) fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_resources() {
        for (path, expected) in [
            ("/", Some(Route::Root)),
            ("/connectors/", Some(Route::Connectors)),
            ("/Connectors", None),
            ("//connectors", None),
            ("/connectors/a%2Fb/status", Some(Route::Status("a/b".to_owned()))),
            ("/connectors/h%C3%A9+/config", Some(Route::Config("hé+".to_owned()))),
            ("/connectors/x;y=1", Some(Route::Connector("x".to_owned()))),
            ("/connectors/x%3By", Some(Route::Connector("x;y".to_owned()))),
            ("/connectors/x/tasks/1/status", Some(Route::TaskStatus("x".to_owned(), 1))),
            ("/connectors/x/tasks/y/status", None),
            ("/connectors/x/tasks-config", None),
            ("/connectors/x/tasks/0", None),
            ("/admin/loggers", Some(Route::Loggers)),
        ] {
            let expected = expected.map_or(Routed::Unknown, |route| {
                let Routed::Found(_, methods) = find(path, Paths::All) else { panic!("{path}") };
                Routed::Found(route, methods)
            });
            assert_eq!(find(path, Paths::All), expected, "{path}");
        }
        assert_eq!(find("/connectors/%ff", Paths::All), Routed::Broken);
        assert_eq!(find("/admin/loggers", Paths::NoAdmin), Routed::Unknown);
        assert_eq!(find("/connectors", Paths::AdminOnly), Routed::Unknown);
        assert_eq!(decode(&encode("a b/é;+")).as_deref(), Some("a b/é;+"));
    }
}
