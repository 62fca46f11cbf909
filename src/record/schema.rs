//! Connect's data model: schemas and dynamic values.

use std::sync::Arc;

/// Connect's types (`org.apache.kafka.connect.data.Schema.Type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// 8-bit signed.
    Int8,
    /// 16-bit signed.
    Int16,
    /// 32-bit signed.
    Int32,
    /// 64-bit signed.
    Int64,
    /// Single precision; `float` in JSON.
    Float32,
    /// Double precision; `double` in JSON.
    Float64,
    /// Truth value.
    Boolean,
    /// UTF-8 text.
    String,
    /// Bytes.
    Bytes,
    /// List.
    Array,
    /// Key-value pairs.
    Map,
    /// Named fields.
    Struct,
}

/// A Connect schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// Base type.
    pub ty: Type,
    /// Whether null is allowed.
    pub optional: bool,
    /// Semantic or struct name.
    pub name: Option<Arc<str>>,
    /// Version.
    pub version: Option<i32>,
    /// Documentation.
    pub doc: Option<Arc<str>>,
    /// Parameters in insertion order.
    pub parameters: Vec<(Arc<str>, Arc<str>)>,
    /// Default value, in the schema's own representation.
    pub default: Option<Value>,
    /// Fields of a struct.
    pub fields: Vec<Field>,
    /// Key schema of a map.
    pub keys: Option<Arc<Schema>>,
    /// Element schema of an array, value schema of a map.
    pub items: Option<Arc<Schema>>,
}

/// A field of a struct schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: Arc<str>,
    /// Its schema.
    pub schema: Arc<Schema>,
}

impl Schema {
    /// A required schema of a type, with nothing else set.
    pub fn new(ty: Type) -> Self {
        Self {
            ty,
            optional: false,
            name: None,
            version: None,
            doc: None,
            parameters: Vec::new(),
            default: None,
            fields: Vec::new(),
            keys: None,
            items: None,
        }
    }

    /// Sets whether null is allowed.
    pub fn optional(mut self, optional: bool) -> Self {
        self.optional = optional;
        self
    }

    /// Sets name and version.
    pub fn named(mut self, name: impl Into<Arc<str>>, version: Option<i32>) -> Self {
        self.name = Some(name.into());
        self.version = version;
        self
    }

    /// Adds a parameter.
    pub fn parameter(mut self, key: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        self.parameters.push((key.into(), value.into()));
        self
    }

    /// Sets the default.
    pub fn default_value(mut self, value: Option<Value>) -> Self {
        self.default = value;
        self
    }

    /// Adds a field to a struct.
    pub fn field(mut self, name: impl Into<Arc<str>>, schema: impl Into<Arc<Schema>>) -> Self {
        self.fields.push(Field { name: name.into(), schema: schema.into() });
        self
    }

    /// An array of `items`.
    pub fn array(items: impl Into<Arc<Schema>>) -> Self {
        Self { items: Some(items.into()), ..Self::new(Type::Array) }
    }
}

/// A dynamic value of some schema. Integers of every width are `Int`; a Decimal is its unscaled
/// two's-complement bytes (minimal, big-endian) with its scale; a struct lists all fields in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Null.
    Null,
    /// Any integer type.
    Int(i64),
    /// Float32.
    Float(f32),
    /// Float64.
    Double(f64),
    /// Boolean.
    Bool(bool),
    /// String.
    Text(Arc<str>),
    /// Bytes.
    Bytes(Arc<[u8]>),
    /// `org.apache.kafka.connect.data.Decimal`.
    Decimal {
        /// Minimal big-endian two's complement.
        unscaled: Arc<[u8]>,
        /// Digits after the point.
        scale: i32,
    },
    /// Array.
    Array(Vec<Value>),
    /// Map.
    Map(Vec<(Value, Value)>),
    /// Struct, one value per field in schema order.
    Struct(Vec<Value>),
}

impl Value {
    /// A text value.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Value::Text(text.into())
    }
}
