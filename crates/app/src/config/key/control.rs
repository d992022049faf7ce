//! The keys of `[control]`: what Resolvix' clients find.

use super::{Default, Key, Target, Value, listen, telemetry};

/// Where the control API answers.
pub(super) const LISTEN: Key = Key {
    name: "control.listen",
    form: "address:port",
    default: Default::Found("nobody listens"),
    doc: "Where Resolvix' clients find the control API of this machine: `/health`, and `/control`, which opens and closes the \
              live lines. Resolvix has port 8754. An address other than loopback also needs `allow_anonymous`.",
    target: Target::Config(|config, value| {
        config.control.listen = Some(listen::address(value.text()?)?);
        Ok(())
    }),
};

/// Where live lines are shown.
pub(super) const LIVE_PORT: Key = Key {
    name: "control.live_port",
    form: "port",
    default: Default::Text("8755"),
    doc: "Where lines are shown over a WebSocket while `start_livelogs` holds, at the same address. For machines where it \
              is taken.",
    target: Target::Config(|config, value| {
        config.control.live_port = port(value)?;
        Ok(())
    }),
};

/// The machine's name.
pub(super) const NODE_ID: Key = Key {
    name: "control.node_id",
    form: "name",
    default: Default::Found("the machine's address in its network, else `node`"),
    doc: "The machine's name for Resolvix' clients.",
    target: Target::Config(|config, value| {
        config.control.node_id = Some(value.text()?.to_owned());
        Ok(())
    }),
};

/// Whose lines are shown.
pub(super) const FILES: Key = Key {
    name: "control.files",
    form: "paths",
    default: Default::Found("all that are followed"),
    doc: "The files whose lines are shown live to Resolvix' clients, which know one file a machine. They must be followed.",
    target: Target::Config(|config, value| {
        config.control.files = value.list()?;
        Ok(())
    }),
};

/// Where samples are shown.
pub(super) const TELEMETRY_PORT: Key = Key {
    name: "control.telemetry_port",
    form: "port",
    default: Default::Text("8756"),
    doc: "Where samples of the machine are shown over a WebSocket while `start_telemetry` holds, at the same address. For \
              machines where it is taken.",
    target: Target::Config(|config, value| {
        config.control.telemetry_port = port(value)?;
        Ok(())
    }),
};

/// How often samples are shown.
pub(super) const TELEMETRY_INTERVAL: Key = Key {
    name: "control.telemetry_interval",
    form: "duration",
    default: Default::Text("60s"),
    doc: "How often a sample is shown there. 1s to 1h.",
    target: Target::Config(|config, value| {
        config.control.telemetry_interval = telemetry::interval(value)?;
        Ok(())
    }),
};

fn port(value: &Value) -> Result<u16, String> {
    let port = u16::try_from(value.count()?).ok().filter(|port| *port > 0);
    port.ok_or_else(|| "1 to 65535 is possible".to_owned())
}
