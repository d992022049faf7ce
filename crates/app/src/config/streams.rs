//! `[[streams]]`: LogWisp's tables as they are, into streams that are served.
//!
//! Values are as loosely typed as there (`"8080"` is a number), unknown keys are passed over, and variables
//! (`LOGWISP_STREAMS_0_HTTPSERVER_PORT`) come before the file. Everything that is wrong is told at once.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use taffrail_serve::streams::{
    AddressRange, BUFFER_DEFAULT, Heartbeat, HttpConfig, LimitBy, RateLimit, StreamConfig, Target, TcpConfig,
};
use toml::{Table, Value};

use super::{Problem, SourceConfig, StartAt};

mod protection;
mod selection;

/// What variables begin with.
const VARIABLE: &str = "LOGWISP";
/// `check_interval_ms` where it is not said, and the shortest.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);
const CHECK_INTERVAL_MIN: i64 = 10;

/// LogWisp's tables of a file.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct StreamTables {
    /// `[monitor]`.
    pub monitor: Option<StreamTable>,
    /// `[[streams]]`.
    pub streams: Vec<StreamTable>,
}

/// A table of the file, and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct StreamTable {
    /// The file and the line.
    pub place: String,
    /// What it says.
    pub table: Table,
}

/// What some tables mean.
pub(crate) struct Streams {
    /// What is served.
    pub configs: Vec<StreamConfig>,
    /// How often the files are to be looked at: one reader reads them for all streams, so the shortest counts.
    check_interval: Duration,
}

/// The streams of some tables; what is wrong goes to `problems`. `shared`: streams may have a port for HTTP together;
/// `taken` are ports that others of the program have, and the keys that say so.
pub(crate) fn read(
    tables: &StreamTables,
    shared: bool,
    taken: &[(u16, &str)],
    env: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<Problem>,
) -> Streams {
    let mut streams = Streams { configs: Vec::new(), check_interval: Duration::MAX };
    let nothing = StreamTable { place: "LOGWISP_MONITOR".to_owned(), table: Table::new() };
    let StreamTable { place, table } = tables.monitor.as_ref().unwrap_or(&nothing);
    let of = "monitor".to_owned();
    let check_interval =
        Reader { of, env, place, stream: String::new(), problems }.check_interval(table, "check_interval_ms");
    let mut names = HashSet::new();
    let mut ports: Vec<(u16, &str, String)> = Vec::new();
    for (index, StreamTable { place, table }) in tables.streams.iter().enumerate() {
        let of = format!("streams.{index}");
        let mut reader = Reader { of, env, place, stream: String::new(), problems };
        let before = reader.problems.len();
        let stream = reader.stream(table, index);
        let own_interval = reader.check_interval(table, "monitor.check_interval_ms");
        if !stream.name.is_empty() && !names.insert(stream.name.clone()) {
            reader.wrong("name", &format!("stream {index}: duplicate name '{}'", stream.name));
        }
        let own = [
            ("tcpserver", "TCP", stream.tcp.as_ref().map(|tcp| tcp.port)),
            ("httpserver", "HTTP", stream.http.as_ref().map(|http| http.port)),
        ];
        for (key, kind, port) in own {
            let Some(port) = port.filter(|port| *port > 0) else { continue };
            if let Some((_, other)) = taken.iter().find(|(taken, _)| *taken == port) {
                reader
                    .wrong(&format!("{key}.port"), &format!("{kind} port {port} already used by `{other}`"));
            }
            if let Some((_, _, other)) = ports
                .iter()
                .find(|(taken, other, _)| *taken == port && !(shared && kind == *other && kind == "HTTP"))
            {
                reader.wrong(
                    &format!("{key}.port"),
                    &format!("{kind} port {port} already used by stream '{other}'"),
                );
            }
            ports.push((port, kind, format!("{}-{}", stream.name, kind.to_ascii_lowercase())));
        }
        if reader.problems.len() == before {
            streams.configs.push(stream);
            let interval = own_interval.or(check_interval).unwrap_or(CHECK_INTERVAL);
            streams.check_interval = streams.check_interval.min(interval);
        }
    }
    streams
}

