//! Clients that others wrote: a browser, Python's `websockets`, Node.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use taffrail_testkit::Program;

use super::{port, table};
use crate::program::{PATIENCE, Site, eventually, python_or_skip};

/// A daemon with a stream over HTTP, and what is appended while clients watch.
struct Watched {
    site: Site,
    daemon: taffrail_testkit::Daemon,
    http: u16,
}

/// What is appended, also as the clients show it.
const MESSAGES: [&str; 3] = ["first", "[ERROR] <b>bold</b> & \"quoted\" \u{1f600}", "third"];

impl Watched {
    fn start() -> Self {
        let (site, http) = (Site::new(), port());
        let server = format!(
            "httpserver = {{ enabled = true, port = {http}, heartbeat = {{ enabled = true, interval_seconds = 1, format = 'comment' }} }}"
        );
        let daemon = site.daemon_with(&table(&site, "app", &server));
        Self { site, daemon, http }
    }

    /// Appends the lines once so many watch.
    fn append_for(&self, transport: &str) {
        let wanted = format!(r#"taffrail_stream_clients{{stream="app",transport="{transport}"}} 1"#);
        eventually("a client", || self.daemon.get("/metrics").unwrap().text().contains(&wanted));
        self.site.append("logs/a.log", MESSAGES.map(|message| format!("{message}\n")).concat());
    }
}

/// A process that is ended with the test.
struct Guest(Program);

impl Guest {
    fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(Program::start(command).unwrap())
    }

    /// The first line that it prints, as JSON.
    fn says(&mut self) -> Value {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| {
            let _ = self.0.kill();
            let mut why = String::new();
            let _ = self.0.stderr.as_mut().unwrap().read_to_string(&mut why);
            panic!("{error}: {line} {why}")
        })
    }
}

#[test]
fn python_reads_the_socket() {
    const SCRIPT: &str = r#"
import asyncio, json, sys, websockets
async def main():
    async with websockets.connect(sys.argv[1]) as socket:
        messages = []
        while len(messages) < 3:
            frame = json.loads(await socket.recv())
            # A heartbeat has none.
            messages += [frame["message"]] if "message" in frame else []
        print(json.dumps(messages), flush=True)
        await (await socket.ping())
asyncio.run(main())
"#;
    let Some(python) = python_or_skip("streams::clients::python_reads_the_socket") else { return };
    let watched = Watched::start();
    let address = format!("ws://127.0.0.1:{}/stream/ws", watched.http);
    let mut guest = Guest::start(Command::new(python).args(["-c", SCRIPT, &address]));
    watched.append_for("websocket");
    assert_eq!(guest.says(), json!(MESSAGES));
    // It says good-bye and is answered.
    assert!(guest.0.wait().unwrap().success());
}

#[test]
fn node_reads_the_events() {
    const SCRIPT: &str = r#"
const response = await fetch(process.argv[1])
const messages = []
let text = ''
for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
  const events = (text + chunk).split('\n\n')
  text = events.pop()
  for (const event of events) {
    const data = event.split('\n').find((line) => line.startsWith('data: '))
    const message = data && JSON.parse(data.slice(6)).message
    if (message) messages.push(message)
  }
  if (messages.length === 3) break
}
console.log(JSON.stringify(messages))
"#;
    let watched = Watched::start();
    let address = format!("http://127.0.0.1:{}/stream", watched.http);
    let mut guest = Guest::start(Command::new("node").args(["--input-type=module", "-e", SCRIPT, &address]));
    watched.append_for("http");
    assert_eq!(guest.says(), json!(MESSAGES));
}

/// A page that watches, and tells what it saw by asking for a path.
const PAGE: &str = r#"<script>
const seen = { events: [], frames: [], greeted: 0 }
const note = (list, text) => {
  const { message } = JSON.parse(text)
  if (message) list.push(message)
  if (seen.events.length === 3 && seen.frames.length === 3)
    fetch('http://127.0.0.1:TELL/' + encodeURIComponent(JSON.stringify(seen)), { mode: 'no-cors' })
}
const events = new EventSource('http://127.0.0.1:PORT/stream')
events.addEventListener('connected', () => seen.greeted++)
events.onmessage = ({ data, lastEventId }) => lastEventId && note(seen.events, data)
new WebSocket('ws://127.0.0.1:PORT/stream/ws').onmessage = ({ data }) => note(seen.frames, data)
</script>"#;

#[test]
fn a_browser_reads_events_and_the_socket() {
    let watched = Watched::start();
    let told = TcpListener::bind("127.0.0.1:0").unwrap();
    let page = PAGE
        .replace("PORT", &watched.http.to_string())
        .replace("TELL", &told.local_addr().unwrap().port().to_string());
    let page = watched.site.write("page.html", page);
    let names = ["chromium", "chromium-browser", "google-chrome"].map(str::to_owned);
    let found = std::env::var("CHROMIUM").into_iter().chain(names).find(|name| {
        Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    });
    let mut command = Command::new(found.expect("a Chromium (`scripts/setup test` installs one)"));
    let profile = watched.site.path("profile");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]);
    command.args(["--disable-background-networking", "--disable-component-update"]);
    command.arg(format!("--user-data-dir={}", profile.display()));
    command.arg("--remote-debugging-port=0").arg(format!("file://{}", page.display()));
    let _guest = Guest::start(&mut command);
    eventually("a socket", || {
        let metrics = watched.daemon.get("/metrics").unwrap().text();
        metrics.contains(r#"transport="websocket"} 1"#)
    });
    watched.append_for("http");
    let (mut asked, _) = told.accept().unwrap();
    let seen: Value = serde_json::from_str(&percent_decode(&path_of(&mut asked))).unwrap();
    assert_eq!(seen, json!({"events": MESSAGES, "frames": MESSAGES, "greeted": 1}));
}

/// The path that is asked for, without its slash.
fn path_of(asked: &mut TcpStream) -> String {
    asked.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut line = String::new();
    BufReader::new(&mut *asked).read_line(&mut line).unwrap();
    asked.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    line.split(' ').nth(1).unwrap()[1..].to_owned()
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}
