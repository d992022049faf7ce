//! The command line: every command, flag and example, and how the words of a search expression get past
//! the flag parser.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

/// Stands before an expression word that starts with `-` while clap looks at the arguments; no shell user
/// types it, and no log line is looked for by it.
const WORD_MARK: char = '\u{1}';

/// Follows, stores and searches the logs of a Linux server.
#[derive(Parser, Debug)]
#[command(name = "taffrail", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Start with `taffrail run`, then open http://127.0.0.1:8062 or run `taffrail search`.\n\
    Exit codes: 0 found or done, 1 nothing found, 2 failure, 64 wrong usage."
)]
pub(crate) struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct GlobalArgs {
    /// Data directory [default: $TAFFRAIL_DATA, else /var/lib/taffrail for root, else
    /// ~/.local/share/taffrail]
    #[arg(long, global = true, display_order = 900, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Config file in TOML [default: $TAFFRAIL_CONFIG, else none]
    #[arg(short, long, global = true, display_order = 900, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Colours in the output
    #[arg(long, global = true, display_order = 900, value_name = "WHEN", value_enum, default_value_t)]
    pub color: ColorChoice,
    /// Log more (-v debug, -vv trace)
    #[arg(short, long, global = true, display_order = 900, action = ArgAction::Count)]
    pub verbose: u8,
    /// Log errors only, no hints and no progress
    #[arg(short, long, global = true, display_order = 900, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// When output is coloured.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run the daemon in the foreground: follow logs, store them, serve UI and API
    Run(RunArgs),
    /// Read files or stdin once into the store
    Import(ImportArgs),
    /// Search the stored records, newest first
    Search(SearchArgs),
    /// Run a read-only SQL statement over the stored records
    Sql(SqlArgs),
    /// Follow new records live
    Tail(TailArgs),
    /// Write out what is stored
    Export(ExportArgs),
    /// Say how the daemon, its store and its sources are, in one screen
    Status(StatusArgs),
    /// List what is followed: how far it is read, what is missing, what is wrong
    Sources(SourcesArgs),
    /// List the machines that send something here: when last, how much, how their clocks go
    Nodes(NodesArgs),
    /// Measure this machine once: processors, memory, disks, network, processes; print and keep it
    Collect(CollectArgs),
    /// Explain the config: what would be followed, where it is stored, what is wrong
    Check(CheckArgs),
    /// Show what lines become, and why: format, time, severity, fields
    Explain(ExplainArgs),
    /// Run as LogWisp: its flags, its config file, its words; also under the name `logwisp`
    #[command(disable_help_flag = true)]
    Logwisp {
        /// LogWisp's flags: -config FILE, -router, -version
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FLAGS")]
        flags: Vec<String>,
    },
    /// Run as an agent: follow, measure, send to central servers; also the slim program `taffrail-agent`
    #[command(disable_help_flag = true)]
    Agent {
        /// The agent's flags: --log-file PATH, --api-url URL, ...; `taffrail agent --help` has all
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FLAGS")]
        flags: Vec<String>,
    },
    /// Print docs/config.md
    #[command(hide = true)]
    ConfigDocs,
}

/// `taffrail run`
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    taffrail run                              follow this machine's logs\n  \
    taffrail run --demo                       the same, with lively made-up traffic beside it\n  \
    taffrail run '/srv/app/**/*.log'          follow these files only\n  \
    app 2>&1 | taffrail run -                 follow what a program writes\n  \
    taffrail run -c /etc/taffrail.toml        take everything from a file")]
pub(crate) struct RunArgs {
    /// Address of UI and API [default: 127.0.0.1:8062]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Serve all [[streams]] on each of their HTTP ports, at /NAME/..., and /status of all
    #[arg(long)]
    pub router: bool,
    /// Add a source of realistic made-up traffic
    #[arg(long)]
    pub demo: bool,
    /// Files or globs to follow, named pipes, or - for stdin, in place of the config's
    #[arg(value_name = "PATH or GLOB")]
    pub paths: Vec<String>,
}

/// `taffrail collect`
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    taffrail collect                          what the machine is doing, in one screen\n  \
    taffrail collect --json                   all of it, as JSON; rates are over one second")]
