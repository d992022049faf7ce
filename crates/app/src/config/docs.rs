//! `docs/config.md`, made from the table of keys.

use std::fmt::Write;

use super::DEFAULT_PATHS;
use super::key::{self, Default, Key};

const HEAD: &str = "# Configuration

<!-- Made by `taffrail config-docs` from the table of keys; a test fails when it differs. -->

Taffrail needs no config. Where you want one, write a TOML file and name it with `-c FILE` or `TAFFRAIL_CONFIG`;
`taffrail check -c FILE` says what it means and what is wrong with it. A flag wins over the environment, the
environment over the file, the file over the default. Unknown keys, wrong types and keys that are set twice are
errors. An empty variable counts as not set.

```toml
listen = \"127.0.0.1:8062\"

[retention]
max_age = \"30d\"
max_size = \"10 GiB\"

[[source]]
path = [\"/var/log/nginx/*.log\"]

[[source]]
path = [\"/srv/shop/log/*.log\"]
exclude = [\"/srv/shop/log/debug.log\"]
service = \"shop\"
zone = \"+02:00\"

[[source]]
type = \"journal\"
units = [\"shop.service\"]
```

Durations: a whole number and `ms`, `s`, `m`, `h`, `d` or `w`. Sizes: a whole number and `B`, `kB`, `MB`, `GB`,
`KiB`, `MiB`, `GiB` or `TiB`.
";

const TAIL: &str = "
## `[[streams]]`

LogWisp's tables, read as they are: see [streams.md](streams.md).
";

/// The page as Markdown.
pub(crate) fn markdown() -> String {
    let mut page = HEAD.to_owned();
    let mut table = None;
    for key in key::all() {
        let head = key.name.split_once('.').map(|(head, _)| head);
        if table != Some(head) {
            table = Some(head);
            page.push_str(&heading(head));
        }
        entry(&mut page, key);
    }
    page.push_str(TAIL);
    page
}

fn heading(table: Option<&str>) -> String {
    match table {
        None => "\n## Top level\n\nThese stand before the first `[table]`.\n".to_owned(),
        Some("source") => {
            let paths = DEFAULT_PATHS.map(|path| format!("`{path}`")).join(", ");
            format!(
                "\n## `[[source]]`\n\nOne table for each set of files that are followed alike, for each journal, and for pipes. \
                 Without any, and without\npaths on the command line, `run` follows {paths};\nand this machine's journal, \
                 where there is one that may be read and neither `/var/log/syslog` nor `/var/log/messages`.\n"
            )
        }
        Some(table) => format!("\n## `[{table}]`\n"),
    }
}

fn entry(page: &mut String, key: &Key) {
    let default = match key.default {
        Default::Text(text) => format!("`{text}`"),
        Default::Found(text) => text.to_owned(),
    };
    let name = key.name.split_once('.').map_or(key.name, |(_, member)| member);
    let _ = write!(page, "\n### `{name}`\n\n{}\n\n- Value: {}\n- Default: {default}\n", key.doc, key.form);
    if let Some(variable) = key.variable() {
        let _ = writeln!(page, "- Environment: `{variable}`");
    }
}
