//! A mirror on this machine that can be told to misbehave.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a mirror is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) path: String,
    /// The first byte that is wanted, if not all are.
    pub(super) from: Option<usize>,
}

/// What it does about it.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// Serves these bytes, or the range of them that is wanted.
    Bytes(Vec<u8>),
    /// Serves all of them, whatever range is wanted.
    Whole(Vec<u8>),
    /// Promises the wanted range and closes the connection after so many bytes of it.
    Cut(Vec<u8>, usize),
    /// A status and nothing else.
    Status(u16),
    /// Never stops sending, and promises no length.
    Endless,
    /// Never answers.
    Silence,
}

/// A mirror that answers one request after the other, until it is dropped.
pub(super) struct Mirror {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    closing: Arc<AtomicBool>,
    release: Option<std::sync::mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Mirror {
    /// Answers request number `n` (from 0) with `reply(n, request)`.
    pub(super) fn new(mut reply: impl FnMut(usize, &Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let closing = Arc::new(AtomicBool::new(false));
        let (release, released) = channel();
        let (log, stop) = (Arc::clone(&requests), Arc::clone(&closing));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                let Some(request) = read_request(&stream) else { continue };
                let number = log.lock().unwrap().len();
                log.lock().unwrap().push(request.clone());
                // A client that has seen enough hangs up, which is its right.
                let _ = answer(stream, &request, reply(number, &request), &released);
            }
        });
        Mirror { address, requests, closing, release: Some(release), thread: Some(thread) }
    }

    /// Its address, to be handed to a fetch.
    pub(super) fn url(&self) -> String {
        format!("http://{}/dots/", self.address)
    }

    /// What it has been asked so far: path below the set, and first byte.
    pub(super) fn asked(&self) -> Vec<(String, Option<usize>)> {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .map(|request| (request.path.replacen("/dots/", "", 1), request.from))
            .collect()
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        drop(self.release.take());
        let _ = TcpStream::connect(self.address);
        let ended = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            ended.unwrap();
        }
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let mut from = None;
    for line in lines.take_while(|line| !line.is_empty()) {
        let line = line.to_ascii_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().ok();
        }
    }
    Some(Request { path, from })
}

fn answer(
    mut stream: TcpStream,
    request: &Request,
    reply: Reply,
    released: &Receiver<()>,
) -> std::io::Result<()> {
    match reply {
        Reply::Bytes(bytes) => serve_range(&mut stream, &bytes, request.from, usize::MAX),
        Reply::Cut(bytes, after) => serve_range(&mut stream, &bytes, request.from, after),
        Reply::Whole(bytes) => serve_range(&mut stream, &bytes, None, usize::MAX),
        Reply::Status(status) => head(&mut stream, status, &["Content-Length: 0".to_owned()]),
        Reply::Endless => {
            head(&mut stream, 200, &["X-Length: unknown".to_owned()])?;
            loop {
                stream.write_all(&[7; 4096])?;
            }
        }
        Reply::Silence => {
            let _ = released.recv_timeout(Duration::from_secs(20));
            Ok(())
        }
    }
}

fn serve_range(
    stream: &mut TcpStream,
    bytes: &[u8],
    from: Option<usize>,
    after: usize,
) -> std::io::Result<()> {
    let start = from.unwrap_or(0);
    if start >= bytes.len() && from.is_some() {
        return head(stream, 416, &["Content-Length: 0".to_owned()]);
    }
    let rest = &bytes[start..];
    let mut headers = vec![format!("Content-Length: {}", rest.len())];
    if from.is_some() {
        let last = bytes.len() - 1;
        headers.push(format!("Content-Range: bytes {start}-{last}/{}", bytes.len()));
    }
    head(stream, if from.is_some() { 206 } else { 200 }, &headers)?;
    stream.write_all(&rest[..after.min(rest.len())])
}

fn head(stream: &mut TcpStream, status: u16, headers: &[String]) -> std::io::Result<()> {
    let headers = headers.join("\r\n");
    write!(stream, "HTTP/1.1 {status} X\r\nConnection: close\r\n{headers}\r\n\r\n")
}
