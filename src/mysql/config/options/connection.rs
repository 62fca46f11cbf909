//! Options of the group `MySQL`: server, user, TLS.

use engine::config::{
    Check::{ClassName, Integer, Long, PositiveLong, Required},
    ConfigOption, ConfigType as T, Importance as I, Width as W, one_of,
};

use super::super::checks::{HOST_NAME, TOPIC_NAME};
use super::super::modes::SslMode;

const GROUP: &str = "MySQL";

/// The rows.
pub(super) const OPTIONS: &[ConfigOption] = &[
    ConfigOption::new("topic.prefix", T::String, "Name of this server in topics, schemas and stored offsets; letters, digits, dots, hyphens and underscores, unique among connectors.").form("Topic prefix", GROUP, 1, W::Medium, I::High).checks(&[Required, TOPIC_NAME]),
    ConfigOption::new("database.hostname", T::String, "Host name or address of the MySQL server.").form("Hostname", GROUP, 2, W::Medium, I::High).checks(&[Required, HOST_NAME]),
    ConfigOption::new("database.port", T::Int, "TCP port of the MySQL server.").default("3306").form("Port", GROUP, 3, W::Short, I::High).checks(&[Integer, Integer]),
    ConfigOption::new("database.user", T::String, "User that reads the tables and the binary log.").form("User", GROUP, 4, W::Short, I::High).checks(&[Required]),
    ConfigOption::new("database.password", T::Password, "Password of that user.").form("Password", GROUP, 5, W::Short, I::High),
    ConfigOption::new("database.query.timeout.ms", T::Int, "How long a statement may run before it is cancelled, in milliseconds; 0 for no limit.").default("600000").form("Query timeout", GROUP, 6, W::None, I::Low).checks(&[Integer]),
    ConfigOption::new("database.initial.statements", T::String, "Statements, separated by semicolons, that every new connection other than the log connection runs first; write two semicolons for one inside a statement.").form("Initial statements", GROUP, 7, W::Long, I::Low),
    ConfigOption::new("database.server.id", T::Long, "Replica id under which the binary log is read; must be unique among all servers and readers of the topology.").form("Cluster ID", GROUP, 8, W::Long, I::High).checks(&[Long, PositiveLong, Required]),
    ConfigOption::new("database.server.id.offset", T::Long, "Kept for compatibility; one connection reads the log, under database.server.id itself.").default("10000").form("Cluster ID offset", GROUP, 9, W::Long, I::High).checks(&[Long]),
    ConfigOption::new("database.ssl.keystore", T::String, "File with the client certificate and key for TLS: PEM, PKCS12 or JKS.").form("SSL Keystore", GROUP, 10, W::Long, I::Medium),
    ConfigOption::new("database.ssl.keystore.password", T::Password, "Password of the file of database.ssl.keystore.").form("SSL Keystore Password", GROUP, 11, W::Medium, I::Medium),
    ConfigOption::new("database.ssl.truststore", T::String, "File with the certificate authorities that may sign the server's certificate: PEM, PKCS12 or JKS.").form("SSL Truststore", GROUP, 12, W::Long, I::Medium),
    ConfigOption::new("database.ssl.truststore.password", T::Password, "Password of the file of database.ssl.truststore.").form("SSL Truststore Password", GROUP, 13, W::Medium, I::Medium),
    ConfigOption::new("database.jdbc.driver", T::Class, "Kept for compatibility; no JDBC driver is involved.").default("com.mysql.cj.jdbc.Driver").form("JDBC Driver Class Name", GROUP, 14, W::Medium, I::Low).checks(&[ClassName, ClassName]),
    ConfigOption::new("database.protocol", T::String, "Kept for compatibility; no JDBC address is involved.").default("jdbc:mysql").form("JDBC Protocol", GROUP, 15, W::Medium, I::Low),
    ConfigOption::new("database.ssl.mode", T::String, "Whether connections use TLS: disabled, preferred (if the server offers it), required, verify_ca (certificate checked) or verify_identity (certificate and host name checked).").default("preferred").form("SSL mode", GROUP, 16, W::Medium, I::Medium).checks(&[one_of::<SslMode>()]).recommended(&["disabled", "preferred", "required", "verify_ca", "verify_identity"]),
];