pub(crate) struct CollectArgs {
    /// Print the sample as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `taffrail import`
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    taffrail import /var/log/syslog.2.gz\n  \
    journalctl -o json --all | taffrail import --source old-journal -")]
pub(crate) struct ImportArgs {
    /// Name the source; needs a single FILE [default: the file's path, `stdin` for -]
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Service of lines that name none [default: from the file's name]
    #[arg(long, value_name = "S")]
    pub service: Option<String>,
    /// Files to read (plain, .gz, .zst), or - for stdin
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// `taffrail search`
#[derive(Args, Debug, Default)]
#[command(after_help = "Expressions:\n  \
    timeout                     records with this word          \"no route\"      a phrase\n  \
    time* *meou*                words that start so, parts      /time(d )?out/  a regular expression\n  \
    service:sshd  status:500    a field is this                 status>=500     a number's range\n  \
    severity>=warning           this bad or worse               -healthz        without this word\n  \
    a b                         both                            (a OR b) c      either, grouped\n\
    Quote what the shell would change: '\"no route\" OR /time(d )?out/'.\n\n\
    Examples:\n  \
    taffrail search --since 1h severity>=error\n  \
    taffrail search 'service:sshd \"Failed password\" -root'\n  \
    taffrail search --json --since 2026-11-01T00:00:00Z --until 2026-11-02 timeout | jq .body\n\n\
    Lines on a terminal show local time, elsewhere RFC 3339 in UTC.")]
pub(crate) struct SearchArgs {
    /// What to look for; several words are joined by blanks; none: everything
    #[arg(value_name = "EXPR", value_parser = expression_word)]
    pub expression: Vec<String>,
    /// From when on: 15m, 1h, 7d back from now, or a time (2026-11-01T08:00:00Z, UTC without a zone)
    #[arg(long, value_name = "T")]
    pub since: Option<String>,
    /// Until before when: as --since, or `now`
    #[arg(long, value_name = "T")]
    pub until: Option<String>,
    /// Records to print at most
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100, value_parser = limit, allow_negative_numbers = true)]
    pub limit: u64,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Print the original line; with --json, add it as `raw`
    #[arg(long)]
    pub raw: bool,
    /// The oldest matching records first
    #[arg(long)]
    pub oldest_first: bool,
}

/// `taffrail sql`
#[derive(Args, Debug)]
#[command(after_help = "Tables: logs, gaps.\n\nExamples:\n  \
    taffrail sql 'SELECT service, count(*) FROM logs GROUP BY service ORDER BY 2 DESC'\n  \
    taffrail sql --format csv \"SELECT timestamp, body FROM logs WHERE severity_number >= 17 LIMIT 10\"")]
pub(crate) struct SqlArgs {
    /// How rows are written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: SqlFormat,
    /// The statement, or - to read it from stdin
    #[arg(value_name = "STATEMENT")]
    pub statement: String,
}

/// How the rows of `taffrail sql` are written.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum SqlFormat {
    /// Aligned columns for people, capped at 1,000 rows
    #[default]
    Table,
    /// One JSON object a line
    Json,
    /// Comma-separated with a header line
    Csv,
}

/// `taffrail tail`
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    taffrail tail\n  \
    taffrail tail 'severity>=warning -service:cron'\n  \
    taffrail tail --json service:nginx | jq .attributes.status")]
pub(crate) struct TailArgs {
    /// What to show, as in `search`; none: everything
    #[arg(value_name = "EXPR", value_parser = expression_word)]
    pub expression: Vec<String>,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// At most so many records a second: where more come, one of several is shown
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: Option<u32>,
}

/// `taffrail export`
#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// What to write out.
    #[command(subcommand)]
    pub what: ExportCommand,
}

/// What `taffrail export` writes.
#[derive(Subcommand, Debug)]
pub(crate) enum ExportCommand {
    /// The original lines of a source, byte for byte, in order, to stdout
    Raw(ExportRawArgs),
}

/// `taffrail export raw`
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  taffrail export raw --source /var/log/syslog > syslog.copy")]
pub(crate) struct ExportRawArgs {
    /// The source, as `taffrail sql 'SELECT DISTINCT source FROM logs'` names it
    #[arg(long, value_name = "PATH")]
    pub source: String,
}

/// `taffrail status`
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    taffrail status\n  \
    taffrail status --json | jq '.problems[]'\n\n\
    Exit codes: 0 all is well, 1 lines are not read (a source is stalled, or the daemon does\n\
    not run), 2 failure.")]
pub(crate) struct StatusArgs {
    /// One JSON object in place of text
    #[arg(long)]
    pub json: bool,
}

/// `taffrail sources`
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    taffrail sources\n  \
    taffrail sources 'nginx*.log'\n  \
    taffrail sources --json | jq 'select(.gaps.count > 0) | {source, gaps}'\n\n\
    Without a daemon the stored checkpoints are shown, with the state `not running`. On a pipe the\n\
    table has 80 columns, or $COLUMNS; --json has everything.")]
pub(crate) struct SourcesArgs {
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Only sources with this in their name; `*` stands for anything
    #[arg(value_name = "PATTERN")]
    pub pattern: Option<String>,
}

/// `taffrail nodes`
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    taffrail nodes\n  \
    taffrail nodes --json | jq -r 'select(.is_silent) | .node'\n\n\
    A machine that sent nothing for three minutes is silent. LAG is how old the newest of what it sends is when it\n\
    sends it, CLOCK how far its clock is ahead (+) or behind (-).")]
