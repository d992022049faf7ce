//! `taffrail search`: the newest matching records, newest first.

use std::sync::Arc;
use std::time::Duration;

use taffrail_record::Timestamp;
use taffrail_serve::api::{Record, SearchAnswer, parse_time, rfc3339};
use taffrail_store::engine::{Control, Cursor, Engine, Order, QueryError, SearchRequest, TimeRange};

use super::output::{RecordWriter, Style, syntax_error};
use crate::cli::SearchArgs;
use crate::client::{Client, Refusal};
use crate::clock::now;
use crate::config::Config;
use crate::exit::{Outcome, UsageError};
use crate::store_access::{self, Backend};
use crate::terminal::Terminal;

/// Records that are asked for at once.
const PAGE: u64 = 5_000;

/// Runs the command.
pub(crate) fn run(args: &SearchArgs, config: &Config, terminal: Terminal) -> anyhow::Result<Outcome> {
    let question = Question::from_args(args, now())?;
    let style = match (args.json, args.raw) {
        (true, _) => Style::Json,
        (false, true) => Style::Raw,
        (false, false) => Style::Line,
    };
    let backend = store_access::open(&config.data_dir)?;
    let mut pages = Pages::open(backend, &question, config.query.timeout)?;
    let mut writer = RecordWriter::on_stdout(style, terminal);
    let mut left = args.limit;
    while left > 0 {
        let records = pages.next(left.min(PAGE))?;
        for record in &records {
            writer.write(record)?;
        }
        // What was found is seen while the next page is looked for.
        writer.flush()?;
        left = left.saturating_sub(records.len() as u64);
        if pages.at_end || records.is_empty() {
            break;
        }
    }
    if left == args.limit {
        terminal.hint(&nothing_found(args, config));
    }
    Ok(Outcome::found(left < args.limit))
}

/// What is asked, with its times fixed, so that all pages mean the same.
struct Question {
    expression: String,
    range: TimeRange,
    order: Order,
    raw: bool,
}

impl Question {
    fn from_args(args: &SearchArgs, now: Timestamp) -> Result<Self, UsageError> {
        let moment = |flag, text: &Option<String>, default| match text {
            Some(text) => parse_time(text, now).map_err(|message| UsageError(format!("{flag}: {message}"))),
            None => Ok(default),
        };
        let range = TimeRange {
            since: moment("--since", &args.since, TimeRange::ALL.since)?,
            until: moment("--until", &args.until, TimeRange::ALL.until)?,
        };
        if range.since >= range.until {
            let (since, until) = (rfc3339(range.since), rfc3339(range.until));
            return Err(UsageError(format!("--since {since} is not before --until {until}; swap them")));
        }
        let order = if args.oldest_first { Order::OldestFirst } else { Order::NewestFirst };
        Ok(Self { expression: args.expression.join(" "), range, order, raw: args.raw })
    }
}

/// The pages of an answer, one after the other.
struct Pages {
    from: From,
    raw: bool,
    at_end: bool,
}

