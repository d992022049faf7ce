//! `taffrail export raw`: the bytes of a source as they were read.

use std::io::{self, BufWriter, Read, Write};
use std::ops::ControlFlow;
use std::time::Duration;

use taffrail_parse::REDACTED;
use taffrail_store::engine::{Control, Engine};

use crate::cli::{ExportArgs, ExportCommand};
use crate::client::{Client, Refusal};
use crate::config::Config;
use crate::exit::Outcome;
use crate::store_access::{self, Backend};
use crate::terminal::Terminal;

/// An export is no query: it may take as long as its reader does.
const TIME_LIMIT: Duration = Duration::from_secs(30 * 86_400);
/// Bytes handed to stdout at once.
const BUFFER: usize = 256 << 10;

/// Runs the command.
pub(crate) fn run(args: &ExportArgs, config: &Config, terminal: Terminal) -> anyhow::Result<Outcome> {
    let ExportCommand::Raw(raw) = &args.what;
    let out = BufWriter::with_capacity(BUFFER, io::stdout().lock());
    let mut out = Redactions { out, seen: false, last: Vec::new() };
    let known = match store_access::open(&config.data_dir)? {
        Backend::Daemon(client) => from_daemon(&client, &raw.source, &mut out)?,
        Backend::Local(engine) => from_engine(&*engine, &raw.source, &mut out)?,
    };
    out.flush()?;
    if !known {
        let list = "`taffrail sql 'SELECT DISTINCT source FROM logs'` lists the sources";
        terminal.note(&format!("no source `{}` is stored; {list}", raw.source));
    }
    if out.seen {
        terminal.note(&format!(
            "what stands in the place of `{REDACTED}` was never stored: see `redact` in the config"
        ));
    }
    Ok(Outcome::found(known))
}

/// Notices whether what is written holds redacted lines.
struct Redactions<W> {
    out: W,
    seen: bool,
    /// The end of what was written before: a mark may go over it.
    last: Vec<u8>,
}

impl<W: Write> Write for Redactions<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        if !self.seen {
            let (bytes, tail) = (&bytes[..written], REDACTED.len() - 1);
            let holds = |text: &[u8]| memchr::memmem::find(text, REDACTED.as_bytes()).is_some();
            self.last.extend_from_slice(&bytes[..bytes.len().min(tail)]);
            self.seen = holds(&self.last) || holds(bytes);
            match bytes.len().checked_sub(tail) {
                Some(start) => self.last = bytes[start..].to_vec(),
                None => drop(self.last.drain(..self.last.len().saturating_sub(tail))),
            }
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn from_daemon(client: &Client, source: &str, out: &mut impl Write) -> anyhow::Result<bool> {
    let mut stream = match client.stream("/api/v1/export/raw", &[("source", source)]) {
        Ok(stream) => stream,
        Err(error) if error.downcast_ref::<Refusal>().is_some_and(|refusal| refusal.code == "not_found") => {
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    copy(&mut stream, out)?;
    Ok(true)
}

/// As `io::copy`, but a broken connection does not pass for a closed stdout.
fn copy(stream: &mut impl Read, out: &mut impl Write) -> anyhow::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = stream.read(&mut buffer);
        let read =
            read.map_err(|error| anyhow::anyhow!("the daemon's answer broke off: {error}; run it again"))?;
        if read == 0 {
            return Ok(());
        }
        out.write_all(&buffer[..read])?;
    }
}

fn from_engine(engine: &dyn Engine, source: &str, out: &mut impl Write) -> anyhow::Result<bool> {
    let mut failed = None;
    let known = engine.export_raw(source, &Control::with_limit(TIME_LIMIT), &mut |bytes| match out
        .write_all(bytes)
    {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(known),
    }
}
