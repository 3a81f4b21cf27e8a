//! HTTP/2 by hand, for bytes that no gRPC library would send.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use byzlab::runtime::wire::proto::Envelope;
use byzlab::runtime::wire::proto::envelope::Body;
use prost::Message as _;

use super::lab::DEADLINE;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
pub(super) const SETTINGS: u8 = 4;
const END_HEADERS: u8 = 4;

/// A frame: its length, kind, flags, stream and content.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let mut frame = (content.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(content);
    frame
}

/// The headers of a call, none of them compressed.
fn call(path: &str) -> Vec<u8> {
    // `:method: POST` and `:scheme: http` stand in the static table.
    let mut block = vec![0x83, 0x86];
    // A literal `:path`, `:authority` and `content-type`, by the numbers of their names there.
    for (name, value) in
        [(&[0x04][..], path), (&[0x01], "coordinator"), (&[0x0f, 0x10], "application/grpc")]
    {
        block.extend(name);
        block.push(value.len() as u8);
        block.extend(value.as_bytes());
    }
    // `te: trailers`, both literal.
    block.extend([0x00, 2]);
    block.extend(b"te");
    block.push(8);
    block.extend(b"trailers");
    block
}

/// One conversation on a connection of its own, as bytes.
pub(super) struct Socket(pub(super) TcpStream);

impl Socket {
    pub(super) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Socket(stream)
    }

    /// Opens a conversation, with nothing said in it yet.
    pub(super) fn call(address: SocketAddr) -> Self {
        Self::call_path(address, "/byzlab.v1.Federation/Converse")
    }

    /// The same with another method of a service.
    pub(super) fn call_path(address: SocketAddr, path: &str) -> Self {
        let mut socket = Self::connect(address);
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame(SETTINGS, 0, 0, &[]));
        let headers = call(path);
        bytes.extend(frame(HEADERS, END_HEADERS, 1, &headers));
        assert!(socket.send(&bytes));
        socket
    }

    /// Sends bytes, and says whether anybody takes them.
    pub(super) fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// Sends content on the conversation's stream.
    pub(super) fn data(&mut self, content: &[u8]) -> bool {
        self.send(&frame(DATA, 0, 1, content))
    }

    /// Sends a whole envelope.
    pub(super) fn say(&mut self, body: Body) -> bool {
        let envelope = Envelope { body: Some(body) }.encode_to_vec();
        let mut message = vec![0];
        message.extend((envelope.len() as u32).to_be_bytes());
        message.extend(envelope);
        self.data(&message)
    }

    /// Reads until so many bytes have come; whether they did.
    pub(super) fn hear(&mut self, bytes: usize) -> bool {
        let mut buffer = vec![0; bytes];
        self.0.read_exact(&mut buffer).is_ok()
    }

    /// Waits until the other end closes the connection.
    pub(super) fn closed(&mut self, within: Duration) -> bool {
        self.0.set_read_timeout(Some(within)).unwrap();
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        }
    }
}