enum From {
    Daemon { client: Client, parameters: Vec<(&'static str, String)>, next: Option<String> },
    Local { engine: Arc<dyn Engine>, expression: String, request: SearchRequest, timeout: Duration },
}

impl Pages {
    fn open(backend: Backend, question: &Question, timeout: Duration) -> anyhow::Result<Self> {
        let from = match backend {
            Backend::Daemon(client) => From::Daemon { client, parameters: parameters(question), next: None },
            Backend::Local(engine) => {
                let expression = question.expression.clone();
                let filter = engine.parse(&expression).map_err(|error| from_engine(error, &expression))?;
                let request = SearchRequest {
                    filter,
                    range: question.range,
                    limit: 0,
                    skip: 0,
                    after: None::<Cursor>,
                    order: question.order,
                };
                From::Local { engine, expression, request, timeout }
            }
        };
        Ok(Self { from, raw: question.raw, at_end: false })
    }

    fn next(&mut self, limit: u64) -> anyhow::Result<Vec<Record>> {
        match &mut self.from {
            From::Daemon { client, parameters, next } => {
                let limit = limit.to_string();
                let fixed = parameters.iter().map(|(name, value)| (*name, value.as_str()));
                let moving = [("limit", Some(limit.as_str())), ("after", next.as_deref())];
                let moving = moving.into_iter().filter_map(|(name, value)| Some((name, value?)));
                let all: Vec<_> = fixed.chain(moving).collect();
                let expression = parameters.first().map_or("", |(_, expression)| expression);
                let page = client.get::<SearchAnswer>("/api/v1/search", &all);
                let page = page.map_err(|error| from_daemon(error, expression))?;
                self.at_end = page.next.is_none();
                *next = page.next;
                Ok(page.records)
            }
            From::Local { engine, expression, request, timeout } => {
                request.limit = usize::try_from(limit)?;
                let page = engine.search(request, &Control::with_limit(*timeout));
                let page = page.map_err(|error| from_engine(error, expression))?;
                self.at_end = page.next.is_none();
                request.after = page.next;
                Ok(page.hits.iter().map(|hit| Record::from_hit(hit, self.raw)).collect())
            }
        }
    }
}

/// The parameters of the HTTP API, the expression first.
fn parameters(question: &Question) -> Vec<(&'static str, String)> {
    let order = match question.order {
        Order::NewestFirst => "desc",
        Order::OldestFirst => "asc",
    };
    let mut all = vec![("q", question.expression.clone()), ("order", order.to_owned())];
    if question.range.since != TimeRange::ALL.since {
        all.push(("since", rfc3339(question.range.since)));
    }
    if question.range.until != TimeRange::ALL.until {
        all.push(("until", rfc3339(question.range.until)));
    }
    if question.raw {
        all.push(("raw", "true".to_owned()));
    }
    all
}

/// What the engine said no to; about the expression, it is the user's to change.
pub(super) fn from_engine(error: QueryError, expression: &str) -> anyhow::Error {
    match error {
        QueryError::Syntax { message, position } => syntax_error(expression, position, &message).into(),
        QueryError::Invalid(message) => UsageError(message).into(),
        other => other.into(),
    }
}

/// What the daemon said no to, in the same words.
pub(super) fn from_daemon(error: anyhow::Error, expression: &str) -> anyhow::Error {
    match error.downcast::<Refusal>() {
        Ok(Refusal { position: Some(position), message, code }) if code == "syntax" => {
            syntax_error(expression, position, &message).into()
        }
        Ok(refusal) if refusal.code == "invalid" => UsageError(refusal.message).into(),
        Ok(refusal) => refusal.into(),
        Err(error) => error,
    }
}

fn nothing_found(args: &SearchArgs, config: &Config) -> String {
    let data_dir = config.data_dir.display();
    match (args.since.is_some() || args.until.is_some(), args.expression.is_empty()) {
        (true, _) => "nothing found in this time range; try a wider one, or none".to_owned(),
        (false, false) => "nothing found; fewer words, or a part of one as *part*, find more".to_owned(),
        (false, true) => format!("nothing is stored in {data_dir} yet; `taffrail run` follows logs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(args: SearchArgs) -> Result<Question, UsageError> {
        Question::from_args(&args, Timestamp(3_600 * Timestamp::SECOND))
    }

    #[test]
    fn a_question_has_fixed_times() {
        let args = SearchArgs {
            expression: vec!["a".into(), "-b".into()],
            since: Some("30m".into()),
            oldest_first: true,
            raw: true,
            ..SearchArgs::default()
        };
        let question = question(args).unwrap();
        let want =
            [("q", "a -b"), ("order", "asc"), ("since", "1970-01-01T00:30:00.000000000Z"), ("raw", "true")];
        let got = parameters(&question);
        assert_eq!(got.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>(), want);
    }

    #[test]
    fn a_reversed_range_is_wrong_usage() {
        for (since, until) in [("now", "1h"), ("1h", "1h"), ("soon", "now")] {
            let args =
                SearchArgs { since: Some(since.into()), until: Some(until.into()), ..SearchArgs::default() };
            assert!(question(args).is_err(), "{since} {until}");
        }
    }

    #[test]
    fn both_ways_to_fail_read_alike() {
        let refusal = Refusal { code: "syntax".into(), message: "no end".into(), position: Some(2) };
        let daemon = from_daemon(refusal.into(), "a (");
        let local = from_engine(QueryError::Syntax { message: "no end".into(), position: 2 }, "a (");
        assert_eq!(daemon.to_string(), local.to_string());
        assert!(daemon.is::<UsageError>() && local.is::<UsageError>());
        assert!(!from_engine(QueryError::TimedOut, "a").is::<UsageError>());
    }
}
