//! What files, environments and flags become.

use super::*;

fn host() -> Host {
    Host { root: true, name: "web-06".to_owned(), journal: false }
}

fn load(text: &str, env: &[(&str, &str)], overrides: &Overrides) -> Result<Config, Vec<String>> {
    let lookup = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    let file = ConfigText { path: Path::new("t.toml"), text };
    Config::load(Some(file), &lookup, &host(), overrides)
        .map_err(|problems| problems.iter().map(Problem::to_string).collect())
}

fn file(text: &str) -> Result<Config, Vec<String>> {
    load(text, &[], &Overrides::default())
}

#[test]
fn without_anything_the_defaults_hold() {
    let config = Config::load(None, &|_| None, &host(), &Overrides::default()).unwrap();
    assert_eq!(config.data_dir, Path::new("/var/lib/taffrail"));
    assert_eq!(config.listen.to_string(), "127.0.0.1:8062");
    assert_eq!(config.node, "web-06");
    assert_eq!(config.sources[0].paths, DEFAULT_PATHS);
    assert_eq!(config.sources_from, Origin::Default);
    assert_eq!(config.max_line_bytes, 1 << 20);
    assert_eq!(config.retention.max_age, Duration::from_secs(30 * 86_400));
    assert_eq!(config.retention.max_size_bytes, 10 << 30);
    assert_eq!((config.query.timeout, config.query.concurrent), (Duration::from_secs(30), 4));
    assert_eq!((config.query.memory_bytes, config.memory.memtable_bytes), (256 << 20, 32 << 20));
}

#[test]
fn every_key_of_the_file_arrives() {
    let config = file(
        r#"
data_dir = "/d"
listen = "0.0.0.0:80"
allow_anonymous = true
node = "n"
log_level = "debug"
max_line = "64 KiB"
[retention]
max_age = "7d"
max_size = "1 GiB"
[query]
timeout = "5s"
memory = "64 MiB"
concurrent = 2
[memory]
memtable = 2097152
[health]
stall_after = "1m"
[[source]]
path = "/a/*.log"
start_at = "last 1 MiB"
[[source]]
paths = ["/b", "/c"]
exclude = ["/c/x"]
start_at = "end"
service = "s"
zone = "+02:00"
"#,
    )
    .unwrap();
    assert_eq!((config.data_dir.to_str(), config.listen.port()), (Some("/d"), 80));
    assert_eq!((config.node.as_str(), config.log_level), ("n", LogLevel::Debug));
    assert_eq!((config.max_line_bytes, config.query.concurrent), (65_536, 2));
    assert_eq!((config.memory.memtable_bytes, config.stall_after), (2 << 20, Duration::from_secs(60)));
    assert_eq!(config.sources_from, Origin::File);
    let [first, second] = &config.sources[..] else { panic!("{:?}", config.sources) };
    assert_eq!((first.paths[0].as_str(), first.start_at), ("/a/*.log", StartAt::Last(1 << 20)));
    assert_eq!(second.paths, ["/b", "/c"]);
    assert_eq!((second.start_at, second.zone), (StartAt::End, ZoneChoice::Offset(120)));
    assert_eq!((second.exclude.len(), second.service.as_deref()), (1, Some("s")));
}

#[test]
fn a_journal_is_followed_where_it_is_the_only_place_of_the_systems_messages() {
    let with_journal = Host { journal: true, ..host() };
    let load =
        |overrides: &Overrides| Config::load(None, &|_| None, &with_journal, overrides).unwrap().sources;
    let kinds = |sources: &[SourceConfig]| sources.iter().map(|source| source.kind).collect::<Vec<_>>();
    let sources = load(&Overrides::default());
    assert_eq!(kinds(&sources), [SourceKind::Files, SourceKind::Journal]);
    assert_eq!((sources[1].journal_name().as_str(), sources[1].paths.len()), ("journal", 0));
    let named = load(&Overrides { paths: vec!["/a".into()], ..Overrides::default() });
    assert_eq!(kinds(&named), [SourceKind::Files]);
}

