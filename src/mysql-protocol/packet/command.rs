//! Payloads of the commands a replication client sends. Each function appends one payload; frame it with
//! [`write_packet`](super::write_packet) and sequence number 0.

use crate::gtid::GtidSet;

const COM_QUIT: u8 = 0x01;
const COM_QUERY: u8 = 0x03;
const COM_PING: u8 = 0x0e;
const COM_BINLOG_DUMP: u8 = 0x12;
const COM_REGISTER_SLAVE: u8 = 0x15;
const COM_STMT_PREPARE: u8 = 0x16;
const COM_STMT_EXECUTE: u8 = 0x17;
const COM_STMT_CLOSE: u8 = 0x19;
const COM_BINLOG_DUMP_GTID: u8 = 0x1e;

/// `BINLOG_DUMP_NON_BLOCK`: end at the last event.
const NON_BLOCK: u16 = 0x01;
/// `BINLOG_THROUGH_GTID`: the set decides where to start.
const THROUGH_GTID: u16 = 0x04;

/// Ends the connection. There is no answer.
pub fn quit(out: &mut Vec<u8>) {
    out.push(COM_QUIT);
}

/// Asks for an OK packet.
pub fn ping(out: &mut Vec<u8>) {
    out.push(COM_PING);
}

/// Runs a statement; the answer is a text result.
pub fn query(out: &mut Vec<u8>, sql: &str) {
    out.push(COM_QUERY);
    out.extend_from_slice(sql.as_bytes());
}

/// Shows up as a replica in the server's lists. `host` is cut to 60 bytes (`HOSTNAME_LENGTH`).
pub fn register_replica(out: &mut Vec<u8>, server_id: u32, host: &str, port: u16) {
    out.push(COM_REGISTER_SLAVE);
    out.extend_from_slice(&server_id.to_le_bytes());
    let host = host.as_bytes().get(..60).unwrap_or(host.as_bytes());
    out.push(u8::try_from(host.len()).unwrap_or(0));
    out.extend_from_slice(host);
    // User and password of the replica: empty, as nobody should see them.
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&port.to_le_bytes());
    // Replication rank and source number: unused.
    out.extend_from_slice(&[0; 8]);
}

/// Starts a dump at a file and offset. Offsets in this command have 32 bits: where `position` does not fit, use
/// [`binlog_dump_gtid`] without a set, which has 64 (every server since 5.6 knows it). `false` means nothing was appended.
#[must_use]
pub fn binlog_dump(out: &mut Vec<u8>, server_id: u32, file: &str, position: u64, is_blocking: bool) -> bool {
    let Ok(position) = u32::try_from(position) else { return false };
    out.push(COM_BINLOG_DUMP);
    out.extend_from_slice(&position.to_le_bytes());
    let flags = if is_blocking { 0 } else { NON_BLOCK };
    out.extend_from_slice(&flags.to_le_bytes());
    out.extend_from_slice(&server_id.to_le_bytes());
    out.extend_from_slice(file.as_bytes());
    true
}

/// Starts a dump that leaves out the transactions of `seen`, or without a set one at `file` and `position`. With a set
/// the file name is empty and the position 4: the server looks for the file itself.
pub fn binlog_dump_gtid(
    out: &mut Vec<u8>,
    server_id: u32,
    file: &str,
    position: u64,
    seen: Option<&GtidSet>,
    is_blocking: bool,
) {
    out.push(COM_BINLOG_DUMP_GTID);
    let flags = if is_blocking { 0 } else { NON_BLOCK } | if seen.is_some() { THROUGH_GTID } else { 0 };
    out.extend_from_slice(&flags.to_le_bytes());
    out.extend_from_slice(&server_id.to_le_bytes());
    out.extend_from_slice(&u32::try_from(file.len()).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(file.as_bytes());
    out.extend_from_slice(&position.to_le_bytes());
    let mut set = Vec::new();
    seen.unwrap_or(&GtidSet::new()).encode(&mut set);
    out.extend_from_slice(&u32::try_from(set.len()).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(&set);
}

/// Prepares a statement; the answer starts with a [`PrepareOk`](super::result::PrepareOk).
pub fn prepare(out: &mut Vec<u8>, sql: &str) {
    out.push(COM_STMT_PREPARE);
    out.extend_from_slice(sql.as_bytes());
}

/// Runs a prepared statement that has no parameters, without a cursor; the answer is a binary result.
pub fn execute(out: &mut Vec<u8>, statement: u32) {
    out.push(COM_STMT_EXECUTE);
    out.extend_from_slice(&statement.to_le_bytes());
    // No cursor; the iteration count is always 1.
    out.push(0);
    out.extend_from_slice(&1u32.to_le_bytes());
}

/// Forgets a prepared statement. There is no answer.
pub fn close(out: &mut Vec<u8>, statement: u32) {
    out.push(COM_STMT_CLOSE);
    out.extend_from_slice(&statement.to_le_bytes());
}
