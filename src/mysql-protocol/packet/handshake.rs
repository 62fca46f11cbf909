//! The server's greeting and the client's answer.

use crate::cursor::Cursor;
use crate::error::Result;

/// `CLIENT_*` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Capabilities(pub u32);

impl Capabilities {
    /// Longer flags in column definitions; always set.
    pub const LONG_PASSWORD: Capabilities = Capabilities(1);
    /// All column flags are sent.
    pub const LONG_FLAG: Capabilities = Capabilities(1 << 2);
    /// The answer names a database.
    pub const CONNECT_WITH_DB: Capabilities = Capabilities(1 << 3);
    /// Version 4.1 of the protocol.
    pub const PROTOCOL_41: Capabilities = Capabilities(1 << 9);
    /// The connection goes on in TLS.
    pub const SSL: Capabilities = Capabilities(1 << 11);
    /// Status flags in OK packets.
    pub const TRANSACTIONS: Capabilities = Capabilities(1 << 13);
    /// Authentication data of 4.1.
    pub const SECURE_CONNECTION: Capabilities = Capabilities(1 << 15);
    /// Several results per command.
    pub const MULTI_RESULTS: Capabilities = Capabilities(1 << 17);
    /// Several results per prepared statement.
    pub const PS_MULTI_RESULTS: Capabilities = Capabilities(1 << 18);
    /// Authentication methods have names.
    pub const PLUGIN_AUTH: Capabilities = Capabilities(1 << 19);
    /// The answer has attributes such as the program's name.
    pub const CONNECT_ATTRS: Capabilities = Capabilities(1 << 20);
    /// Authentication data may be longer than 255 bytes.
    pub const PLUGIN_AUTH_LENENC: Capabilities = Capabilities(1 << 21);
    /// OK packets in the place of EOF packets.
    pub const DEPRECATE_EOF: Capabilities = Capabilities(1 << 24);

    /// Whether all bits of `other` are set.
    pub fn contains(self, other: Capabilities) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for Capabilities {
    type Output = Capabilities;

    fn bitor(self, other: Capabilities) -> Capabilities {
        Capabilities(self.0 | other.0)
    }
}

impl std::ops::BitAnd for Capabilities {
    type Output = Capabilities;

    fn bitand(self, other: Capabilities) -> Capabilities {
        Capabilities(self.0 & other.0)
    }
}

/// The server's greeting, version 10.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The server's version text.
    pub server_version: String,
    /// The connection's number.
    pub connection_id: u32,
    /// What the server can do.
    pub capabilities: Capabilities,
    /// Number of the server's default collation.
    pub collation: u8,
    /// The server's status bits.
    pub status: u16,
    /// The name of the authentication method it proposes.
    pub auth_plugin: String,
    /// The random bytes that passwords are mixed with: 20, or 8 of an ancient server.
    pub scramble: Vec<u8>,
}

impl Handshake {
    /// Reads the greeting. A server that refuses the connection at once sends an
    /// [`ErrPacket`](super::ErrPacket) instead (first byte `0xff`).
    ///
    /// # Errors
    /// Cut short, or another version of the protocol.
    pub fn parse(payload: &[u8]) -> Result<Handshake> {
        let mut c = Cursor::new(payload, "server greeting");
        if c.u8()? != 10 {
            return Err(c.invalid("protocol version is not 10"));
        }
        let server_version = String::from_utf8_lossy(c.until_nul()?).into_owned();
        let connection_id = c.u32()?;
        let mut scramble = c.take(8)?.to_vec();
        c.take(1)?;
        let low = c.u16()?;
        let mut handshake = Handshake {
            server_version,
            connection_id,
            capabilities: Capabilities(u32::from(low)),
            collation: 0,
            status: 0,
            auth_plugin: "mysql_native_password".to_owned(),
            scramble: Vec::new(),
        };
        if !c.is_empty() {
            handshake.collation = c.u8()?;
            handshake.status = c.u16()?;
            let high = c.u16()?;
            handshake.capabilities = Capabilities(u32::from(high) << 16 | u32::from(low));
            let scramble_len = usize::from(c.u8()?);
            c.take(10)?;
            if handshake.capabilities.contains(Capabilities::SECURE_CONNECTION) {
                // The second part has at least 13 bytes, the last of which is NUL.
                let part = c.take(scramble_len.saturating_sub(8).max(13))?;
                scramble.extend_from_slice(part.strip_suffix(&[0]).unwrap_or(part));
            }
            if handshake.capabilities.contains(Capabilities::PLUGIN_AUTH) {
                // Some old servers leave out the closing NUL.
                let name = c.take_rest();
                let name = name.split(|b| *b == 0).next().unwrap_or(name);
                handshake.auth_plugin = String::from_utf8_lossy(name).into_owned();
            }
        }
        handshake.scramble = scramble;
        Ok(handshake)
    }
}

