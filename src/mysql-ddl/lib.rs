//! MySQL and MariaDB data definition: text in, a model of the tables out.
//!
//! This crate owns three things. [`token`] and [`statement`] read the text of a statement as the server's own
//! lexer and grammar would, skipping what cannot touch a column. [`Tables`] is the model a change stream needs to
//! give names and types to row images: it starts from `SHOW CREATE TABLE` and follows the statements found in the
//! binlog. [`history`] writes and reads the model's changes as Debezium keeps them in its schema history topic.
//!
//! A statement decides and not the server's catalogue, because a catalogue read today may already be from the
//! future of the binlog position, and because Debezium's types follow the words of the statement. Where a clause
//! that may touch columns is not understood, the statement is [`Certainty::Unsure`] and the model stays as it is:
//! the caller then asks the server. A column list is never guessed.
//!
//! The crate does no I/O, reads no clock, writes no log and never recurses on its input: time and memory are linear
//! in the length of the text.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod apply;
mod column_type;
mod edit;
pub mod history;
pub mod ignore;
mod model;
pub mod statement;
mod tables;
pub mod token;

pub use apply::{ChangeKind, Context, DdlChange, Effect, TableChange};
pub use column_type::ColumnType;
pub use model::{Column, DefaultText, Table, TableId};
pub use statement::{Certainty, ParseError, Parsed, TableName, parse};
pub use tables::Tables;
pub use token::Lexing;
