//! Names of topics, schemas and fields.

use std::{borrow::Cow, sync::Arc};

use model::TableId;

use crate::regex::Rewrite;

/// `schema.name.adjustment.mode` and `field.name.adjustment.mode`: which characters names keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameAdjustment {
    /// All.
    #[default]
    None,
    /// Those of Avro; others become `_`.
    Avro,
    /// Those of Avro without `_`; others, `_` included, become `_uXXXX`.
    AvroUnicode,
}

impl NameAdjustment {
    /// A full schema name; dots separate its parts and stay.
    pub fn schema_name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        self.adjust(name, true)
    }

    /// A field name; a dot is not allowed in one, except in mode `none`.
    pub fn field_name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        self.adjust(name, false)
    }

    fn adjust<'a>(&self, name: &'a str, dots: bool) -> Cow<'a, str> {
        let underscore = match self {
            NameAdjustment::None => return Cow::Borrowed(name),
            NameAdjustment::Avro => true,
            NameAdjustment::AvroUnicode => false,
        };
        let allowed = |first: bool, c: char| {
            c.is_ascii_alphabetic()
                || (c == '_' && underscore)
                || (!first && (c.is_ascii_digit() || (c == '.' && dots)))
        };
        let mut out = String::with_capacity(name.len());
        for (i, c) in name.chars().enumerate() {
            if allowed(i == 0, c) {
                out.push(c);
            } else if i == 0 && c.is_ascii_digit() && underscore {
                // A leading digit is kept behind an underscore.
                out.push('_');
                out.push(c);
            } else {
                replace(c, underscore, &mut out);
            }
        }
        if out == name { Cow::Borrowed(name) } else { Cow::Owned(out) }
    }
}

/// Appends what stands for a character: per UTF-16 unit `_`, or `_u` and lower-case hex, with `00` in front of one
/// or two digits.
fn replace(c: char, plain: bool, out: &mut String) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        if plain {
            out.push('_');
        } else {
            let padding = if *unit < 0x100 { "00" } else { "" };
            out.push_str(&format!("_u{padding}{unit:x}"));
        }
    }
}

/// `topic.naming.strategy`: how a table's name becomes a topic.
#[derive(Debug, Clone, Default)]
pub enum TopicStrategy {
    /// The parts joined; characters a topic cannot have become `_`.
    #[default]
    Default,
    /// The same with `_uXXXX` for such characters and for `_`.
    Unicode,
    /// The default name, rewritten.
    Regex(Box<TopicRewrite>),
}

/// Options of the regex strategies.
#[derive(Debug, Clone)]
pub struct TopicRewrite {
    /// `topic.regex` and `topic.replacement`.
    pub topic: Rewrite,
    /// `topic.key.field.name`, unless `topic.key.enforce.uniqueness` is off.
    pub key_field: Option<Arc<str>>,
    /// `topic.key.field.regex` and `topic.key.field.replacement`.
    pub key_value: Option<Rewrite>,
}

/// Names of a connector's topics.
#[derive(Debug, Clone)]
pub struct TopicNaming {
    /// `topic.prefix`.
    pub prefix: String,
    /// `topic.delimiter`.
    pub delimiter: String,
    /// Strategy.
    pub strategy: TopicStrategy,
    /// `topic.transaction`.
    pub transaction: String,
    /// `topic.heartbeat.prefix`.
    pub heartbeat_prefix: String,
    /// `topic.heartbeat.name`.
    pub heartbeat_name: Option<String>,
}

impl TopicNaming {
    /// The default names under a prefix.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            delimiter: ".".into(),
            strategy: TopicStrategy::Default,
            transaction: "transaction".into(),
            heartbeat_prefix: "__debezium-heartbeat".into(),
            heartbeat_name: None,
        }
    }

    /// The topic of a table's changes. Blank parts are left out.
    pub fn table(&self, id: &TableId) -> String {
        let original = self.original(id);
        match &self.strategy {
            TopicStrategy::Default | TopicStrategy::Unicode => original,
            // An empty name is no topic: the original stays, as where nothing matches.
            TopicStrategy::Regex(rewrite) => {
                rewrite.topic.apply(&original).filter(|topic| !topic.is_empty()).unwrap_or(original)
            }
        }
    }

    /// The field the regex strategies add to every key, and its value for a table.
    pub fn key_field(&self, id: &TableId) -> Option<(Arc<str>, String)> {
        let TopicStrategy::Regex(rewrite) = &self.strategy else { return None };
        let name = rewrite.key_field.clone()?;
        let original = self.original(id);
        let value = rewrite.key_value.as_ref().and_then(|rewrite| rewrite.apply(&original));
        Some((name, value.unwrap_or(original)))
    }

    /// The topic of schema changes.
    pub fn schema_changes(&self) -> String {
        self.prefix.clone()
    }

    /// The topic of transaction marks.
    pub fn transactions(&self) -> String {
        format!("{}{}{}", self.prefix, self.delimiter, self.transaction)
    }

    /// The topic of heartbeats.
    pub fn heartbeats(&self) -> String {
        match &self.heartbeat_name {
            Some(name) if !name.trim().is_empty() => name.clone(),
            _ => format!("{}{}{}", self.heartbeat_prefix, self.delimiter, self.prefix),
        }
    }

    fn original(&self, id: &TableId) -> String {
        let parts = [self.prefix.as_str(), id.namespace(), id.name()];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.trim().is_empty()).collect();
        sanitized(&parts.join(&self.delimiter), !matches!(self.strategy, TopicStrategy::Unicode))
    }
}

