//! `load PORT HOST PATH COOKIES CONNECTIONS REQUESTS STATUS`: sends that many requests over that many
//! HTTP/2 connections and fails unless every answer has that status. COOKIES is a file: one `cookie`
//! header a line, taken in turn; empty for none. What follows a tab is an `authorization` header, and what follows
//! another is `page` for a browser's navigation.
//!
//! Requests go out in batches, many in one write: the system calls that would drown the difference between
//! two filters are shared by the whole batch. Only what the bench needs of HTTP/2 (RFC 9113) is here: header
//! blocks are literals, and the dynamic table is switched off, so that a status can be read by its bytes.
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;

/// Requests on their way on one connection.
const BATCH: usize = 40;

/// The longest frame that a peer takes unless it says otherwise (RFC 9113 section 4.2).
const MAX_FRAME: usize = 16_384;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, port, host, path, cookies, connections, requests, status] = args.as_slice() else {
        eprintln!("usage: load PORT HOST PATH COOKIES CONNECTIONS REQUESTS STATUS");
        std::process::exit(2);
    };
    let number = |text: &str| text.parse::<usize>().expect("a number");
    let (connections, requests) = (number(connections), number(requests));
    let text = std::fs::read_to_string(cookies).unwrap_or_default();
    let heads: Vec<Vec<u8>> = match text.trim().is_empty() {
        true => vec![head(host, path, None)],
        false => text.lines().map(|cookie| head(host, path, Some(cookie))).collect(),
    };
    std::thread::scope(|scope| {
        for worker in 0..connections {
            let heads = &heads;
            let share = requests / connections + usize::from(worker < requests % connections);
            scope.spawn(move || {
                let mut connection = Connection::open(port);
                let mut turn = 0;
                while turn < share {
                    let batch = BATCH.min(share - turn);
                    connection.ask((turn..turn + batch).map(|t| &heads[(t * connections + worker) % heads.len()]));
                    connection.answers(batch, status);
                    turn += batch;
                }
            });
        }
    });
}

/// A header block of literals without indexing (RFC 7541 section 6.2.2).
fn head(host: &str, path: &str, cookie: Option<&str>) -> Vec<u8> {
    let mut block = Vec::new();
    let mut fields = vec![
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", host),
        (":path", path),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"),
        ("accept-encoding", "gzip, deflate, br"),
        ("accept-language", "en-GB,en;q=0.9"),
        ("sec-fetch-site", "same-origin"),
    ];
    let mut parts = cookie.unwrap_or_default().split('\t').map(|part| (!part.is_empty()).then_some(part));
    let mut part = || parts.next().flatten();
    fields.extend(part().map(|cookie| ("cookie", cookie)));
    fields.extend(part().map(|authorization| ("authorization", authorization)));
    fields.extend(match part() {
        Some(_) => [("accept", "text/html,application/xhtml+xml,*/*;q=0.8"), ("sec-fetch-mode", "navigate")],
        None => [("accept", "application/json, text/plain, */*"), ("sec-fetch-mode", "cors")],
    });
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            length(&mut block, text.len());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// An integer with a prefix of seven bits (RFC 7541 section 5.1).
fn length(block: &mut Vec<u8>, mut value: usize) {
    if value < 127 {
        return block.push(value as u8);
    }
    block.push(127);
    value -= 127;
    while value >= 128 {
        block.push((value % 128 + 128) as u8);
        value /= 128;
    }
    block.push(value as u8);
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

struct Connection {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
    stream: u32,
}

impl Connection {
    fn open(port: &str) -> Self {
        let mut writer = TcpStream::connect(format!("127.0.0.1:{port}")).expect("a connection");
        writer.set_nodelay(true).expect("no delay");
        let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let mut settings = Vec::new();
        for (name, value) in [(1u16, 0u32), (2, 0), (4, 1 << 30)] {
            settings.extend_from_slice(&name.to_be_bytes());
            settings.extend_from_slice(&value.to_be_bytes());
        }
        frame(&mut out, SETTINGS, 0, 0, &settings);
        frame(&mut out, WINDOW_UPDATE, 0, 0, &(1u32 << 30).to_be_bytes());
        writer.write_all(&out).expect("sent");
        Self { reader: BufReader::new(writer.try_clone().expect("a second handle")), writer, stream: 1 }
    }

    fn ask<'a>(&mut self, heads: impl Iterator<Item = &'a Vec<u8>>) {
        let mut out = Vec::new();
        for head in heads {
            let parts = head.chunks(MAX_FRAME).count();
            for (n, part) in head.chunks(MAX_FRAME).enumerate() {
                let (kind, flags) = if n == 0 { (HEADERS, END_STREAM) } else { (CONTINUATION, 0) };
                let flags = if n + 1 == parts { flags | END_HEADERS } else { flags };
                frame(&mut out, kind, flags, self.stream, part);
            }
            self.stream += 2;
        }
        self.writer.write_all(&out).expect("sent");
    }

    fn answers(&mut self, mut left: usize, status: &str) {
        let mut payload = Vec::new();
        while left > 0 {
            let mut head = [0; 9];
            self.reader.read_exact(&mut head).expect("a frame");
            payload.resize(u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize, 0);
            self.reader.read_exact(&mut payload).expect("a whole frame");
            let (kind, flags) = (head[3], head[4]);
            match kind {
                HEADERS => assert!(answers(&payload, status), "expected {status}, found {:02x?}", &payload[..payload.len().min(16)]),
                DATA | WINDOW_UPDATE => {}
                SETTINGS | PING if flags & ACK == 0 => {
                    let mut out = Vec::new();
                    frame(&mut out, kind, ACK, 0, if kind == PING { &payload } else { &[] });
                    self.writer.write_all(&out).expect("sent");
                }
                SETTINGS | PING => {}
                _ => panic!("a frame of type {kind}: the connection or a stream was given up"),
            }
            if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
                left -= 1;
            }
        }
    }
}

/// True where the block begins with this status: indexed, or a literal in plain or Huffman code.
fn answers(mut block: &[u8], status: &str) -> bool {
    while let [first, rest @ ..] = block {
        if first & 0xe0 != 0x20 {
            break;
        }
        block = rest; // the table's new size
    }
    let code: [u8; 2] = match status {
        "200" => return block.first() == Some(&0x88),
        "302" => [0x64, 0x02],
        "401" => [0x68, 0x01],
        _ => return false,
    };
    match block {
        [0x08 | 0x18 | 0x48, 0x82, huffman @ ..] => huffman.starts_with(&code),
        [0x08 | 0x18 | 0x48, 3, plain @ ..] => plain.starts_with(status.as_bytes()),
        _ => false,
    }
}
