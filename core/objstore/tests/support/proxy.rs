//! A TCP proxy before an HTTP server that spoils the first exchanges as planned.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to one request.
#[derive(Clone, Debug)]
pub enum Spoil {
    /// The server gets it; its answer is dropped and the connection closed.
    DropAnswer,
    /// The server does not get it; this status and S3 error code are the answer.
    Answer(u16, &'static str),
    /// The server does not get it and the connection is closed.
    Close,
}

/// Starts a proxy before `port` on this machine and returns its own port. Requests whose method is `method`
/// are spoiled in order of the plan, all others pass. The threads end with the process.
pub fn start(port: u16, method: &'static str, plan: Vec<Spoil>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let own_port = listener.local_addr().expect("an address").port();
    let plan = Arc::new(Mutex::new(VecDeque::from(plan)));
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let plan = Arc::clone(&plan);
            std::thread::spawn(move || serve(client, port, method, &plan));
        }
    });
    own_port
}

/// One connection, one request.
fn serve(mut client: TcpStream, port: u16, method: &str, plan: &Mutex<VecDeque<Spoil>>) {
    let Some(request) = read_message(&mut client) else { return };
    let is_meant = request.starts_with(format!("{method} ").as_bytes());
    let spoil = if is_meant { plan.lock().expect("no panic").pop_front() } else { None };
    let answer = match spoil {
        None => forward(&request, port),
        Some(Spoil::DropAnswer) => {
            forward(&request, port);
            return;
        }
        Some(Spoil::Close) => return,
        Some(Spoil::Answer(status, code)) => {
            let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
            let head = format!(
                "HTTP/1.1 {status} Spoiled\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n",
                body.len()
            );
            (head + &body).into_bytes()
        }
    };
    // The client may have gone.
    let _ = client.write_all(&answer);
}

fn forward(request: &[u8], port: u16) -> Vec<u8> {
    let mut server = TcpStream::connect(("127.0.0.1", port)).expect("the server accepts");
    server.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket option");
    let head_end = find(request, b"\r\n").expect("a request line");
    let mut closing = request[..head_end + 2].to_vec();
    closing.extend_from_slice(b"Connection: close\r\n");
    closing.extend_from_slice(&request[head_end + 2..]);
    server.write_all(&closing).expect("sent");
    let mut answer = Vec::new();
    let _ = server.read_to_end(&mut answer);
    answer
}

/// A head and as many bytes as its Content-Length says; `None` at the end of the connection.
fn read_message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    let mut chunk = [0; 65536];
    loop {
        if let Some(head_end) = find(&message, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&message[..head_end]).to_ascii_lowercase();
            if head.contains("expect: 100-continue") && message.len() == head_end + 4 {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
            }
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |text| text.trim().parse().unwrap_or(0));
            if message.len() >= head_end + 4 + length {
                return Some(message);
            }
        }
        match stream.read(&mut chunk).ok()? {
            0 => return None,
            count => message.extend_from_slice(&chunk[..count]),
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