impl Streams {
    /// What has to be followed for them: files that are there already from their end on, as nobody watched before.
    pub(crate) fn source(&self) -> Option<SourceConfig> {
        let mut paths: Vec<String> = Vec::new();
        for Target { path, pattern, is_file } in self.configs.iter().flat_map(|stream| &stream.targets) {
            // What a glob means and LogWisp does not stands for any character here: the stream itself looks again.
            let without = |globs: &str, text: &str| -> String {
                text.chars().map(|letter| if globs.contains(letter) { '?' } else { letter }).collect()
            };
            let path = without("[]{}!*\\", &path.display().to_string());
            // Any run of letters, twice, is any run: nothing goes through folders.
            let mut names = without("[]{}!\\", if pattern.is_empty() { "*" } else { pattern });
            while names.contains("**") {
                names = names.replace("**", "*");
            }
            let path = if *is_file { path } else { format!("{}/{names}", path.trim_end_matches('/')) };
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        if paths.is_empty() {
            return None;
        }
        let (start_at, poll_interval) = (StartAt::End, self.check_interval);
        Some(SourceConfig { paths, start_at, poll_interval, ..SourceConfig::with_defaults() })
    }
}

/// A key behind what it is a member of: places in lists in brackets.
fn dotted(key: &str) -> String {
    let part = |part: &str| match part.parse::<usize>() {
        Ok(at) => format!("[{at}]"),
        Err(_) => format!(".{part}"),
    };
    key.split('.').map(part).collect::<String>().trim_start_matches('.').to_owned()
}

/// Reads one table.
struct Reader<'a> {
    /// Where it stands: `streams.0`, `monitor`.
    of: String,
    env: &'a dyn Fn(&str) -> Option<String>,
    place: &'a str,
    stream: String,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn wrong(&mut self, key: &str, message: &str) {
        let of = if self.stream.is_empty() { String::new() } else { format!("stream '{}': ", self.stream) };
        let message = format!("`{}`: {of}{message}", dotted(&format!("{}.{key}", self.of)));
        self.problems.push(Problem::new(self.place, message));
    }