#[test]
fn journals_and_pipes_have_keys_of_their_own() {
    let config = file(
        r#"
[[source]]
type = "journal"
units = ["nginx.service", "php.service"]
identifiers = "sshd"
priority = "warning"
start_at = "end"
[[source]]
type = "journald"
name = "kernel"
identifiers = ["kernel"]
[[source]]
type = "journal"
path = "/var/log/journal/remote"
[[source]]
type = "pipe"
path = "/run/app.fifo"
[[source]]
path = ["-", "/var/log/x.log"]
"#,
    )
    .unwrap();
    let names: Vec<String> = config.sources[..3].iter().map(SourceConfig::journal_name).collect();
    assert_eq!(names, ["journal", "kernel", "journal:/var/log/journal/remote"]);
    let journal = &config.sources[0];
    assert_eq!((journal.units.len(), journal.identifiers.len(), journal.priority), (2, 1, Some(4)));
    assert_eq!(config.sources[3].kind, SourceKind::Pipe);
    for (text, want) in [
        (
            "type = \"syslog\"",
            "`source.type`: `syslog` is unknown; \"files\", \"journal\" or \"pipe\" is possible",
        ),
        ("type = \"pipe\"", "names no pipe"),
        ("type = \"pipe\"\npath = \"/run/*.fifo\"", "a glob finds no pipe"),
        ("type = \"journal\"\nexclude = \"/x\"", "`source.exclude` is for files"),
        ("type = \"journal\"\npath = \"-\"", "cannot be read from standard input"),
        ("path = \"/a\"\nunits = \"x\"", "`source.units` is for journals"),
        ("type = \"journal\"\npriority = \"loud\"", "`loud` is unknown; \"emerg\", "),
        ("type = \"journal\"\nunits = \"a\\u0000b\"", "is no name"),
        ("type = \"journal\"\n[[source]]\ntype = \"journal\"", "two journals are called `journal`"),
        ("path = \"-\"\n[[source]]\npath = \"-\"", "read once only"),
    ] {
        let problems = file(&format!("[[source]]\n{text}")).unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains(want), "{text}: {problems:?}");
    }
}

#[test]
fn flag_beats_environment_beats_file() {
    let text =
        "listen = \"127.0.0.1:1\"\ndata_dir = \"/file\"\n[query]\nconcurrent = 1\n[[source]]\npath = \"/a\"";
    let env =
        [("TAFFRAIL_LISTEN", "127.0.0.1:2"), ("TAFFRAIL_DATA", "/env"), ("TAFFRAIL_QUERY_CONCURRENT", "2")];
    let flags = Overrides {
        listen: Some("127.0.0.1:3".into()),
        log_level: Some(LogLevel::Trace),
        paths: vec!["/b".into()],
        ..Overrides::default()
    };
    let config = load(text, &env, &flags).unwrap();
    assert_eq!((config.listen.port(), config.query.concurrent), (3, 2));
    assert_eq!((config.data_dir.to_str(), config.log_level), (Some("/env"), LogLevel::Trace));
    assert_eq!((config.sources[0].paths[0].as_str(), config.sources_from), ("/b", Origin::Flags));
    assert_eq!(load(text, &[], &Overrides::default()).unwrap().listen.port(), 1);
}