/// The client's answer to the greeting.
#[derive(Clone, Debug)]
pub struct HandshakeResponse<'a> {
    /// What the client wants, already cut to what the server can.
    pub capabilities: Capabilities,
    /// The largest packet the client takes.
    pub max_packet: u32,
    /// Number of the connection's collation; 45 is utf8mb4_general_ci, which every server since 5.5.3 knows.
    pub collation: u8,
    /// The user's name.
    pub user: &'a [u8],
    /// What [`Auth::initial`](super::auth::Auth::initial) gave.
    pub auth_data: &'a [u8],
    /// The default database.
    pub database: Option<&'a [u8]>,
    /// The authentication method `auth_data` is for.
    pub auth_plugin: &'a str,
    /// Names and values that show up in `performance_schema.session_connect_attrs`.
    pub attributes: &'a [(&'a str, &'a str)],
}

impl HandshakeResponse<'_> {
    /// What a client of this crate can do, TLS and database left out.
    pub const CAPABILITIES: Capabilities = Capabilities(
        Capabilities::LONG_PASSWORD.0
            | Capabilities::LONG_FLAG.0
            | Capabilities::PROTOCOL_41.0
            | Capabilities::TRANSACTIONS.0
            | Capabilities::SECURE_CONNECTION.0
            | Capabilities::MULTI_RESULTS.0
            | Capabilities::PS_MULTI_RESULTS.0
            | Capabilities::PLUGIN_AUTH.0
            | Capabilities::CONNECT_ATTRS.0
            | Capabilities::PLUGIN_AUTH_LENENC.0
            | Capabilities::DEPRECATE_EOF.0,
    );

    /// The bits sent: the wanted ones, and the database's if there is one.
    fn bits(&self) -> Capabilities {
        if self.database.is_some() { self.capabilities | Capabilities::CONNECT_WITH_DB } else { self.capabilities }
    }

    fn head(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bits().0.to_le_bytes());
        out.extend_from_slice(&self.max_packet.to_le_bytes());
        out.push(self.collation);
        out.extend_from_slice(&[0; 23]);
    }

    /// Appends the payload that asks for TLS. `capabilities` must have [`Capabilities::SSL`]; the connection goes on in
    /// TLS and the answer proper follows inside.
    pub fn write_ssl_request(&self, out: &mut Vec<u8>) {
        self.head(out);
    }

    /// Appends the payload of the answer.
    pub fn write(&self, out: &mut Vec<u8>) {
        let bits = self.bits();
        self.head(out);
        push_nul_text(out, self.user);
        if bits.contains(Capabilities::PLUGIN_AUTH_LENENC) {
            push_lenenc_bytes(out, self.auth_data);
        } else {
            let len = u8::try_from(self.auth_data.len()).unwrap_or(0);
            out.push(len);
            out.extend_from_slice(self.auth_data.get(..usize::from(len)).unwrap_or(&[]));
        }
        if let Some(database) = self.database {
            push_nul_text(out, database);
        }
        if bits.contains(Capabilities::PLUGIN_AUTH) {
            push_nul_text(out, self.auth_plugin.as_bytes());
        }
        if bits.contains(Capabilities::CONNECT_ATTRS) {
            let mut attributes = Vec::new();
            for (name, value) in self.attributes {
                push_lenenc_bytes(&mut attributes, name.as_bytes());
                push_lenenc_bytes(&mut attributes, value.as_bytes());
            }
            push_lenenc_bytes(out, &attributes);
        }
    }
}

/// Text and a closing NUL; a NUL inside ends the text, so that it cannot become something else.
fn push_nul_text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(text.iter().copied().take_while(|b| *b != 0));
    out.push(0);
}

fn push_lenenc_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = bytes.len().to_le_bytes();
    let [a, b, c, ..] = len;
    match bytes.len() {
        0..=0xfa => out.push(a),
        0xfb..=0xffff => out.extend_from_slice(&[0xfc, a, b]),
        0x1_0000..=0xff_ffff => out.extend_from_slice(&[0xfd, a, b, c]),
        n => {
            out.push(0xfe);
            out.extend_from_slice(&u64::try_from(n).unwrap_or(u64::MAX).to_le_bytes());
        }
    }
    out.extend_from_slice(bytes);
}
