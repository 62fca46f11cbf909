//! What a connector's configuration says about its records.

use std::sync::Arc;

/// How `org.apache.kafka.connect.json.JsonConverter` prints Decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DecimalFormat {
    /// Base64 of the unscaled bytes.
    #[default]
    Base64,
    /// A JSON number, Java's `BigDecimal.toString`.
    Numeric,
}

/// Options of one JsonConverter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonSettings {
    /// `schemas.enable`: wrap into `{"schema":..,"payload":..}`.
    pub schemas_enable: bool,
    /// `decimal.format`.
    pub decimal_format: DecimalFormat,
    /// `replace.null.with.default`: write the schema's default for a null.
    pub replace_null_with_default: bool,
}

impl Default for JsonSettings {
    fn default() -> Self {
        Self { schemas_enable: true, decimal_format: DecimalFormat::Base64, replace_null_with_default: true }
    }
}

/// The header converter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeaderConverter {
    /// `org.apache.kafka.connect.storage.SimpleHeaderConverter`.
    #[default]
    Simple,
    /// `org.apache.kafka.connect.json.JsonConverter` with its options.
    Json(JsonSettings),
}

/// `event.converting.failure.handling.mode`: what one value that cannot be converted does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConversionFailure {
    /// Stop.
    Fail,
    /// The field is left unset, with a warning (rate-limited, names table and column, never the value).
    #[default]
    Warn,
    /// The field is left unset.
    Skip,
}

/// `event.processing.failure.handling.mode`: what a row whose records cannot be made does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProcessingFailure {
    /// Stop.
    #[default]
    Fail,
    /// The row is passed over, with a warning.
    Warn,
    /// The row is passed over.
    Skip,
}

/// Everything about records that is the same for all tables of a connector task.
#[derive(Debug, Clone)]
pub struct RecordSettings {
    /// Converter of keys.
    pub key: JsonSettings,
    /// Converter of values.
    pub value: JsonSettings,
    /// Converter of headers.
    pub header: HeaderConverter,
    /// `tombstones.on.delete`.
    pub tombstones: bool,
    /// `skip.messages.without.change`.
    pub skip_unchanged: bool,
    /// `event.converting.failure.handling.mode`.
    pub conversion_failure: ConversionFailure,
    /// `event.processing.failure.handling.mode`.
    pub processing_failure: ProcessingFailure,
    /// `enable.time.adjuster`: two-digit years become 1970..2069.
    pub adjust_years: bool,
    /// The four context headers with their values, in order; empty when `extended.headers.enabled=false`.
    pub context_headers: Vec<(Arc<str>, Arc<str>)>,
}

impl Default for RecordSettings {
    fn default() -> Self {
        Self {
            key: JsonSettings::default(),
            value: JsonSettings::default(),
            header: HeaderConverter::Simple,
            tombstones: true,
            skip_unchanged: false,
            conversion_failure: ConversionFailure::Warn,
            processing_failure: ProcessingFailure::Fail,
            adjust_years: true,
            context_headers: Vec::new(),
        }
    }
}
