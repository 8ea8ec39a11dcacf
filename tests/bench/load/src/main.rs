//! `load PORT HOST PATH COOKIES CONNECTIONS REQUESTS STATUS`: sends that many requests over that many
//! keep-alive connections, one at a time on each, and fails unless every answer has that status.
//! COOKIES is a file: one `cookie` header a line, taken in turn; empty for none.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

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
    let wanted = format!("HTTP/1.1 {status} ");
    std::thread::scope(|scope| {
        for worker in 0..connections {
            let (heads, wanted) = (&heads, &wanted);
            let share = requests / connections + usize::from(worker < requests % connections);
            scope.spawn(move || {
                let stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("a connection");
                stream.set_nodelay(true).expect("no delay");
                let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
                let mut writer = stream;
                for turn in 0..share {
                    writer.write_all(&heads[(turn * connections + worker) % heads.len()]).expect("sent");
                    answer(&mut reader, wanted);
                }
            });
        }
    });
}

fn head(host: &str, path: &str, cookie: Option<&str>) -> Vec<u8> {
    let mut text = format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n\
         accept: application/json, text/plain, */*\r\naccept-encoding: gzip, deflate, br\r\n\
         accept-language: en-GB,en;q=0.9\r\nsec-fetch-site: same-origin\r\nsec-fetch-mode: cors\r\n"
    );
    if let Some(cookie) = cookie {
        text.push_str(&format!("cookie: {cookie}\r\n"));
    }
    text.push_str("\r\n");
    text.into_bytes()
}

fn answer(reader: &mut BufReader<TcpStream>, wanted: &str) {
    let (mut line, mut length, mut first) = (String::new(), 0usize, true);
    loop {
        line.clear();
        assert!(reader.read_line(&mut line).expect("an answer") > 0, "the connection was closed");
        if first {
            assert!(line.starts_with(wanted), "expected {wanted}, found {line}");
            first = false;
        }
        if line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().expect("a length");
            }
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
}
