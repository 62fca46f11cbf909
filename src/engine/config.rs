//! Options as a table: one row per option, from which parsing, validation, documentation and forms come.

/// Connect's configuration types (`ConfigDef.Type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigType {
    /// `BOOLEAN`
    Boolean,
    /// `STRING`
    String,
    /// `INT`
    Int,
    /// `SHORT`
    Short,
    /// `LONG`
    Long,
    /// `DOUBLE`
    Double,
    /// `LIST`
    List,
    /// `CLASS`
    Class,
    /// `PASSWORD`
    Password,
}

/// Importance of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    /// `HIGH`
    High,
    /// `MEDIUM`
    Medium,
    /// `LOW`
    Low,
}

/// Width of an option's field in a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// `NONE`
    None,
    /// `SHORT`
    Short,
    /// `MEDIUM`
    Medium,
    /// `LONG`
    Long,
}

/// Checks one value; the error is the text after Debezium's `The '<name>' value is invalid: `.
pub type Validator = fn(Option<&str>) -> Result<(), String>;

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct Option_ {
    /// Key.
    pub name: &'static str,
    /// Type.
    pub ty: ConfigType,
    /// Default as text.
    pub default: Option<&'static str>,
    /// Importance.
    pub importance: Importance,
    /// Group of the form.
    pub group: &'static str,
    /// Order in the group.
    pub order: i32,
    /// Width of the field.
    pub width: Width,
    /// Display name.
    pub display: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Check of a value.
    pub validate: Option<Validator>,
    /// Values to offer.
    pub recommended: &'static [&'static str],
}

/// A plugin's options.
#[derive(Debug, Clone, Copy)]
pub struct ConfigDef {
    /// The rows, in the order of forms and answers.
    pub options: &'static [Option_],
}
