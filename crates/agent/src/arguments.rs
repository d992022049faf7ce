//! The agent's command line: Resolvix' flags, environment and words, and a file for what they do not say.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::Parser;

/// Follows the logs of this machine, measures it, and sends both to central servers; answers Resolvix' clients.
#[derive(Parser, Debug)]
#[command(name = "taffrail-agent", version, max_term_width = 100)]
#[command(after_help = "Examples:\n  \
    taffrail-agent --log-file /var/log/syslog --api-url http://central:5000\n  \
    taffrail-agent -l /var/log/syslog -a ''        print what would be sent\n  \
    taffrail-agent --config /etc/taffrail/agent.toml\n  \
    taffrail-agent --config /etc/taffrail/agent.toml --print-unit > agent.service\n\n\
    A Taffrail hub gets each line once, in order; a server of Resolvix those with a word\n\
    for an error.\n\
    Environment: CONTROL_PORT, LIVE_WS_PORT, TELEMETRY_WS_PORT, TELEMETRY_INTERVAL; flags\n\
    go before.")]
pub struct Arguments {
    /// Log file to follow; may be given again
    #[arg(short, long, value_name = "PATH", required_unless_present_any = ["config", "system_info"])]
    pub log_file: Vec<PathBuf>,
    /// Address of the central server; empty: what would be sent is printed
    #[arg(short, long, value_name = "URL", required_unless_present_any = ["config", "system_info"])]
    pub api_url: Option<String>,
    /// Port of the control API
    #[arg(short = 'p', long, value_name = "PORT", env = "CONTROL_PORT")]
    pub control_port: Option<u16>,
    /// Port of the live lines, while a command has opened them
    #[arg(long, value_name = "PORT", env = "LIVE_WS_PORT")]
    pub ws_port: Option<u16>,
    /// Port of the samples, while a command has opened them
    #[arg(long, value_name = "PORT", env = "TELEMETRY_WS_PORT")]
    pub telemetry_ws_port: Option<u16>,
    /// Name of this machine [default: its address in its network]
    #[arg(short, long, value_name = "ID")]
    pub node_id: Option<String>,
    /// Seconds between two samples of the machine
    #[arg(short, long, value_name = "N", env = "TELEMETRY_INTERVAL")]
    pub telemetry_interval: Option<u32>,
    /// Do not measure the machine
    #[arg(long)]
    pub disable_telemetry: bool,
    /// Address of control API and live lines: without a password, for everybody who reaches it
    #[arg(long, value_name = "ADDRESS")]
    pub control_address: Option<IpAddr>,
    /// Judge lines as Resolvix' code does, by parts of words
    #[arg(long)]
    pub original_severity: bool,
    /// Config file in TOML
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where what is not sent yet is kept [default: /var/lib/taffrail-agent for root, else
    /// ~/.local/share/taffrail-agent]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Print a unit of systemd that starts the agent with the same flags, and end
    #[arg(long)]
    pub print_unit: bool,
    /// Print what this machine is, as the installer of Resolvix tells it, and end
    #[arg(long)]
    pub system_info: bool,
}

impl Arguments {
    /// Where the original listens.
    pub(crate) const EVERYWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
}

/// The variables that the original reads before its flags.
const NUMBERS: [&str; 4] = ["CONTROL_PORT", "LIVE_WS_PORT", "TELEMETRY_WS_PORT", "TELEMETRY_INTERVAL"];

/// Whether the environment has numbers where there must be some; the original ends before it looks at its flags.
pub(crate) fn check_environment(variable: impl Fn(&str) -> Option<OsString>) -> Result<(), String> {
    for name in NUMBERS {
        let Some(value) = variable(name) else { continue };
        if value.to_str().and_then(|text| text.trim().parse::<i64>().ok()).is_none() {
            return Err(format!("the variable {name} is {value:?}, which is no integer"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_numbers() {
        for (value, is_right) in [("8754", true), ("-1", true), ("many", false), ("", false), ("1.5", false)]
        {
            for name in NUMBERS {
                let checked = check_environment(|asked| (asked == name).then(|| value.into()));
                assert_eq!(checked.is_ok(), is_right, "{name}={value}");
                assert!(checked.err().is_none_or(|error| error.contains(name)));
            }
        }
        assert_eq!(check_environment(|_| None), Ok(()));
    }
}
