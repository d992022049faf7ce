//! What the services of the corpus say: all lines but the web access lines.
//!
//! The messages are written for this generator in the manner of such programs; the weight is how often one
//! is said, in comparison to all others.

/// A service: its tag in the line, and its messages with their weights.
pub(crate) type Service = (&'static str, &'static [(u32, &'static str)]);

pub(crate) const SERVICES: &[Service] = &[
    ("sshd", SSHD),
    ("kernel", KERNEL),
    ("systemd", SYSTEMD),
    ("CRON", CRON),
    ("postgres", POSTGRES),
    ("blockd", BLOCKD),
    ("haproxy", PROXY),
    ("postfix/smtp", MAIL),
    ("dnsmasq", DNS),
    ("checkout", CHECKOUT),
    ("ingest", INGEST),
    ("auth-api", AUTH),
    ("kubelet", KUBELET),
    ("java-batch", BATCH),
];

const SSHD: &[(u32, &str)] = &[
    (60, "Failed password for {user} from {ip} port {port} ssh2"),
    (45, "Failed password for invalid user {admin|test|oracle|pi|guest|ubnt} from {ip} port {port} ssh2"),
    (40, "Connection closed by authenticating user {user} {ip} port {port} [preauth]"),
    (12, "Accepted publickey for {user} from {ip} port {port} ssh2: ED25519 SHA256:{x:43}"),
    (35, "Received disconnect from {ip} port {port}:11: Bye [preauth]"),
    (20, "pam_unix(sshd:auth): check pass; user unknown"),
    (6, "error: kex_exchange_identification: banner line contains invalid characters from {ip}"),
];
const KERNEL: &[(u32, &str)] = &[
    (
        40,
        "[{n:6}.{n:6}] filter drop: IN=eth0 OUT= SRC={ip} DST={ip} LEN={r:40-1500} TTL={r:30-128} ID={n:5} PROTO=TCP SPT={port} DPT={22|23|80|443|3389|5900}",
    ),
    (10, "[{n:6}.{n:6}] eth{r:0-3}: link is {up|down}, {100|1000|10000} Mbps"),
    (8, "[{n:6}.{n:6}] nvme0n1: I/O {r:1-900} QID {r:1-16} timeout, aborting"),
    (
        4,
        "[{n:6}.{n:6}] Out of memory: killed process {pid} (worker-{r:1-64}) total-vm:{n:7}kB, anon-rss:{n:6}kB",
    ),
    (9, "[{n:6}.{n:6}] cgroup: fork rejected by pids controller in /system.slice/job-{x:8}.scope"),
    (
        6,
        "[{n:6}.{n:6}] EXT4-fs error (device sda{r:1-3}): ext4_lookup: inode #{n:7}: comm rsync: deleted inode referenced: {n:7}",
    ),
];
const SYSTEMD: &[(u32, &str)] = &[
    (30, "Started session-{n:5}.scope - Session {n:5} of user {user}."),
    (30, "session-{n:5}.scope: Deactivated successfully."),
    (12, "{worker|mailer|indexer|thumbs}@{r:1-40}.service: Consumed {ms}s CPU time."),
    (
        9,
        "{worker|mailer|indexer|thumbs}@{r:1-40}.service: Main process exited, code=exited, status={r:1-3}/FAILURE",
    ),
    (
        9,
        "{worker|mailer|indexer|thumbs}@{r:1-40}.service: Scheduled restart job, restart counter is at {r:1-200}.",
    ),
];
const CRON: &[(u32, &str)] = &[
    (35, "({user}) CMD (/usr/local/bin/{rotate|sync-media|expire|report} --shard={r:1-64} > /dev/null 2>&1)"),
    (20, "pam_unix(cron:session): session {opened|closed} for user {user}"),
];
const POSTGRES: &[(u32, &str)] = &[
    (
        70,
        "LOG:  duration: {ms} ms  execute S_{r:1-90}: SELECT id, state, total FROM orders WHERE customer_id = {n:6} AND shard = {r:1-64}",
    ),
    (55, "LOG:  duration: {ms} ms  statement: UPDATE sessions SET seen = now() WHERE token = '{x:32}'"),
    (
        9,
        "ERROR:  duplicate key value violates unique constraint \"orders_reference_key\" at character {r:20-90}",
    ),
    (9, "DETAIL:  Key (reference)=({x:12}) already exists."),
    (6, "ERROR:  canceling statement due to lock timeout"),
    (
        12,
        "LOG:  checkpoint complete: wrote {n:5} buffers ({r:1-99}.{r:0-9}%); write={ms} s, sync={ms} s, distance={n:6} kB",
    ),
    (
        20,
        "LOG:  connection authorized: user={user} database={shop|ledger|metrics} application_name=pool-{r:1-32}",
    ),
    (5, "FATAL:  remaining connection slots are reserved for superusers"),
];
const BLOCKD: &[(u32, &str)] = &[
    (75, "INFO block-receiver-{r:1-400}: stored block blk_{n:18} of {n:8} bytes from /{ip}:{port}"),
    (70, "INFO namespace: added replica of blk_{n:18} on {ip}:5010, size {n:8}"),
    (50, "INFO data-xceiver: receiving blk_{n:18} src: /{ip}:{port} dest: /{ip}:5010"),
    (
        14,
        "WARN data-xceiver: {ip}:5010 got exception while serving blk_{n:18} to /{ip}: connection reset by peer",
    ),
    (20, "INFO block-scanner: verification of blk_{n:18} succeeded in {ms} ms"),
    (4, "ERROR replication: blk_{n:18} has only {r:0-2} of 3 replicas, {n:3} blocks waiting"),
];
const PROXY: &[(u32, &str)] = &[
    (
        60,
        "{ip}:{port} edge~ api/{node} {r:0-9}/0/{r:0-9}/{r:1-900}/{r:1-990} 200 {n:5} - - ---- {r:1-400}/{r:1-300}/{r:0-90}/{r:0-9}/0 0/0",
    ),
    (
        12,
        "Server api/{node} is {UP|DOWN}, reason: Layer7 {check passed|timeout|wrong status}, check duration: {r:1-2000}ms.",
    ),
    (40, "tunnel {x:6} closed, {n:4} bytes sent, {n:5} bytes received, lifetime 00:{r:10-59}"),
    (
        10,
        "{ip}:{port} edge~ edge/<NOSRV> -1/-1/-1/-1/{r:1-90} 400 0 - - PR-- {r:1-400}/{r:1-300}/0/0/0 0/0 access denied by rule {r:1-40}",
    ),
];
const MAIL: &[(u32, &str)] = &[
    (
        30,
        "{x:10}: to=<{user}@mail{r:1-99}.example.net>, relay=mx{r:1-4}.example.net[{ip}]:25, delay={r:0-9}.{r:1-99}, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as {x:11})",
    ),
    (
        12,
        "{x:10}: to=<{user}@mail{r:1-99}.example.net>, relay=none, delay={n:4}, dsn=4.4.1, status=deferred (connect to mx.example.net[{ip}]:25: Connection timed out)",
    ),
    (20, "connect from unknown[{ip}]"),
    (9, "NOQUEUE: reject: RCPT from unknown[{ip}]: 554 5.7.1 relay access denied"),
];
const DNS: &[(u32, &str)] = &[
    (35, "query[{A|AAAA|PTR}] {api|cdn|img|auth|db}{r:1-900}.internal.example.org from {ip}"),
    (25, "reply {api|cdn|img|auth|db}{r:1-900}.internal.example.org is {ip}"),
    (4, "failed to send packet: Network is unreachable"),
];
const CHECKOUT: &[(u32, &str)] = &[
    (
        55,
        "level=info msg=\"order placed\" order={n:9} customer={n:6} total={r:5-900}.{n:2} currency={EUR|USD|GBP} trace={x:32}",
    ),
    (40, "level=debug msg=\"price cache\" outcome={hit|miss|stale} key=sku:{n:7} took={ms}ms trace={x:32}"),
    (
        14,
        "level=warning msg=\"payment slow\" provider={alpha|beta|gamma} order={n:9} took={n:4}ms trace={x:32}",
    ),
    (
        10,
        "level=error msg=\"payment failed\" provider={alpha|beta|gamma} order={n:9} code={r:2000-2099} trace={x:32}",
    ),
];
const INGEST: &[(u32, &str)] = &[
    (
        45,
        "INFO [consumer-{r:1-16}] committed offset {n:10} of topic {clicks|orders|views}-{r:0-63}, lag {r:0-5000}",
    ),
    (18, "WARN [consumer-{r:1-16}] batch {uuid} retried {r:1-5} times, backing off {ms}ms"),
    (
        9,
        "ERROR [consumer-{r:1-16}] cannot decode record at offset {n:10}: unexpected byte 0x{x:2} at {r:1-900}",
    ),
    (25, "INFO [writer] flushed {n:5} rows to {path} in {ms}ms"),
];
const AUTH: &[(u32, &str)] = &[
    (
        40,
        "{open}\"level\":\"info\",\"msg\":\"token issued\",\"user\":\"{user}\",\"client\":\"{ip}\",\"ttl\":{r:60-3600},\"request\":\"{uuid}\"{close}",
    ),
    (
        14,
        "{open}\"level\":\"warn\",\"msg\":\"login denied\",\"user\":\"{user}\",\"client\":\"{ip}\",\"attempts\":{r:1-20},\"request\":\"{uuid}\"{close}",
    ),
    (
        5,
        "{open}\"level\":\"error\",\"msg\":\"directory unreachable\",\"server\":\"{node}\",\"error\":\"i/o timeout\",\"request\":\"{uuid}\"{close}",
    ),
];
const KUBELET: &[(u32, &str)] = &[
    (
        30,
        "I{n:4} 10:{r:10-59}:{r:10-59}.{n:6} {pid} pod_workers.go:{n:3}] \"Syncing pod\" pod=\"shop/api-{x:9}-{x:5}\"",
    ),
    (
        10,
        "E{n:4} 10:{r:10-59}:{r:10-59}.{n:6} {pid} remote_image.go:{n:3}] \"Pull image failed\" image=\"registry.internal/api:{x:7}\"",
    ),
    (
        16,
        "W{n:4} 10:{r:10-59}:{r:10-59}.{n:6} {pid} prober.go:{n:3}] \"Readiness probe failed\" pod=\"shop/api-{x:9}-{x:5}\" status={r:500-504}",
    ),
];
const BATCH: &[(u32, &str)] = &[
    (8, "WARN  j.b.Pool - partition {r:1-512} took {n:3}.{n:3} s, {r:1-9} of {r:10-40} tries failed"),
    (25, "INFO  j.b.Runner - step {extract|join|score|publish} of job {uuid} done: {n:6} items in {ms} s"),
    (
        8,
        "ERROR j.b.Runner - job {uuid} failed: java.lang.IllegalStateException: partition {r:1-512} of {path} is missing",
    ),
    (8, "FATAL j.b.Heap - {n:4} MiB of {n:4} MiB used after full collection, giving up on job {uuid}"),
    (20, "DEBUG j.b.Pool - worker {r:1-64} idle for {ms} s, queue {r:0-900}"),
];
