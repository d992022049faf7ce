//! Streams that not everybody may see: TLS, certificates, passwords and tokens, with curl, openssl and nc as clients.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Output, Stdio};

use fs_err as fs;
use serde_json::Value;
use taffrail_testkit::{Daemon, Program};

use super::{port, stored, table};
use crate::program::{Site, eventually};

/// `secret`, by bcrypt.
const HASH: &str = "$2b$04$xHzFpwBu4izit2pTUW0TY.Smwx1bneGyNRjlf2LQpPcwN7uXbwx5W";
/// `ann:secret`, in base64.
const ANN: &str = "YW5uOnNlY3JldA==";

/// A program, to its end.
fn run(program: &str, args: &[&str]) -> Output {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    output.unwrap_or_else(|error| panic!("{program}: {error}; `scripts/setup test` installs it"))
}

/// The status that curl is answered with, and its exit code.
fn curl(args: &[&str]) -> (String, Option<i32>) {
    let common = ["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "10"];
    let output = run("curl", &[&common, args].concat());
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

/// A client that goes on reading.
pub(super) struct Client(Program);

impl Client {
    pub(super) fn start(program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        let command = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Self(Program::start(command).unwrap())
    }

    fn say(&mut self, text: &str) {
        let said = self.0.stdin.as_mut().unwrap().write_all(text.as_bytes());
        said.unwrap();
    }

    /// Reads until a text has come.
    #[track_caller]
    pub(super) fn gets(&mut self, wanted: &str) {
        let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
        let output = self.0.stdout.as_mut().unwrap();
        while !String::from_utf8_lossy(&text).contains(wanted) {
            let count = output.read(&mut buffer).unwrap();
            assert!(count > 0, "{wanted} did not come: {}", String::from_utf8_lossy(&text));
            text.extend_from_slice(&buffer[..count]);
        }
    }
}

impl Client {
    /// What comes from now on; the client ends with it.
    pub(super) fn lines(mut self) -> impl Iterator<Item = String> {
        let mut lines = BufReader::new(self.0.stdout.take().unwrap()).lines();
        std::iter::from_fn(move || {
            let _client = &self;
            lines.next()?.ok()
        })
    }
}

/// Makes an authority, or a certificate of one: `NAME.pem` and `NAME.key`. Gives the path without ending.
pub(super) fn certificate(site: &Site, name: &str, authority: Option<&str>) -> String {
    let base = site.path(name).display().to_string();
    let (pem, key, subject) = (format!("{base}.pem"), format!("{base}.key"), format!("/CN={name}"));
    let mut args = vec!["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    args.extend(["-days", "30", "-subj", &subject, "-keyout", &key, "-out", &pem]);
    let of = authority.map(|of| (format!("{of}.pem"), format!("{of}.key")));
    if let Some((of_pem, of_key)) = &of {
        args.extend(["-CA", of_pem, "-CAkey", of_key, "-addext", "basicConstraints=critical,CA:FALSE"]);
        args.extend(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
    }
    let made = run("openssl", &args);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    base
}

/// Whether somebody listens over TCP.
fn is_listening(daemon: &Daemon) -> bool {
    daemon.get("/metrics").unwrap().text().contains("transport=\"tcp\"} 1")
}

/// The reasons in the audit log.
fn refusals(site: &Site) -> Vec<Value> {
    let text = fs::read_to_string(site.path("data/audit.log")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn passwords_are_asked_for_and_refusals_noted() {
    let site = Site::new();
    let (http, tcp) = (port(), port());
    let servers = format!(
        "httpserver = {{ enabled = true, port = {http} }}\ntcpserver = {{ enabled = true, port = {tcp} }}\n[streams.auth]\ntype = 'basic'\n[streams.auth.basic_auth]\nrealm = 'logs'\nusers = [{{ username = 'ann', password_hash = '{HASH}' }}]"
    );
    let daemon = site.daemon_with(&table(&site, "app", &servers));
    let (status, stream) =
        (format!("http://127.0.0.1:{http}/status"), format!("http://127.0.0.1:{http}/stream"));
    assert_eq!(curl(&[&status]).0, "401");
    assert_eq!(curl(&["-u", "ann:wrong", &status]).0, "401");
    assert_eq!(curl(&["-u", "ann:secret", &status]).0, "200");
    let asked = run("curl", &["-sSi", "--max-time", "10", &stream]);
    let asked = String::from_utf8(asked.stdout).unwrap();
    assert!(asked.contains("www-authenticate: Basic realm=\"logs\""), "{asked}");
    assert!(asked.ends_with(r#"{"error":"Unauthorized"}"#), "{asked}");
    let mut watching = Client::start("curl", &["-sSN", "-u", "ann:secret", &stream]);
    watching.gets("event: connected");
    let mut listening = Client::start("nc", &["127.0.0.1", &tcp.to_string()]);
    listening.say(&format!("AUTH Basic {ANN}\n"));
    let mut wrong = Client::start("nc", &["127.0.0.1", &tcp.to_string()]);
    wrong.say("AUTH Basic eDp5\n");
    wrong.gets(r#"{"error":"Unauthorized"}"#);
    // Whoever is let in over TCP gets no greeting.
    eventually("a client of TCP", || is_listening(&daemon));
    site.append("logs/a.log", "hello\n");
    stored(&daemon, 1);
    watching.gets("\"message\":\"hello\"");
    listening.gets("\"message\":\"hello\"");
    eventually("four refusals in the audit log", || refusals(&site).len() == 4);
    let all = refusals(&site);
    let of = |server: &str, reason: &str| {
        let is = |line: &&Value| line["server"] == server && line["reason"] == reason;
        all.iter().filter(is).count()
    };
    assert_eq!(of("http", "it does not say who it is"), 2, "{all:?}");
    assert_eq!(of("http", "its password or token is wrong"), 1, "{all:?}");
    assert_eq!(of("tcp", "its password or token is wrong"), 1, "{all:?}");
    assert!(!format!("{all:?}{}", daemon.stderr()).contains("secret"));
}

#[test]
fn whoever_speaks_tls_and_has_the_right_certificate_is_served() {
    let site = Site::new();
    let authority = certificate(&site, "authority", None);
    let other = certificate(&site, "other", None);
    let [server, ann] = ["server", "ann"].map(|name| certificate(&site, name, Some(&authority)));
    let eve = certificate(&site, "eve", Some(&other));
    let (http, tcp) = (port(), port());
    let ssl = format!("enabled = true, cert_file = '{server}.pem', key_file = '{server}.key'");
    let mutual =
        format!("{ssl}, client_auth = true, verify_client_cert = true, client_ca_file = '{authority}.pem'");
    let servers = format!(
        "httpserver = {{ enabled = true, port = {http}, ssl = {{ {ssl}, min_version = 'TLS1.3' }} }}\ntcpserver = {{ enabled = true, port = {tcp}, ssl = {{ {mutual} }} }}"
    );
    let daemon = site.daemon_with(&table(&site, "app", &servers));
    let url = format!("https://localhost:{http}/stream");
    let trusts = ["--cacert", &format!("{authority}.pem")];
    let mut watching = Client::start("curl", &[&["-sSN"], &trusts[..], &[&url]].concat());
    watching.gets("event: connected");
    let status = format!("https://localhost:{http}/status");
    assert_eq!(curl(&[&trusts[..], &[&status]].concat()), ("200".to_owned(), Some(0)));
    assert_eq!(curl(&[&trusts[..], &["--tls-max", "1.2", &status]].concat()).1, Some(35), "too old");
    assert_eq!(curl(&[&format!("http://localhost:{http}/status")]).0, "000", "no TLS at all");
    let listen = |who: Option<&str>| {
        let (place, trusted) = (format!("127.0.0.1:{tcp}"), format!("{authority}.pem"));
        let own = who.map(|who| (format!("{who}.pem"), format!("{who}.key")));
        let mut args =
            vec!["s_client", "-quiet", "-verify_return_error", "-connect", &place, "-CAfile", &trusted];
        if let Some((pem, key)) = &own {
            args.extend(["-cert", pem, "-key", key]);
        }
        Client::start("openssl", &args)
    };
    let mut listening = listen(Some(&ann));
    for mut refused in [listen(None), listen(Some(&eve))] {
        assert!(!refused.0.wait().unwrap().success());
    }
    eventually("a client of TCP", || is_listening(&daemon));
    site.append("logs/a.log", "hello\n");
    stored(&daemon, 1);
    watching.gets("\"message\":\"hello\"");
    listening.gets("\"message\":\"hello\"");
    eventually("four failed handshakes", || refusals(&site).len() == 4);
    assert!(refusals(&site).iter().all(|line| line["reason"] == "the TLS handshake failed"));
}

#[test]
fn renewed_certificates_are_read_again() {
    let site = Site::new();
    let authorities = ["first", "second"].map(|name| certificate(&site, name, None));
    let http = port();
    let server = certificate(&site, "server", Some(&authorities[0]));
    let ssl = format!("enabled = true, cert_file = '{server}.pem', key_file = '{server}.key'");
    let server = format!("httpserver = {{ enabled = true, port = {http}, ssl = {{ {ssl} }} }}");
    let daemon = site.daemon_with(&table(&site, "app", &server));
    let trusting = |authority: &str| {
        let arguments =
            ["--cacert", &format!("{authority}.pem"), &format!("https://localhost:{http}/status")];
        curl(&arguments).0
    };
    assert_eq!(trusting(&authorities[0]), "200");
    // Half of it is new: the other half does not belong to it, and what was there before holds.
    let key = fs::read(site.path("server.key")).unwrap();
    certificate(&site, "server", Some(&authorities[1]));
    let renewed = fs::read(site.path("server.key")).unwrap();
    fs::write(site.path("server.key"), key).unwrap();
    eventually("a look at the files", || {
        trusting(&authorities[0]) == "200" && daemon.stderr().contains("what was read before holds")
    });
    fs::write(site.path("server.key"), renewed).unwrap();
    eventually("the new certificate", || trusting(&authorities[1]) == "200");
    assert_eq!(trusting(&authorities[0]), "000");
}

#[test]
fn pages_of_other_sites_do_not_watch_in_the_name_of_their_readers() {
    let site = Site::new();
    let (basic, bearer, open) = (port(), port(), port());
    let http = |port: u16, auth: &str| format!("httpserver = {{ enabled = true, port = {port} }}\n{auth}");
    let users = format!("users = [{{ username = 'ann', password_hash = '{HASH}' }}]");
    let auth = format!("auth = {{ type = 'basic', basic_auth = {{ {users} }} }}");
    let _daemon = site.daemon_with(
        &[
            table(&site, "basic", &http(basic, &auth)),
            table(
                &site,
                "bearer",
                &http(bearer, "auth = { type = 'bearer', bearer_auth = { tokens = ['t0ken'] } }"),
            ),
            table(&site, "open", &http(open, "")),
        ]
        .concat(),
    );
    let socket = |port: u16, rest: &str, origin: &str, more: &[&str]| {
        let (origin, url) = (format!("Origin: {origin}"), format!("http://127.0.0.1:{port}/stream/ws{rest}"));
        let asks =
            ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13"];
        let asks =
            [&asks[..], &["-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "--max-time", "2"]].concat();
        curl(&[&asks[..], &["-H", &origin], more, &[&url]].concat()).0
    };
    let (own, foreign, ann) =
        (format!("http://127.0.0.1:{basic}"), "https://evil.example", ["-u", "ann:secret"]);
    assert_eq!(socket(basic, "", &own, &ann), "101");
    assert_eq!(socket(basic, "", foreign, &ann), "403");
    // What everybody may see, and who was given a token, harms nobody.
    assert_eq!(socket(open, "", foreign, &[]), "101");
    assert_eq!(socket(bearer, "?access_token=t0ken", foreign, &[]), "101");
    eventually("a word of it", || {
        refusals(&site)
            .iter()
            .any(|line| line["reason"] == "a page of another site asks in the name of its reader")
    });
}

#[test]
fn tokens_are_asked_for() {
    let site = Site::new();
    let (http, tcp) = (port(), port());
    let servers = format!(
        "httpserver = {{ enabled = true, port = {http} }}\ntcpserver = {{ enabled = true, port = {tcp} }}\n[streams.auth]\ntype = 'bearer'\n[streams.auth.bearer_auth]\ntokens = ['t0ken']"
    );
    let daemon = site.daemon_with(&table(&site, "app", &servers));
    let status = format!("http://127.0.0.1:{http}/status");
    assert_eq!(curl(&["-H", "Authorization: Bearer other", &status]).0, "401");
    assert_eq!(curl(&["-H", "Authorization: Bearer t0ken", &status]).0, "200");
    let mut watching =
        Client::start("curl", &["-sSN", &format!("http://127.0.0.1:{http}/stream?access_token=t0ken")]);
    watching.gets("event: connected");
    let mut listening = Client::start("nc", &["127.0.0.1", &tcp.to_string()]);
    listening.say("AUTH Bearer t0ken\n");
    eventually("a client of TCP", || is_listening(&daemon));
    site.append("logs/a.log", "hello\n");
    watching.gets("\"message\":\"hello\"");
    listening.gets("\"message\":\"hello\"");
}

#[test]
fn a_router_protects_each_stream_as_its_own_port_does() {
    let site = Site::new();
    let authority = certificate(&site, "authority", None);
    let [server, ann] = ["server", "ann"].map(|name| certificate(&site, name, Some(&authority)));
    let (open, few, secret) = (port(), port(), port());
    let ssl = format!("enabled = true, cert_file = '{server}.pem', key_file = '{server}.key'");
    // To verify certificates is to ask for them.
    let mutual = format!("{ssl}, verify_client_cert = true, client_ca_file = '{authority}.pem'");
    let limit = "rate_limit = { enabled = true, requests_per_second = 1000, burst_size = 1000, max_total_connections = 1 }";
    let http = |port: u16, rest: &str| format!("httpserver = {{ enabled = true, port = {port}{rest} }}");
    let mutual = format!(", ssl = {{ {mutual} }}");
    let tables = [
        table(&site, "open", &http(open, "")),
        table(&site, "few", &http(few, &format!(", {limit}"))),
        table(&site, "secret", &http(secret, &mutual)),
        // At the same port, where whoever gets in has shown a certificate.
        table(&site, "mutual", &(http(secret, &mutual) + "\nauth = { type = 'mtls' }")),
    ];
    let config = site.config(&tables.concat());
    let daemon = Daemon::builder(crate::program::BINARY, site.data()).arg("-c").arg(config).arg("--router");
    let _daemon = daemon.start().unwrap();
    let at_open = |path: &str| curl(&[&format!("http://localhost:{open}{path}")]).0;
    assert_eq!(at_open("/open/status"), "200");
    // Nobody has looked at a certificate here.
    assert_eq!([at_open("/secret/status"), at_open("/mutual/status")], ["403", "403"]);
    // Nor is anybody told of what is behind it.
    let body = |path: &str, more: &[&str]| {
        let output = run("curl", &[&["-sS", "--max-time", "10"], more, &[path]].concat());
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let names = |status: &Value| status["streams"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let status = body(&format!("http://localhost:{open}/status"), &[]);
    assert_eq!((names(&status), &status["total_streams"]), (vec!["few".into(), "open".into()], &4.into()));
    let missing = body(&format!("http://localhost:{open}/nothing"), &[])["available_routes"].to_string();
    assert!(missing.contains("/few/stream") && !missing.contains("secret"), "{missing}");
    let trusts = ["--cacert", &format!("{authority}.pem")];
    let own = ["--cert", &format!("{ann}.pem"), "--key", &format!("{ann}.key")];
    let at_secret = |path: &str| format!("https://localhost:{secret}{path}");
    let status = body(&at_secret("/status"), &[&trusts[..], &own[..]].concat());
    assert_eq!(names(&status), ["few", "mutual", "open", "secret"]);
    for path in ["/secret/status", "/mutual/status", "/open/status"] {
        let url = at_secret(path);
        assert_eq!(curl(&[&trusts[..], &own[..], &[&url]].concat()).0, "200", "{path}");
        assert_eq!(curl(&[&trusts[..], &[&url]].concat()).0, "000", "{path}");
    }
    // One connection in all, wherever it comes in, as long as it lasts.
    let mut one = Client::start("curl", &["-sSN", &format!("http://localhost:{open}/few/stream")]);
    one.gets("event: connected");
    assert_eq!(at_open("/few/stream"), "429");
    assert_eq!(curl(&[&format!("http://localhost:{few}/status")]).0, "429");
    drop(one);
    eventually("room again", || at_open("/few/status") == "200");
}

#[test]
fn certificates_that_cannot_be_used_refuse_their_stream_only() {
    let site = Site::new();
    let [one, two] = ["one", "two"].map(|name| certificate(&site, name, None));
    site.write("empty.pem", "");
    let ports: [u16; 4] = std::array::from_fn(|_| port());
    let stream = |index: usize, pem: &str, key: &str| {
        let servers = format!(
            "httpserver = {{ enabled = true, port = {}, ssl = {{ enabled = true, cert_file = '{pem}', key_file = '{key}' }} }}",
            ports[index]
        );
        table(&site, &format!("s{index}"), &servers)
    };
    let empty = site.path("empty.pem").display().to_string();
    let config = [
        stream(0, &format!("{one}.pem"), &format!("{two}.key")),
        stream(1, "/nowhere.pem", &empty),
        stream(2, &empty, &format!("{one}.key")),
        stream(3, &format!("{one}.pem"), &format!("{one}.key")),
    ];
    let daemon = site.daemon_with(&config.concat());
    let url = |port: u16| format!("https://localhost:{port}/status");
    assert_eq!(curl(&["-k", &url(ports[3])]).0, "200");
    for port in &ports[..3] {
        assert_eq!(curl(&["-k", &url(*port)]).1, Some(7), "nobody listens");
    }
    assert!(daemon.get("/metrics").unwrap().text().contains("{stream=\"s3\"}"));
    assert!(!daemon.get("/metrics").unwrap().text().contains("{stream=\"s0\"}"), "it is not there");
    let told = daemon.stderr();
    for wanted in [
        "`s0` is not there: httpserver.ssl.key_file: the key",
        "nowhere.pem`: No such file",
        "; httpserver.ssl.key_file: ",
        "empty.pem: holds no private key",
        "empty.pem: holds no certificate",
    ] {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
    assert_eq!(curl(&["-k", &url(ports[3])]).0, "200");
    daemon.stop().unwrap();
    // All at once, by their keys; and ports that somebody else has.
    let holder = std::net::TcpListener::bind(("0.0.0.0", ports[3])).unwrap();
    let config = site.path("taffrail.toml");
    let checked = site.run(&["check", "--json", "-c", config.to_str().unwrap()]).expect(2);
    let report: Value = serde_json::from_str(&checked.text()).unwrap();
    let problems: Vec<&str> =
        report["problems"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    let begin =
        |stream: usize, key: &str| format!("`streams[{stream}].httpserver.ssl.{key}`: stream 's{stream}': ");
    let wanted = [begin(0, "key_file"), begin(1, "cert_file"), begin(1, "key_file"), begin(2, "cert_file")];
    let taken = format!("cannot listen on 0.0.0.0:{}", ports[3]);
    for (problem, wanted) in problems.iter().zip(wanted.iter().chain([&taken])) {
        assert!(problem.starts_with(wanted.as_str()), "{wanted} in {problems:#?}");
    }
    assert_eq!(problems.len(), 5, "{problems:#?}");
    assert!(problems[4].ends_with("name another with streams[3].httpserver.port"), "{problems:#?}");
    drop(holder);
    // One that has expired is told, and served: who knows it may still want it.
    let base = site.path("expired").display().to_string();
    let [key, asked, pem] = ["key", "csr", "pem"].map(|end| format!("{base}.{end}"));
    let request = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x"];
    run("openssl", &[&request[..], &["-keyout", &key, "-out", &asked]].concat());
    let names = site.write("names", "subjectAltName=DNS:x").display().to_string();
    let sign =
        ["x509", "-req", "-in", &asked, "-signkey", &key, "-extfile", &names, "-days", "-1", "-out", &pem];
    run("openssl", &sign);
    let config = site.config(&stream(0, &pem, &key));
    let checked = site.run(&["check", "-c", config.to_str().unwrap()]).expect(0);
    assert!(checked.text().contains("has expired"), "{}", checked.text());
}
