//! `taffrail tail`: new records as they are stored.

use std::ops::ControlFlow;

use anyhow::bail;
use taffrail_serve::api::{GapNotice, SampledNotice};

use super::output::{RecordWriter, Style};
use super::search::from_daemon;
use crate::cli::TailArgs;
use crate::client::Event;
use crate::config::Config;
use crate::exit::Outcome;
use crate::store_access::{self, Backend};
use crate::terminal::Terminal;

/// Runs the command until it is interrupted.
pub(crate) fn run(args: &TailArgs, config: &Config, terminal: Terminal) -> anyhow::Result<Outcome> {
    let data_dir = config.data_dir.display();
    let Backend::Daemon(client) = store_access::open(&config.data_dir)? else {
        bail!("no daemon runs on {data_dir}, so nothing new is stored there; start one with `taffrail run`");
    };
    let style = if args.json { Style::Json } else { Style::Line };
    let mut writer = RecordWriter::on_stdout(style, terminal);
    let expression = args.expression.join(" ");
    let ended = client.tail(&expression, args.rate, &mut |event| {
        match event {
            Event::Record(record) => {
                writer.write(&record)?;
                writer.flush()?;
            }
            Event::Gap(GapNotice { deleted: true, .. }) => {
                terminal.note("records may be missing here: the oldest were deleted meanwhile");
            }
            Event::Gap(GapNotice { missed, .. }) => {
                terminal.note(&format!(
                    "{missed} records left out: they came faster than they were read; `search` has them"
                ));
            }
            Event::Sampled(SampledNotice { matched, shown }) => {
                terminal.note(&format!("{shown} of {matched} records shown; `search` has all"));
            }
            Event::Lost(reason) => terminal.note(&format!("the daemon is gone ({reason}); waiting for it")),
            Event::Refused(reason) => terminal.note(&format!("the daemon says: {reason}; asking again")),
            Event::Back => terminal.note("the daemon is back"),
        }
        Ok(ControlFlow::Continue(()))
    });
    ended.map_err(|error| from_daemon(error, &expression))?;
    Ok(Outcome::Done)
}