/// Longest name of a topic that Kafka takes.
const TOPIC_LENGTH: usize = 249;

fn sanitized(name: &str, plain: bool) -> String {
    match name {
        "." if plain => return "_".into(),
        ".." if plain => return "__".into(),
        "." => return "_u002e".into(),
        ".." => return "_u002e_u002e".into(),
        _ => {}
    }
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        let allowed = c.is_ascii_alphanumeric() || matches!(c, '.' | '-') || (c == '_' && plain);
        if allowed { out.push(c) } else { replace(c, plain, &mut out) }
    }
    // All of it is ASCII by now.
    out.truncate(TOPIC_LENGTH);
    out
}

/// `<T>.Key`, `<T>.Value` and `<T>.Envelope` of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaNames {
    /// Name of the key struct.
    pub key: Arc<str>,
    /// Name of the row struct.
    pub value: Arc<str>,
    /// Name of the envelope.
    pub envelope: Arc<str>,
}

impl SchemaNames {
    /// The adjusted names for a topic.
    pub fn new(topic: &str, adjustment: NameAdjustment) -> Self {
        let name = |part: &str| adjustment.schema_name(&format!("{topic}.{part}")).into();
        Self { key: name("Key"), value: name("Value"), envelope: name("Envelope") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjustments() {
        let avro = NameAdjustment::Avro;
        assert_eq!(avro.schema_name("1a-b.2c.é😀"), "_1a_b.2c.___");
        assert_eq!(avro.field_name("a.b-c"), "a_b_c");
        assert_eq!(NameAdjustment::None.field_name("a.b-é"), "a.b-é");
        let unicode = NameAdjustment::AvroUnicode;
        assert_eq!(unicode.schema_name("a-b_c.\tİ😀"), "a_u002db_u005fc._u009_u130_ud83d_ude00");
        assert_eq!(unicode.field_name("a.b"), "a_u002eb");
        assert_eq!(unicode.field_name("1a"), "_u0031a");
    }

    #[test]
    fn topics() {
        let mut naming = TopicNaming::new("p");
        let id = TableId::new("my db", "t_é");
        assert_eq!(naming.table(&id), "p.my_db.t__");
        assert_eq!(naming.table(&TableId::new("", "t")), "p.t");
        assert_eq!(naming.table(&TableId::new("d", "x".repeat(300))).len(), 249);
        assert_eq!(naming.transactions(), "p.transaction");
        assert_eq!(naming.heartbeats(), "__debezium-heartbeat.p");
        naming.strategy = TopicStrategy::Unicode;
        assert_eq!(naming.table(&id), "p.my_u0020db.t_u005f_u00e9");
        naming.heartbeat_name = Some("beat".into());
        assert_eq!(naming.heartbeats(), "beat");
        let names = SchemaNames::new("p.my-db.t", NameAdjustment::Avro);
        assert_eq!(&*names.envelope, "p.my_db.t.Envelope");
    }

    #[test]
    fn rewritten_topics_tell_their_tables_apart_in_the_key() {
        let rewrite = TopicRewrite {
            topic: Rewrite::new(r"(.*)customers_shard_\d+", "$1customers").expect("valid"),
            key_field: Some("__dbz__physicalTableIdentifier".into()),
            key_value: Some(Rewrite::new(r".*_(\d+)", "shard-$1").expect("valid")),
        };
        let naming = TopicNaming { strategy: TopicStrategy::Regex(Box::new(rewrite)), ..TopicNaming::new("p") };
        let shard = TableId::new("d", "customers_shard_7");
        assert_eq!(naming.table(&shard), "p.d.customers");
        assert_eq!(naming.key_field(&shard), Some(("__dbz__physicalTableIdentifier".into(), "shard-7".into())));
        let other = TableId::new("d", "orders");
        assert_eq!(naming.table(&other), "p.d.orders");
        assert_eq!(naming.key_field(&other).map(|(_, value)| value).as_deref(), Some("p.d.orders"));
    }
}