pub(crate) struct NodesArgs {
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// `taffrail explain`
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    taffrail explain 'Nov 20 10:00:00 web-06 sshd[7]: Failed password for root'\n  \
    tail -n 20 app.log | taffrail explain -\n  \
    taffrail explain --json --file app.log | jq -r .format | sort | uniq -c")]
pub(crate) struct ExplainArgs {
    /// One JSON object a record in place of text
    #[arg(long)]
    pub json: bool,
    /// Explain every line of a file
    #[arg(long, value_name = "FILE", conflicts_with = "line")]
    pub file: Option<PathBuf>,
    /// When the lines are read: decides the year of times without one [default: now]
    #[arg(long, value_name = "T")]
    pub now: Option<String>,
    /// Zone of times without one: local, UTC or an offset as +02:00 [default: local]
    #[arg(long, value_name = "Z", allow_hyphen_values = true)]
    pub zone: Option<String>,
    /// The line, or - for those on stdin
    #[arg(value_name = "LINE", allow_hyphen_values = true, required_unless_present = "file")]
    pub line: Option<String>,
}

/// `taffrail check`
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  taffrail check\n  taffrail check -c /etc/taffrail.toml --json")]
pub(crate) struct CheckArgs {
    /// One JSON object in place of text
    #[arg(long)]
    pub json: bool,
    /// Files or globs that `run` would be given
    #[arg(value_name = "PATH or GLOB")]
    pub paths: Vec<String>,
    /// Address that `run` would be given
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
}

impl Cli {
    /// Reads the process's arguments. `Err` also carries `--help` and `--version`, see `exit::for_clap`.
    pub(crate) fn from_process() -> Result<Self, clap::Error> {
        Self::from_arguments(std::env::args_os())
    }

    /// Reads `arguments`, the program's name first.
    pub(crate) fn from_arguments(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        Self::try_parse_from(mark_words(arguments))
    }
}

/// Marks `-word` in the arguments of `search` and `tail`, so that `search error -cron` leaves out cron and
/// does not take a config file named `ron`.
fn mark_words(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut takes_expression = None;
    let mut is_value = false;
    let mut marked = Vec::new();
    for (index, argument) in arguments.into_iter().enumerate() {
        let text = argument.to_str().unwrap_or_default();
        let was_value = std::mem::replace(&mut is_value, takes_value(text));
        if index > 0 && !was_value && takes_expression.is_none() && !text.starts_with('-') {
            takes_expression = Some(matches!(text, "search" | "tail"));
        }
        let is_word = takes_expression == Some(true) && !was_value && is_excluding_word(text);
        marked.push(if is_word { format!("{WORD_MARK}{text}").into() } else { argument });
    }
    marked
}

/// Whether the argument after this flag is its value.
fn takes_value(text: &str) -> bool {
    matches!(text, "-c" | "--config" | "--data" | "--color" | "--since" | "--until" | "--limit" | "-n")
}

/// Whether this is a word of an expression that starts with its minus, and no flag.
fn is_excluding_word(text: &str) -> bool {
    let is_flag = text.starts_with("--")
        || matches!(text, "-" | "-c" | "-v" | "-vv" | "-vvv" | "-q" | "-h" | "-V" | "-n")
        || text.strip_prefix("-n").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
    text.starts_with('-') && !is_flag
}

fn expression_word(text: &str) -> Result<String, String> {
    Ok(text.strip_prefix(WORD_MARK).unwrap_or(text).to_owned())
}

fn limit(text: &str) -> Result<u64, String> {
    match text.parse::<u64>() {
        Ok(0) => Err("0 records is nothing to print; the smallest limit is 1".into()),
        Ok(limit) => Ok(limit),
        Err(_) => Err("a limit is a whole number from 1 on".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::from_arguments(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn words_with_a_minus_are_expression_not_flags() {
        for (line, want) in [
            ("taffrail search error -cron --json", vec!["error", "-cron"]),
            (
                "taffrail search -vital -service:sshd OR -nginx",
                vec!["-vital", "-service:sshd", "OR", "-nginx"],
            ),
            ("taffrail --data d search -x -n 5 -c f.toml y", vec!["-x", "y"]),
            ("taffrail search -n5 -v", vec![]),
            ("taffrail search -- --json", vec!["--json"]),
        ] {
            let Command::Search(args) = parse(line).unwrap().command else { panic!("{line}") };
            assert_eq!(args.expression, want, "{line}");
        }
        let Command::Tail(args) = parse("taffrail tail -cron").unwrap().command else { panic!() };
        assert_eq!(args.expression, ["-cron"]);
    }

    #[test]
    fn flags_are_read_before_and_after_the_command() {
        let cli = parse("taffrail -v run --data /d --listen [::1]:1 --demo a.log b.log -c x.toml").unwrap();
        assert_eq!((cli.global.data, cli.global.config), (Some("/d".into()), Some("x.toml".into())));
        assert_eq!(cli.global.verbose, 1);
        let Command::Run(run) = cli.command else { panic!() };
        assert_eq!((run.listen.as_deref(), run.demo, run.paths.len()), (Some("[::1]:1"), true, 2));
    }

    #[test]
    fn wrong_usage_is_refused() {
        for line in [
            "taffrail",
            "taffrail serch",
            "taffrail search --limit 0",
            "taffrail search --limit -1",
            "taffrail search --limit abc",
            "taffrail sql",
            "taffrail sql --format xml x",
            "taffrail import",
            "taffrail export",
            "taffrail export raw",
            "taffrail explain",
            "taffrail explain --file f line",
            "taffrail run -v -q",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
