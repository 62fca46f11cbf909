//! Names of binlog files.

use super::GtidError;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The name of a binlog file, `<base>.<number>`.
///
/// Files of one base are ordered by number, so that `binlog.1000000` follows `binlog.999999`; files of different bases
/// have no order.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BinlogFile {
    name: String,
    base_len: usize,
    number: u64,
}

impl BinlogFile {
    /// The name as the server prints it.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The part before the number's dot.
    pub fn base(&self) -> &str {
        self.name.get(..self.base_len).unwrap_or("")
    }

    /// The number after the last dot.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl FromStr for BinlogFile {
    type Err = GtidError;

    fn from_str(name: &str) -> Result<Self, GtidError> {
        let error = || GtidError::new(name, "no binlog file name (<base>.<number>)");
        let (base, digits) = name.rsplit_once('.').ok_or_else(error)?;
        if base.is_empty() || digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(error());
        }
        let number = digits.parse().map_err(|_| error())?;
        Ok(BinlogFile { name: name.to_owned(), base_len: base.len(), number })
    }
}

impl PartialOrd for BinlogFile {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        if self.base() != other.base() {
            return None;
        }
        match self.number.cmp(&other.number) {
            // The same number written with another count of zeros is another name, and no server has both.
            Ordering::Equal if self.name != other.name => None,
            order => Some(order),
        }
    }
}

impl fmt::Display for BinlogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for BinlogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.name, f)
    }
}
