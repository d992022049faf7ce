//! Answers as servers send them, whole and broken; the kept connection.

use super::*;
use std::net::TcpListener;

#[test]
fn reads_lengths_chunks_and_closed_ends() {
    let cases: &[(&str, u16, &str, bool)] = &[
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", true),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, "", true),
        ("HTTP/1.0 404 Not Found\r\nX: y\r\n\r\nuntil the end", 404, "until the end", false),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 200, "ok", false),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=1\r\n0123456789\r\n0\r\n\r\n",
            200,
            "abc0123456789",
            true,
        ),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\n!", 201, "!", true),
    ];
    for (wire, status, body, keep) in cases {
        let (response, kept) = read_response(&mut wire.as_bytes()).unwrap();
        assert_eq!((response.status, response.text().as_str(), kept), (*status, *body, *keep), "{wire:?}");
    }
}

#[test]
fn refuses_what_is_no_answer() {
    for wire in [
        "",
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
    ] {
        assert!(read_response(&mut wire.as_bytes()).is_err(), "{wire:?}");
    }
}

#[test]
fn encodes_everything_that_is_not_plain() {
    assert_eq!(percent_encode("a-b_c.d~9"), "a-b_c.d~9");
    assert_eq!(percent_encode("severity>=ERROR /x y/ é"), "severity%3E%3DERROR%20%2Fx%20y%2F%20%C3%A9");
}

#[test]
fn keeps_the_connection_and_opens_a_closed_one_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let mut requests_per_connection = Vec::new();
        for answers in [2, 1] {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            for _ in 0..answers {
                while !read_line(&mut stream).unwrap().is_empty() {}
                stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
            }
            requests_per_connection.push(answers);
        }
        requests_per_connection
    });
    let mut client = Client::new(address);
    for _ in 0..3 {
        assert_eq!(client.get("/").unwrap().text(), "ok");
    }
    assert_eq!(server.join().unwrap(), [2, 1]);
}
