//! Listener addresses: `http://host:port`, as worker files write them.

use std::fmt;

/// One address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Whether it speaks TLS.
    pub https: bool,
    /// Host; empty means all interfaces.
    pub host: String,
    /// Port; 0 lets the system choose.
    pub port: u16,
}

impl Listener {
    /// Reads one address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = || format!("'{text}' is not a listener: expected http://host:port or https://host:port");
        let (scheme, rest) = text.split_once("://").ok_or_else(form)?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(form()),
        };
        let (host, port) = rest.trim_end_matches('/').rsplit_once(':').ok_or_else(form)?;
        let host = match host.strip_prefix('[') {
            Some(host) => host.strip_suffix(']').ok_or_else(form)?,
            None if host.contains(['/', '[', ']', ':']) => return Err(form()),
            None => host,
        };
        let port = port.parse().map_err(|_| form())?;
        Ok(Self { https, host: host.to_owned(), port })
    }

    /// Reads a comma list; blanks around and empty items are passed over.
    ///
    /// # Errors
    /// The first broken item.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Self::parse).collect()
    }

    /// What to bind: the empty host is all interfaces.
    pub fn bind_host(&self) -> &str {
        if self.host.is_empty() { "0.0.0.0" } else { &self.host }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses() {
        for (text, https, host, port) in [
            ("http://:8083", false, "", 8083),
            ("HTTPS://0.0.0.0:1/", true, "0.0.0.0", 1),
            ("http://[::1]:0", false, "::1", 0),
        ] {
            assert_eq!(Listener::parse(text), Ok(Listener { https, host: host.to_owned(), port }));
        }
        for text in ["8083", "ftp://:1", "http://a", "http://a:b", "http://::1:80", "http://a:70000", "http://a/b:80"] {
            assert!(Listener::parse(text).is_err(), "{text}");
        }
        assert_eq!(Listener::parse_list("http://a:1, https://b:2,").map(|l| l.len()), Ok(2));
    }
}
