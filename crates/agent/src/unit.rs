//! The agent as a service of systemd, see `systemd.service(5)`.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;

use crate::arguments::Arguments;
use crate::config::Config;

/// The flag that asks for a unit, which is not for the service itself.
const FLAG: &str = "--print-unit";

/// A unit that starts the agent as `command` did: a program, and what follows its name. `folder` is the current one: relative
/// paths mean the same in the service.
pub(crate) fn unit(command: &[OsString], arguments: &Arguments, config: &Config, folder: &Path) -> String {
    let words = command.iter().filter(|word| *word != FLAG).map(|word| quoted(&word.to_string_lossy()));
    let start = words.collect::<Vec<_>>().join(" ");
    let mut out = format!(
        "[Unit]\nDescription=Taffrail agent: follows logs, measures the machine, sends both\n\
         Wants=network-online.target\nAfter=network-online.target\n\n\
         [Service]\nExecStart={start}\nRestart=always\nRestartSec=10\n"
    );
    let paths = arguments.log_file.iter().chain(&arguments.config).chain(&arguments.data);
    if paths.clone().any(|path| path.is_relative()) {
        let _ = writeln!(out, "WorkingDirectory={}", escaped(&folder.to_string_lossy()));
    }
    if config.is_default_dir {
        out.push_str("StateDirectory=taffrail-agent\n");
    } else {
        let path = folder.join(&config.data_dir);
        let _ = writeln!(out, "ReadWritePaths=-{}", quoted(&path.to_string_lossy()));
    }
    out.push_str(
        "LimitNOFILE=65536\nNoNewPrivileges=yes\nProtectSystem=strict\nProtectHome=read-only\n\n\
         [Install]\nWantedBy=multi-user.target\n",
    );
    out
}

/// A word of a command line.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "/-_.:=@,+".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    let mut out = "\"".to_owned();
    for letter in word.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '$' => out.push_str("$$"),
            '%' => out.push_str("%%"),
            '\n' => out.push_str("\\n"),
            letter => out.push(letter),
        }
    }
    out + "\""
}

/// A path as a whole value.
fn escaped(path: &str) -> String {
    path.replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn of(command: &[&str]) -> String {
        let arguments = Arguments::try_parse_from(command.iter().filter(|word| **word != "agent")).unwrap();
        let command: Vec<OsString> = command.iter().map(OsString::from).collect();
        let config = Config::of(&arguments).unwrap();
        unit(&command, &arguments, &config, Path::new("/srv/100%"))
    }

    #[test]
    fn a_service_starts_it_with_the_same_words() {
        let text = of(&["/usr/bin/taffrail", "agent", FLAG, "-l", "/var/log/a b.log", "-a", ""]);
        assert!(
            text.contains("\nExecStart=/usr/bin/taffrail agent -l \"/var/log/a b.log\" -a \"\"\n"),
            "{text}"
        );
        assert!(text.contains("\nRestart=always\nRestartSec=10\nStateDirectory=taffrail-agent\n"), "{text}");
        assert!(!text.contains("WorkingDirectory"), "{text}");
        let text = of(&["x", "-l", "a$%\"\\.log", "-a", "http://c/?x=1", "--data", "spool", FLAG]);
        assert!(
            text.contains("\nExecStart=x -l \"a$$%%\\\"\\\\.log\" -a \"http://c/?x=1\" --data spool\n"),
            "{text}"
        );
        assert!(
            text.contains("\nWorkingDirectory=/srv/100%%\nReadWritePaths=-\"/srv/100%%/spool\"\n"),
            "{text}"
        );
    }
}
