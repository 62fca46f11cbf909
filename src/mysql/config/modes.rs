//! The enumerations of the configuration, each with its names in the order in which Debezium lists them in errors.

use engine::config::Choice;

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$case_doc:meta])* $case:ident = $text:literal,)* })*) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[$case_doc])* $case,)* }

        impl Choice for $name {
            const NAMES: &'static [&'static str] = &[$($text),*];

            fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$case),)*
                    _ => None,
                }
            }
        }
    )* };
}

choices! {
    /// `database.ssl.mode`.
    SslMode {
        /// TLS, certificate and host name checked.
        VerifyIdentity = "verify_identity",
        /// No TLS.
        Disabled = "disabled",
        /// TLS if the server offers it, nothing checked.
        Preferred = "preferred",
        /// TLS, nothing checked.
        Required = "required",
        /// TLS, certificate checked.
        VerifyCa = "verify_ca",
    }

    /// What an event that cannot be processed does.
    FailureMode {
        /// It is passed over with a warning.
        Warn = "warn",
        /// It stops the connector.
        Fail = "fail",
        /// It is passed over.
        Ignore = "ignore",
        /// It is passed over, told at debug level.
        Skip = "skip",
    }

    /// `event.converting.failure.handling.mode`.
    ConversionMode {
        /// The field stays unset, with a warning.
        Warn = "warn",
        /// The field stays unset.
        Skip = "skip",
        /// The connector stops.
        Fail = "fail",
    }

    /// `snapshot.mode`, as far as it is supported.
    SnapshotMode {
        /// Structures and rows at the first start, then streaming.
        Initial = "initial",
        /// Structures and rows, no streaming.
        InitialOnly = "initial_only",
        /// Structures at the first start, then streaming.
        NoData = "no_data",
    }

    /// `snapshot.locking.mode`, as far as it is supported.
    LockingMode {
        /// Locks while position and structures are read.
        Minimal = "minimal",
        /// Locks until all rows are read.
        Extended = "extended",
        /// No locks.
        None = "none",
    }

    /// `snapshot.tables.order.by.row.count`.
    RowCountOrder {
        /// By include list and name.
        Disabled = "disabled",
        /// Small tables first.
        Ascending = "ascending",
        /// Large tables first.
        Descending = "descending",
    }

    /// `decimal.handling.mode`.
    DecimalMode {
        /// As text.
        String = "string",
        /// As the nearest double.
        Double = "double",
        /// As Connect Decimal.
        Precise = "precise",
    }

    /// `bigint.unsigned.handling.mode`.
    UnsignedMode {
        /// As Connect Decimal of scale 0.
        Precise = "precise",
        /// As int64; values above 2^63-1 turn negative.
        Long = "long",
    }

    /// `binary.handling.mode`.
    BinaryMode {
        /// As bytes.
        Bytes = "bytes",
        /// As base64 text.
        Base64 = "base64",
        /// As base64 text of the URL alphabet.
        Base64UrlSafe = "base64-url-safe",
        /// As lower-case hex text.
        Hex = "hex",
    }

    /// `time.precision.mode`.
    TimeMode {
        /// TIME in microseconds, the others by the column's precision.
        AdaptiveTimeMicroseconds = "adaptive_time_microseconds",
        /// As ISO 8601 text.
        IsoString = "isostring",
        /// Microseconds.
        Microseconds = "microseconds",
        /// Nanoseconds.
        Nanoseconds = "nanoseconds",
        /// Connect's logical types, milliseconds.
        Connect = "connect",
    }

    /// `schema.name.adjustment.mode`.
    NameAdjustment {
        /// Names stay.
        None = "none",
        /// Characters that Avro does not take, and underscores, become `_uXXXX`.
        AvroUnicode = "avro_unicode",
        /// Characters that Avro does not take become `_`.
        Avro = "avro",
    }

    /// `field.name.adjustment.mode`.
    FieldAdjustment {
        /// Names stay.
        None = "none",
        /// As for schema names, dots included.
        AvroUnicode = "avro_unicode",
        /// As for schema names, dots included.
        Avro = "avro",
    }

    /// `guardrail.collections.limit.action`.
    LimitAction {
        /// A warning.
        Warn = "warn",
        /// The connector stops.
        Fail = "fail",
    }
}
