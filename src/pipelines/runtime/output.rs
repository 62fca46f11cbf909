//! What commands print for people.

use std::{fmt::Arguments, io::Write};

use super::Error;

/// Where a command prints.
pub type Out<'a> = &'a mut (dyn Write + Send);

/// Prints a line.
///
/// # Errors
/// [`Error::Io`] when nobody takes it.
pub fn say(out: Out<'_>, line: Arguments<'_>) -> Result<(), Error> {
    writeln!(out, "{line}").map_err(|e| Error::io("writing output", &e))
}