#[test]
fn each_mistake_is_named_with_its_line_and_the_way_out() {
    for (text, want) in [
        (
            "\n\n[retenton]\nmax_age = \"1d\"",
            "t.toml:4: unknown key `retenton.max_age`: did you mean `retention.max_age`?",
        ),
        ("max_age = \"1d\"", "t.toml:1: unknown key `max_age`: did you mean `retention.max_age`?"),
        ("[[stream]]\nname = \"a\"", "t.toml:1: unknown list `[[stream]]`: did you mean `[[streams]]`?"),
        ("\nlisten_on = \"x\"", "t.toml:2: unknown key `listen_on`: did you mean `listen`?"),
        ("zzz = 1", "t.toml:1: unknown key `zzz`; docs/config.md lists all keys"),
        ("listen = 8062", "t.toml:1: `listen`: a string in quotes is wanted, not a number"),
        (
            "allow_anonymous = \"yes\"",
            "t.toml:1: `allow_anonymous`: true or false is wanted, without quotes, not a string",
        ),
        ("[query]\nconcurrent = 0", "t.toml:2: `query.concurrent`: a whole number from 1 on is wanted"),
        ("node = 2026-11-01", "t.toml:1: `node`: not a datetime"),
        ("max_line = \"1 GiB\"", "t.toml:1: `max_line`: 1 KiB to 64 MiB is possible"),
        (
            "retention = 5",
            "t.toml:1: `retention` is a table, not integer; write [retention] on a line of its own",
        ),
        ("[source]\npath = \"/a\"", "t.toml:1: `source` is a list of tables; write [[source]]"),
        (
            "[[source]]\nservice = \"s\"",
            "t.toml:1: this [[source]] names no file; add path = [\"/var/log/example/*.log\"]",
        ),
        ("[[source]]\npath = [1]", "t.toml:2: `source.path`: a list of strings only"),
        (
            "[[source]]\npath = \"/a\"\nstart = \"end\"",
            "t.toml:3: unknown key `source.start`: did you mean `source.start_at`?",
        ),
        (
            "[[source]]\npath = \"/a\"\nzone = \"Berlin\"",
            "t.toml:3: `source.zone`: `Berlin` is no zone; \"local\", \"UTC\" or an offset as \"+02:00\" is possible",
        ),
        (
            "[[source]]\npath = \"/a\"\nstart_at = \"middle\"",
            "t.toml:3: `source.start_at`: `middle` is unknown; \"beginning\", \"end\" or a size as in \"last 1 MiB\" is possible",
        ),
        (
            "[[source]]\npath = \"/a\"\nstart_at = \"last many\"",
            "t.toml:3: `source.start_at`: `many` is no size; write a number and a unit: \"64 MiB\", \"10 GiB\", \"500 MB\"",
        ),
        ("[health]\nstall_after = \"2h\"", "t.toml:2: `health.stall_after`: 1s to 1h is possible"),
        ("node = \"a\"\nnode = \"b\"", "t.toml:2: `node` is set twice; keep one of them"),
        ("data_dir = \"~/x\"", "t.toml:1: `data_dir`: `~` means nothing in a config; write the whole path"),
    ] {
        assert_eq!(file(text).unwrap_err(), [want], "{text}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let text = "listen = 1\nnode = \nnope = 2\n[query]\ntimeout = \"soon\"\n";
    let problems = load(text, &[("TAFFRAIL_MAX_LINE", "huge")], &Overrides::default()).unwrap_err();
    let places: Vec<_> = problems.iter().map(|problem| problem.split(": ").next().unwrap()).collect();
    assert_eq!(places, ["t.toml:1", "t.toml:2", "t.toml:3", "t.toml:5", "TAFFRAIL_MAX_LINE"], "{problems:?}");
}

#[test]
fn an_open_listener_is_refused_with_the_reason() {
    let [problem] = &file("listen = \"0.0.0.0:8062\"").unwrap_err()[..] else { panic!() };
    assert!(problem.contains("allow_anonymous = true") && problem.contains("other machines"), "{problem}");
}

#[test]
fn data_directories_by_user() {
    let user = Host { root: false, name: String::new(), journal: false };
    for (env, want) in [
        (vec![("HOME", "/h")], "/h/.local/share/taffrail"),
        (vec![("HOME", "/h"), ("XDG_DATA_HOME", "/x")], "/x/taffrail"),
        (vec![("HOME", "/h"), ("TAFFRAIL_DATA", "/t")], "/t"),
        (vec![], "taffrail-data"),
    ] {
        let lookup =
            |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let config = Config::load(None, &lookup, &user, &Overrides::default()).unwrap();
        assert_eq!(config.data_dir, Path::new(want));
    }
}

#[test]
fn the_page_is_what_the_table_says() {
    let path = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../../docs/config.md");
    let page = fs::read_to_string(path).unwrap();
    assert!(page == markdown(), "docs/config.md is stale; run `taffrail config-docs > docs/config.md`");
}
