//! Fields of journald's entries that records carry under a shorter name.

use crate::draft::Known;

/// The attribute that a field of journald becomes, and whether it is a number; `None`: it keeps its name, as
/// fields do that programs add. journald itself writes all values as text.
pub(crate) fn known(field: &[u8]) -> Option<(Known, bool)> {
    let (known, number) = match field {
        b"__CURSOR" => (Known::Cursor, false),
        b"__REALTIME_TIMESTAMP" => (Known::ReceivedUs, true),
        b"__MONOTONIC_TIMESTAMP" => (Known::MonotonicUs, true),
        b"_BOOT_ID" => (Known::BootId, false),
        b"_MACHINE_ID" => (Known::MachineId, false),
        b"_RUNTIME_SCOPE" => (Known::RuntimeScope, false),
        b"_TRANSPORT" => (Known::Transport, false),
        b"_STREAM_ID" => (Known::StreamId, false),
        b"_PID" => (Known::Pid, true),
        b"_UID" => (Known::Uid, true),
        b"_GID" => (Known::Gid, true),
        b"_COMM" => (Known::Comm, false),
        b"_EXE" => (Known::Exe, false),
        b"_CMDLINE" => (Known::Cmdline, false),
        b"_CAP_EFFECTIVE" => (Known::CapEffective, false),
        b"_SELINUX_CONTEXT" => (Known::SelinuxContext, false),
        b"_AUDIT_SESSION" => (Known::AuditSession, true),
        b"_AUDIT_LOGINUID" => (Known::AuditLoginuid, true),
        b"_SYSTEMD_UNIT" => (Known::Unit, false),
        b"_SYSTEMD_USER_UNIT" => (Known::UserUnit, false),
        b"_SYSTEMD_CGROUP" => (Known::Cgroup, false),
        b"_SYSTEMD_SLICE" => (Known::Slice, false),
        b"_SYSTEMD_USER_SLICE" => (Known::UserSlice, false),
        b"_SYSTEMD_SESSION" => (Known::Session, false),
        b"_SYSTEMD_OWNER_UID" => (Known::OwnerUid, true),
        b"_SYSTEMD_INVOCATION_ID" => (Known::InvocationId, false),
        b"SYSLOG_FACILITY" => (Known::Facility, true),
        b"SYSLOG_PID" => (Known::SyslogPid, true),
        b"SYSLOG_TIMESTAMP" => (Known::SyslogTimestamp, false),
        b"MESSAGE_ID" => (Known::MessageId, false),
        b"CODE_FILE" => (Known::CodeFile, false),
        b"CODE_LINE" => (Known::CodeLine, true),
        b"CODE_FUNC" => (Known::CodeFunc, false),
        b"ERRNO" => (Known::Errno, true),
        b"TID" => (Known::Tid, true),
        _ => return None,
    };
    Some((known, number))
}