    /// The value of a key: that of its variable, else that of the file.
    fn value(&self, table: &Table, key: &str) -> Option<Value> {
        let variable = format!("{VARIABLE}_{}_{key}", self.of).replace('.', "_").to_ascii_uppercase();
        if let Some(text) = (self.env)(&variable).filter(|text| !text.is_empty()) {
            return Some(Value::String(text));
        }
        let mut parts = key.split('.');
        let first = table.get(parts.next()?)?;
        let member = |value: &'_ Value, part: &str| match (value, part.parse::<usize>()) {
            (Value::Array(list), Ok(at)) => list.get(at).cloned(),
            _ => value.get(part).cloned(),
        };
        parts.try_fold(first.clone(), |value, part| member(&value, part))
    }

    fn text(&mut self, table: &Table, key: &str) -> String {
        match self.value(table, key) {
            None => String::new(),
            Some(Value::String(text)) => text,
            Some(Value::Integer(number)) => number.to_string(),
            Some(Value::Boolean(switch)) => switch.to_string(),
            Some(other) => {
                self.wrong(key, &format!("a text is wanted, not {}", other.type_str()));
                String::new()
            }
        }
    }

    /// A whole number; 0 where there is none. `None` where something else stands there, which is said.
    fn number(&mut self, table: &Table, key: &str) -> Option<i64> {
        let found = match self.value(table, key) {
            None => return Some(0),
            Some(Value::Integer(number)) => Some(number),
            Some(Value::Float(number)) if number.fract() == 0.0 => Some(number as i64),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        if found.is_none() {
            self.wrong(key, "a whole number is wanted");
        }
        found
    }

    fn switch(&mut self, table: &Table, key: &str) -> bool {
        match self.value(table, key) {
            None => false,
            Some(Value::Boolean(switch)) => switch,
            Some(Value::Integer(number)) => number != 0,
            Some(Value::String(text)) if matches!(text.as_str(), "true" | "1" | "yes") => true,
            Some(Value::String(text)) if matches!(text.as_str(), "false" | "0" | "no" | "") => false,
            Some(_) => {
                self.wrong(key, "true or false is wanted");
                false
            }
        }
    }

    /// A list of texts; a variable has them with commas between.
    fn texts(&mut self, table: &Table, key: &str) -> Vec<String> {
        match self.value(table, key) {
            None => Vec::new(),
            Some(Value::String(text)) => {
                let texts = text.split(',').map(|one| one.trim().to_owned());
                texts.filter(|one| !one.is_empty()).collect()
            }
            Some(Value::Array(list)) => {
                let texts = list.iter().filter_map(Value::as_str).filter(|one| !one.is_empty());
                let texts: Vec<String> = texts.map(str::to_owned).collect();
                if texts.len() < list.len() {
                    self.wrong(key, "a list of texts is wanted, none of them empty");
                }
                texts
            }
            Some(other) => {
                self.wrong(key, &format!("a list of texts is wanted, not {}", other.type_str()));
                Vec::new()
            }
        }
    }

    /// All that can be read of it.
    fn stream(&mut self, table: &Table, index: usize) -> StreamConfig {
        let name = self.text(table, "name");
        if name.is_empty() {
            let missing = format!("stream {index}: missing name");
            self.wrong("name", &missing);
        }
        self.stream.clone_from(&name);
        let targets = self.targets(table);
        let http = self.switch(table, "httpserver.enabled").then(|| self.http(table));
        let tcp = self.switch(table, "tcpserver.enabled").then(|| self.tcp(table));
        if http.is_none() && tcp.is_none() {
            self.wrong("httpserver.enabled", "no servers enabled");
        }
        let allowed = self.ranges(table, "auth.ip_whitelist");
        let denied = self.ranges(table, "auth.ip_blacklist");
        let servers = [http.as_ref().map(|http| &http.tls), tcp.as_ref().map(|tcp| &tcp.tls)];
        let access = self.access(table, &servers.map(|tls| tls.map(Option::as_ref)));
        let selection = self.selection(table);
        StreamConfig { name, targets, http, tcp, allowed, denied, access, selection }
    }

    fn check_interval(&mut self, table: &Table, key: &str) -> Option<Duration> {
        self.value(table, key)?;
        let interval = self.number(table, key)?;
        if interval < CHECK_INTERVAL_MIN {
            self.wrong(key, &format!("check interval too small: {interval} ms"));
        }
        u64::try_from(interval).ok().map(Duration::from_millis)
    }

    fn targets(&mut self, table: &Table) -> Vec<Target> {
        let list = self.value(table, "monitor.targets");
        let list = list.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
        if list.is_empty() {
            self.wrong("monitor.targets", "no monitor targets specified");
        }
        let mut targets = Vec::new();
        for (number, target) in list.iter().enumerate() {
            let key = |member: &str| format!("monitor.targets.{number}{member}");
            if !target.is_table() {
                self.wrong(&key(""), "a table is wanted");
                continue;
            }
            let path = self.text(table, &key(".path"));
            if path.is_empty() {
                self.wrong(&key(".path"), &format!("target {number}: empty path"));
            } else if path.contains("..") {
                self.wrong(&key(".path"), &format!("target {number}: path contains directory traversal"));
            }
            let pattern = self.text(table, &key(".pattern"));
            let is_file = self.switch(table, &key(".is_file"));
            let path = std::path::absolute(Path::new(&path)).unwrap_or_else(|_| path.into());
            // `./` is the directory itself.
            targets.push(Target { path: path.components().collect(), pattern, is_file });
        }
        targets
    }

    fn port(&mut self, table: &Table, server: &str, kind: &str) -> u16 {
        let key = format!("{server}.port");
        let Some(port) = self.number(table, &key) else { return 0 };
        let valid = u16::try_from(port).ok().filter(|port| *port > 0);
        valid.unwrap_or_else(|| {
            self.wrong(&key, &format!("invalid {kind} port: {port}"));
            0
        })
    }

    /// Entries that a client may lag by. LogWisp's own sample leaves it out, so that is no mistake.
    fn buffer(&mut self, table: &Table, server: &str, kind: &str) -> usize {
        let key = format!("{server}.buffer_size");
        if self.value(table, &key).is_none() {
            return BUFFER_DEFAULT;
        }
        let Some(buffer) = self.number(table, &key) else { return 0 };
        let valid = usize::try_from(buffer).ok().filter(|buffer| *buffer > 0);
        valid.unwrap_or_else(|| {
            self.wrong(&key, &format!("{kind} buffer size must be positive: {buffer}"));
            0
        })
    }

    fn heartbeat(&mut self, table: &Table, server: &str, kind: &str) -> Option<Heartbeat> {
        let key = |member: &str| format!("{server}.heartbeat.{member}");
        if !self.switch(table, &key("enabled")) {
            return None;
        }
        let seconds = self.number(table, &key("interval_seconds")).unwrap_or(1);
        if seconds < 1 {
            let message = format!("{kind}: heartbeat interval must be positive: {seconds}");
            self.wrong(&key("interval_seconds"), &message);
        }
        let format = self.text(table, &key("format"));
        // Over TCP it is JSON whatever is said.
        if !(matches!(format.as_str(), "json" | "comment") || kind == "TCP" && format.is_empty()) {
            self.wrong(
                &key("format"),
                &format!("{kind}: heartbeat format must be 'json' or 'comment': {format}"),
            );
        }
        Some(Heartbeat {
            interval: Duration::from_secs(u64::try_from(seconds).unwrap_or(1).max(1)),
            with_time: self.switch(table, &key("include_timestamp")),
            with_stats: self.switch(table, &key("include_stats")),
            is_comment: format == "comment",
        })
    }

    fn path(&mut self, table: &Table, key: &str, kind: &str, default: &str) -> String {
        let path = self.text(table, key);
        match path.as_str() {
            "" => default.to_owned(),
            path if path.starts_with('/') => path.to_owned(),
            path => {
                self.wrong(key, &format!("{kind} path must start with /: {path}"));
                default.to_owned()
            }
        }
    }

    fn http(&mut self, table: &Table) -> HttpConfig {
        let stream_path = self.path(table, "httpserver.stream_path", "stream", "/stream");
        let status_path = self.path(table, "httpserver.status_path", "status", "/status");
        let socket_path = format!("{}/ws", stream_path.trim_end_matches('/'));
        if status_path == stream_path || status_path == socket_path {
            self.wrong(
                "httpserver.status_path",
                &format!("status path is a path of the stream: {status_path}"),
            );
        }
        HttpConfig {
            port: self.port(table, "httpserver", "HTTP"),
            buffer: self.buffer(table, "httpserver", "HTTP"),
            stream_path,
            status_path,
            heartbeat: self.heartbeat(table, "httpserver", "HTTP"),
            limit: self.limit(table, "httpserver"),
            tls: self.tls(table, "httpserver", "HTTP"),
        }
    }

    fn tcp(&mut self, table: &Table) -> TcpConfig {
        TcpConfig {
            port: self.port(table, "tcpserver", "TCP"),
            buffer: self.buffer(table, "tcpserver", "TCP"),
            heartbeat: self.heartbeat(table, "tcpserver", "TCP"),
            limit: self.limit(table, "tcpserver"),
            tls: self.tls(table, "tcpserver", "TCP"),
        }
    }

    /// Addresses and networks.
    fn ranges(&mut self, table: &Table, key: &str) -> Vec<AddressRange> {
        let list = match self.value(table, key) {
            None => return Vec::new(),
            Some(Value::Array(list)) => list,
            // A variable names them with commas between.
            Some(Value::String(text)) => {
                text.split(',').map(|one| Value::String(one.trim().to_owned())).collect()
            }
            Some(other) => vec![other],
        };
        let mut ranges = Vec::new();
        for one in &list {
            match one.as_str().map(str::parse) {
                Some(Ok(range)) => ranges.push(range),
                _ => self.wrong(key, &format!("{one} is no address and no network as in 192.0.2.0/24")),
            }
        }
        ranges
    }

    fn limit(&mut self, table: &Table, server: &str) -> Option<RateLimit> {
        let key = |member: &str| format!("{server}.rate_limit.{member}");
        if !self.switch(table, &key("enabled")) {
            return None;
        }
        let per_second = match self.value(table, &key("requests_per_second")) {
            Some(Value::Float(number)) => number,
            Some(Value::Integer(number)) => number as f64,
            Some(Value::String(text)) => text.trim().parse().unwrap_or(f64::NAN),
            _ => 0.0,
        };
        if !(per_second > 0.0 && per_second.is_finite()) {
            self.wrong(&key("requests_per_second"), &format!("must be positive: {per_second}"));
        }
        let burst = self.number(table, &key("burst_size")).unwrap_or(1);
        if burst < 1 {
            self.wrong(&key("burst_size"), &format!("must be at least 1: {burst}"));
        }
        let by = match self.text(table, &key("limit_by")).as_str() {
            "" | "ip" => LimitBy::Address,
            "global" => LimitBy::Everybody,
            other => {
                self.wrong(&key("limit_by"), &format!("must be 'ip' or 'global': {other}"));
                LimitBy::Address
            }
        };
        let code = match self.number(table, &key("response_code")).unwrap_or_default() {
            0 => 429,
            code @ 400..600 => code as u16,
            code => {
                self.wrong(&key("response_code"), &format!("must be from 400 to 599: {code}"));
                429
            }
        };
        let message = self.text(table, &key("response_message"));
        let mut most =
            |member: &str| usize::try_from(self.number(table, &key(member))?).ok().filter(|most| *most > 0);
        let connections_per_address = most("max_connections_per_ip");
        let connections = most("max_total_connections");
        let burst = u32::try_from(burst).unwrap_or(u32::MAX);
        Some(RateLimit { per_second, burst, by, code, message, connections_per_address, connections })
    }
}

