//! Where a broker listens.

use std::fmt;

/// Kafka's usual port, for a server given without one.
const PORT: u16 = 9092;

/// Host and port; an IPv6 literal has no brackets here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Address {
    /// Reads `bootstrap.servers`: `host:port`, `[v6]:port`, each with `PROTOCOL://` before it if need be.
    ///
    /// # Errors
    /// Which entry is no address.
    pub(crate) fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let all: Vec<_> = entries.map(Self::parse).collect::<Result<_, _>>()?;
        if all.is_empty() {
            return Err("bootstrap.servers names no server; expected host:port[,host:port...]".into());
        }
        Ok(all)
    }

    fn parse(entry: &str) -> Result<Self, String> {
        let wrong = || format!("bootstrap.servers: '{entry}' is not host:port");
        let rest = entry.split_once("://").map_or(entry, |(_, rest)| rest);
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
                (host, port.strip_prefix(':'))
            }
            None => match rest.rsplit_once(':') {
                // More than one colon and no brackets: an IPv6 literal without a port.
                Some((host, _)) if host.contains(':') => (rest, None),
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let port = port.map_or(Ok(PORT), str::parse).map_err(|_| wrong())?;
        if host.is_empty() || port == 0 {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_in_all_their_forms() {
        let read = |text| {
            Address::parse_list(text).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(
            read("a:1, SASL_SSL://b.c:2,,[::1]:3,fe80::1,d").as_deref(),
            Ok("a:1 b.c:2 [::1]:3 [fe80::1]:9092 d:9092")
        );
        for wrong in ["", " , ", "a:x", "a:0", ":1", "[::1", "a:70000"] {
            assert!(read(wrong).is_err_and(|e| e.contains("bootstrap.servers")), "{wrong}");
        }
    }
}
