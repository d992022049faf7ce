//! The smallest HTTP/1.1 client that tests need: one kept connection, lengths and chunks, no TLS.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// No answer of a test is waited for longer than this.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Head lines longer than this are refused.
const MAX_HEAD_LINE_BYTES: u64 = 64 * 1024;

/// An answer, read to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, and their values, in order.
    pub headers: Vec<(String, String)>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of this name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text; bytes that are no UTF-8 become replacement characters.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// If it is none; the message shows how it starts.
    pub fn json(&self) -> io::Result<serde_json::Value> {
        serde_json::from_slice(&self.body).map_err(|err| {
            let start: String = self.text().chars().take(200).collect();
            invalid(format!("status {}: body is not JSON ({err}): {start}", self.status))
        })
    }
}

/// One connection that is kept open between requests, and opened again when the other side closed it.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    /// A client that connects at its first request.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    /// Fetches `target` (path and query, already percent-encoded).
    ///
    /// # Errors
    /// If there is no connection or the answer is no HTTP.
    pub fn get(&mut self, target: &str) -> io::Result<Response> {
        self.request("GET", target, &[], b"")
    }

    /// Posts `body` to `target`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn post(&mut self, target: &str, content_type: &str, body: &[u8]) -> io::Result<Response> {
        self.request("POST", target, &[("content-type", content_type)], body)
    }

    /// Sends any request. It is sent a second time only where a kept connection turned out to be closed
    /// before a byte of an answer came, and the method is GET: a post must not be doubled.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        let was_open = self.connection.is_some();
        match self.exchange(method, target, headers, body) {
            Err(err) if was_open && method == "GET" && is_closed(&err) => {
                self.exchange(method, target, headers, body)
            }
            done => done,
        }
    }

    fn exchange(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        let mut connection = match self.connection.take() {
            Some(open) => open,
            None => connect(self.address)?,
        };
        let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {}\r\n", self.address);
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").expect("writing to a string cannot fail");
        }
        write!(head, "content-length: {}\r\n\r\n", body.len()).expect("writing to a string cannot fail");
        connection.get_mut().write_all(&[head.as_bytes(), body].concat())?;
        let (response, keep) = read_response(&mut connection)?;
        if keep {
            self.connection = Some(connection);
        }
        Ok(response)
    }
}

/// Percent-encodes a value for a query string.
pub fn percent_encode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => write!(out, "%{byte:02X}").expect("writing to a string cannot fail"),
        }
    }
    out
}

fn connect(address: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)
        .map_err(|err| io::Error::new(err.kind(), format!("cannot connect to {address}: {err}")))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

fn is_closed(err: &io::Error) -> bool {
    matches!(
        err.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

/// Reads one answer; the flag says whether the connection may serve another.
fn read_response(from: &mut impl BufRead) -> io::Result<(Response, bool)> {
    loop {
        let (status, headers) = read_head(from)?;
        if status == 100 {
            continue;
        }
        let mut response = Response { status, headers, body: Vec::new() };
        let mut keep =
            !response.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if response.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            response.body = read_chunks(from)?;
        } else if let Some(length) = response.header("content-length") {
            let length = length.parse().map_err(|_| invalid(format!("content-length is {length:?}")))?;
            response.body = vec![0; length];
            from.read_exact(&mut response.body)?;
        } else if status != 204 && status != 304 {
            from.read_to_end(&mut response.body)?;
            keep = false;
        }
        return Ok((response, keep));
    }
}

fn read_head(from: &mut impl BufRead) -> io::Result<(u16, Vec<(String, String)>)> {
    let first = read_line(from)?;
    let status = first
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| invalid(format!("not an HTTP status line: {first:?}")))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(from)?;
        if line.is_empty() {
            return Ok((status, headers));
        }
        let (name, value) =
            line.split_once(':').ok_or_else(|| invalid(format!("not an HTTP header: {line:?}")))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_chunks(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(from)?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let length =
            u64::from_str_radix(digits, 16).map_err(|_| invalid(format!("chunk length is {line:?}")))?;
        if length == 0 {
            while !read_line(from)?.is_empty() {}
            return Ok(body);
        }
        if from.take(length).read_to_end(&mut body)? as u64 != length {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "connection closed inside a chunk"));
        }
        if !read_line(from)?.is_empty() {
            return Err(invalid("chunk is longer than its length says".to_owned()));
        }
    }
}

fn read_line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    from.take(MAX_HEAD_LINE_BYTES).read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "connection closed before the answer ended",
        ));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map_err(|_| invalid("head of the answer is not UTF-8".to_owned()))
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests;