#[cfg(test)]
mod tests {
    use taffrail_serve::access::AccessConfig;
    use taffrail_serve::streams::{Rule, SelectionConfig};

    use super::*;

    fn read_text(text: &str, env: &[(&str, &str)]) -> (Streams, Vec<String>) {
        let document: Table = toml::from_str(text).unwrap();
        let monitor = document.get("monitor");
        let list = document["streams"].as_array().unwrap().iter();
        let table =
            |value: &Value| StreamTable { place: "f:1".to_owned(), table: value.as_table().unwrap().clone() };
        let tables = StreamTables { monitor: monitor.map(table), streams: list.map(table).collect() };
        let mut problems = Vec::new();
        let env =
            |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
        let streams = read(&tables, false, &[(8062, "listen")], &env, &mut problems);
        (streams, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn tables_of_the_original_are_read() {
        let text = r#"
            [[streams]]
            name = "app"
            [streams.monitor]
            check_interval_ms = 100
            targets = [{ path = "/var/log/app", pattern = "*.log" }, { path = "/a/b.log", is_file = true }]
            [streams.httpserver]
            enabled = true
            port = "8080"
            [streams.httpserver.heartbeat]
            enabled = true
            interval_seconds = 30
            include_stats = true
            format = "comment"
            [streams.tcpserver]
            enabled = true
            port = 9090
            buffer_size = 5
            unknown = 7
            [streams.auth]
            ip_whitelist = ["192.0.2.0/24"]
            ip_blacklist = ["192.0.2.7"]
            [streams.tcpserver.rate_limit]
            enabled = true
            requests_per_second = 0.5
            burst_size = 4
            max_connections_per_ip = 2
            [streams.tcpserver.heartbeat]
            enabled = true
            interval_seconds = 10
            include_timestamp = true
        "#;
        let (streams, problems) = read_text(text, &[("LOGWISP_STREAMS_0_HTTPSERVER_PORT", "8090")]);
        assert_eq!(problems, [""; 0]);
        let heartbeat = |seconds, with_time, with_stats, is_comment| {
            Some(Heartbeat { interval: Duration::from_secs(seconds), with_time, with_stats, is_comment })
        };
        let want = StreamConfig {
            name: "app".to_owned(),
            targets: vec![
                Target { path: "/var/log/app".into(), pattern: "*.log".to_owned(), is_file: false },
                Target { path: "/a/b.log".into(), pattern: String::new(), is_file: true },
            ],
            http: Some(HttpConfig {
                port: 8090,
                buffer: BUFFER_DEFAULT,
                stream_path: "/stream".to_owned(),
                status_path: "/status".to_owned(),
                heartbeat: heartbeat(30, false, true, true),
                limit: None,
                tls: None,
            }),
            tcp: Some(TcpConfig {
                port: 9090,
                buffer: 5,
                heartbeat: heartbeat(10, true, false, false),
                limit: Some(RateLimit {
                    per_second: 0.5,
                    burst: 4,
                    by: LimitBy::Address,
                    code: 429,
                    message: String::new(),
                    connections_per_address: Some(2),
                    connections: None,
                }),
                tls: None,
            }),
            allowed: vec!["192.0.2.0/24".parse().unwrap()],
            denied: vec!["192.0.2.7".parse().unwrap()],
            access: AccessConfig::Anybody,
            selection: SelectionConfig::default(),
        };
        assert_eq!(streams.configs, [want]);
        let source = streams.source().unwrap();
        assert_eq!(source.paths, ["/var/log/app/*.log", "/a/b.log"]);
        assert_eq!((source.start_at, source.poll_interval), (StartAt::End, Duration::from_millis(100)));
    }

    #[test]
    fn variables_reach_into_lists_and_types_do_not_matter_there() {
        let text = r#"
            [[streams]]
            name = "a"
            monitor = { targets = [{ path = "/a", is_file = "true" }, { path = 7, pattern = "5**", is_file = 0 }] }
            httpserver = { enabled = true, port = 9000 }
            auth = { type = "basic", basic_auth = { users = [{ username = "me", password_hash = "x" }] } }
        "#;
        let (streams, problems) = read_text(
            text,
            &[
                ("LOGWISP_STREAMS_0_MONITOR_TARGETS_1_PATH", "/srv/app[1]*"),
                ("LOGWISP_STREAMS_0_AUTH_BASIC_AUTH_USERS_0_PASSWORD_HASH", "$2y$05$x"),
            ],
        );
        assert_eq!(problems, [""; 0]);
        let target = |path: &str, pattern: &str, is_file| Target {
            path: path.into(),
            pattern: pattern.to_owned(),
            is_file,
        };
        assert_eq!(
            streams.configs[0].targets,
            [target("/a", "", true), target("/srv/app[1]*", "5**", false)]
        );
        let users = match &streams.configs[0].access {
            AccessConfig::Basic(basic) => basic.users.clone(),
            _ => Vec::new(),
        };
        assert_eq!(users, [("me".to_owned(), "$2y$05$x".to_owned())]);
        // A path is no glob, and no pattern goes through folders.
        assert_eq!(streams.source().unwrap().paths, ["/a", "/srv/app?1??/5*"]);
    }

    #[test]
    fn nothing_in_a_list_is_no_word_of_it() {
        let text = r#"
            [[streams]]
            name = "a"
            monitor = { targets = [{ path = "/a" }] }
            tcpserver = { enabled = true, port = 9000 }
            auth = { type = "bearer", bearer_auth = { tokens = ["x"] } }
        "#;
        let variable = |value| [("LOGWISP_STREAMS_0_AUTH_BEARER_AUTH_TOKENS", value)];
        let (streams, problems) = read_text(text, &variable("one,, two,"));
        assert_eq!(problems, [""; 0]);
        let tokens = match &streams.configs[0].access {
            AccessConfig::Bearer(bearer) => bearer.tokens.clone(),
            _ => Vec::new(),
        };
        assert_eq!(tokens, ["one", "two"]);
        let wanted = "bearer auth type specified but config missing: tokens or jwt is wanted";
        let (_, problems) = read_text(text, &variable(" , "));
        assert!(problems[0].ends_with(wanted), "{problems:?}");
        let (_, problems) = read_text(&text.replace("[\"x\"]", "[\"x\", \"\"]"), &[]);
        assert!(problems[0].ends_with("a list of texts is wanted, none of them empty"), "{problems:?}");
    }

    #[test]
    fn a_filter_that_would_let_all_through_is_a_mistake() {
        let told = |filters: &str| {
            let text = format!(
                "[[streams]]\nname = \"a\"\nmonitor = {{ targets = [{{ path = \"/a\" }}] }}\n\
                 tcpserver = {{ enabled = true, port = 9000 }}\nfilters = {filters}\n"
            );
            let (streams, problems) = read_text(&text, &[]);
            (streams.configs.into_iter().next().map(|stream| stream.selection.rules), problems)
        };
        for (filters, want) in [
            (
                r#"{ patterns = ["a"] }"#,
                "filters`: stream 'a': a list of tables is wanted; write [[streams.filters]]",
            ),
            (
                r#"[{ type = "exclude" }]"#,
                "filters[0].patterns`: stream 'a': a list of regular expressions is wanted",
            ),
            (
                r#"[{ patterns = [] }]"#,
                "filters[0].patterns`: stream 'a': a list of regular expressions is wanted",
            ),
            (
                r#"[{ patterns = ["a", 5] }]"#,
                "filters[0].patterns`: stream 'a': a list of texts is wanted, none of them empty",
            ),
            (
                r#"[{ patterns = [""] }]"#,
                "filters[0].patterns`: stream 'a': a list of texts is wanted, none of them empty",
            ),
            (r#"[{ pattern = ["a"], patterns = ["b"] }]"#, "filters[0].pattern`: stream 'a': is unknown; "),
            (r#"[{ type = 5, patterns = ["a"] }]"#, "filters[0].type`: stream 'a': `5` is unknown; "),
            (r#"[{ logic = "xor", patterns = ["a"] }]"#, "filters[0].logic`: stream 'a': `xor` is unknown; "),
            (
                r#"[{ patterns = ["("] }]"#,
                "filters[0].patterns`: stream 'a': a pattern of a filter cannot be used: ",
            ),
        ] {
            let (rules, problems) = told(filters);
            assert_eq!((rules.is_none(), problems.len()), (true, 1), "{filters}: {problems:?}");
            assert!(problems[0].contains(want), "{filters}: {problems:?}");
        }
        let rule = |excludes, all, patterns: &[&str]| Rule {
            excludes,
            all,
            patterns: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
        };
        let good = r#"[{ type = "exclude", logic = "and", patterns = ["a", "b"] }, { patterns = "c,d" }]"#;
        let wanted = vec![rule(true, true, &["a", "b"]), rule(false, false, &["c", "d"])];
        assert_eq!(told(good), (Some(wanted), Vec::new()));
    }

    #[test]
    fn files_are_looked_at_as_often_as_the_most_impatient_stream_wants() {
        let stream = |name: &str, own: &str| {
            let targets = "targets = [{ path = \"/a\" }]";
            let server = format!("tcpserver = {{ enabled = true, port = {} }}", 9000 + name.len());
            format!("[[streams]]\nname = \"{name}\"\nmonitor = {{ {targets}{own} }}\n{server}\n")
        };
        let interval = |text: &str, env: &[(&str, &str)]| {
            let (streams, problems) = read_text(text, env);
            (streams.source().map(|source| source.poll_interval.as_millis()), problems)
        };
        let default = stream("a", "");
        let (slow, fast) =
            (stream("bb", ", check_interval_ms = 900"), stream("ccc", ", check_interval_ms = 20"));
        let monitor = "[monitor]\ncheck_interval_ms = 70\n";
        let variable = ("LOGWISP_MONITOR_CHECK_INTERVAL_MS", "50");
        for (text, env, want) in [
            (default.clone(), &[][..], 100),
            (slow.clone(), &[], 900),
            (default.clone() + &slow, &[], 100),
            (format!("{monitor}{slow}"), &[], 900),
            (format!("{monitor}{default}{slow}"), &[], 70),
            (format!("{monitor}{default}{slow}"), &[variable], 50),
            (format!("{default}{slow}{fast}"), &[variable], 20),
        ] {
            assert_eq!(interval(&text, env), (Some(want), Vec::new()), "{text}");
        }
        let (_, problems) = interval(&default, &[("LOGWISP_MONITOR_CHECK_INTERVAL_MS", "9")]);
        assert_eq!(
            problems,
            ["LOGWISP_MONITOR: `monitor.check_interval_ms`: check interval too small: 9 ms"]
        );
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let text = r#"
            [[streams]]
            name = "a"
            [streams.monitor]
            check_interval_ms = 5
            targets = [{ path = "" }, { path = "/a/../b" }]
            [streams.httpserver]
            enabled = true
            port = 70000
            buffer_size = 0
            stream_path = "x"
            [streams.httpserver.heartbeat]
            enabled = true
            interval_seconds = 0
            format = "xml"
            [streams.httpserver.ssl]
            enabled = true
            [[streams]]
            name = "b"
            [streams.auth]
            type = "basic"
            ip_blacklist = ["nobody"]
            [streams.httpserver]
            enabled = true
            port = 9100
            rate_limit = { enabled = true, burst_size = 0, limit_by = "x", response_code = 200 }
            [[streams]]
            [[streams]]
            name = "c"
            monitor = { targets = [{ path = "/c" }] }
            tcpserver = { enabled = true, port = 9000 }
            [[streams]]
            name = "c"
            monitor = { targets = [{ path = "/c" }] }
            httpserver = { enabled = true, port = 9000 }
            [[streams]]
            name = "a"
            monitor = { targets = [{ path = "/c" }] }
            auth = { type = "magic" }
            [streams.httpserver]
            enabled = true
            port = 9100
            status_path = "status"
            [streams.tcpserver]
            enabled = true
            port = -1
            buffer_size = -5
            heartbeat = { enabled = true, interval_seconds = -1 }
            [streams.tcpserver.ssl]
            enabled = true
            cert_file = "c"
            key_file = "k"
            verify_client_cert = true
            min_version = "SSL3"
            max_version = "TLS1.1"
            [[streams]]
            name = "d"
            monitor = { targets = [{ path = "/d" }] }
            httpserver = { enabled = true, port = 8062, stream_path = "/x", status_path = "/x/ws" }
            tcpserver = { enabled = true, port = "many" }
        "#;
        let (streams, problems) = read_text(text, &[]);
        assert_eq!(streams.configs.iter().map(|stream| stream.name.as_str()).collect::<Vec<_>>(), ["c"]);
        let wanted = [
            "`streams[0].monitor.check_interval_ms`: stream 'a': check interval too small: 5 ms",
            "`streams[0].monitor.targets[0].path`: stream 'a': target 0: empty path",
            "target 1: path contains directory traversal",
            "`streams[0].httpserver.port`: stream 'a': invalid HTTP port: 70000",
            "HTTP buffer size must be positive: 0",
            "stream path must start with /: x",
            "HTTP: heartbeat interval must be positive: 0",
            "HTTP: heartbeat format must be 'json' or 'comment': xml",
            "`streams[0].httpserver.ssl.cert_file`: stream 'a': HTTP: SSL enabled but cert/key files not specified",
            "`streams[1].monitor.targets`: stream 'b': no monitor targets specified",
            "`streams[1].auth.ip_blacklist`: stream 'b': \"nobody\" is no address",
            "rate_limit.requests_per_second`: stream 'b': must be positive: 0",
            "rate_limit.burst_size`: stream 'b': must be at least 1: 0",
            "rate_limit.limit_by`: stream 'b': must be 'ip' or 'global': x",
            "rate_limit.response_code`: stream 'b': must be from 400 to 599: 200",
            "`streams[1].auth.basic_auth`: stream 'b': basic auth type specified but config missing",
            "`streams[2].name`: stream 2: missing name",
            "`streams[2].monitor.targets`: no monitor targets specified",
            "`streams[2].httpserver.enabled`: no servers enabled",
            "stream 4: duplicate name 'c'",
            "HTTP port 9000 already used by stream 'c-tcp'",
            "stream 5: duplicate name 'a'",
            "`streams[5].auth.type`: stream 'a': invalid auth type: magic",
            "HTTP port 9100 already used by stream 'b-http'",
            "`streams[5].httpserver.status_path`: stream 'a': status path must start with /: status",
            "`streams[6].httpserver.port`: stream 'd': HTTP port 8062 already used by `listen`",
            "`streams[6].httpserver.status_path`: stream 'd': status path is a path of the stream: /x/ws",
            "`streams[6].tcpserver.port`: stream 'd': a whole number is wanted",
            "`streams[5].tcpserver.port`: stream 'a': invalid TCP port: -1",
            "TCP buffer size must be positive: -5",
            "TCP: heartbeat interval must be positive: -1",
            "`streams[5].tcpserver.ssl.min_version`: stream 'a': TCP: invalid TLS version: SSL3",
            "`streams[5].tcpserver.ssl.max_version`: stream 'a': TCP: versions before TLS1.2 are not safe",
            "`streams[5].tcpserver.ssl.client_ca_file`: stream 'a': TCP: client auth enabled but CA file not specified",
        ];
        for wanted in wanted {
            assert!(problems.iter().any(|problem| problem.contains(wanted)), "{wanted}: {problems:#?}");
        }
        assert_eq!(problems.len(), wanted.len(), "{problems:#?}");
    }
}
