//! A stand-in for `taffrail run` that knows just enough to test the harness: it announces itself in
//! `daemon.json`, answers a few paths, and fails on request.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use fs_err as fs;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let data = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["run", "--data", data, "--listen", "127.0.0.1:0", ..] => Path::new(data),
        _ => return Err(format!("unexpected arguments: {arguments:?}").into()),
    };
    if arguments.iter().any(|argument| argument == "--refuse") {
        return Err("refused: the data directory is taken".into());
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    fs::create_dir_all(data)?;
    let announcement = serde_json::json!({
        "pid": std::process::id(),
        "address": listener.local_addr()?.to_string(),
    });
    fs::write(data.join("daemon.json"), announcement.to_string())?;
    for stream in listener.incoming() {
        answer(BufReader::new(stream?))?;
    }
    Ok(())
}

fn answer(mut stream: BufReader<TcpStream>) -> Result<(), Box<dyn Error>> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_ascii_lowercase());
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap_or("0").parse()?];
    stream.read_exact(&mut body)?;
    let (status, body) = match head.first().map(String::as_str).unwrap_or_default() {
        "get /api/v1/health http/1.1" => (200, r#"{"status":"ok"}"#.to_owned()),
        "post /api/v1/sql http/1.1" if body.ends_with(br#""select 1"}"#) => {
            (200, r#"{"rows":[[1]]}"#.to_owned())
        }
        "post /api/v1/sql http/1.1" => (400, r#"{"error":{"message":"no such table"}}"#.to_owned()),
        "get /env http/1.1" => (200, std::env::var("FAKE_GREETING").unwrap_or_default()),
        _ => (404, "nothing here".to_owned()),
    };
    let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.get_mut().write_all(&[head.as_bytes(), body.as_bytes()].concat())?;
    Ok(())
}
