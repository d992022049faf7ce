// Owns the mock's records: a lively day of made-up traffic, and the lines that a page must not trip over.

const NAMES = ['TRACE', 'DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL']
const pick = (random, list) => list[Math.floor(random() * list.length)]

/** A small repeatable generator (mulberry32), so that screenshots can be compared. */
export function seeded(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

const address = (random) => `203.0.113.${Math.floor(random() * 250) + 1}`

const KINDS = [
  (random) => {
    const status = pick(random, [200, 200, 200, 200, 201, 204, 304, 404, 500, 502])
    const path = pick(random, ['/', '/cart', '/api/orders', '/api/orders/4711', '/img/logo.svg', '/login'])
    const method = path === '/login' ? 'POST' : 'GET'
    const client = address(random)
    const bytes = Math.floor(random() * 40_000)
    return {
      severity: status >= 500 ? 'ERROR' : status >= 400 ? 'WARNING' : 'INFO',
      node: pick(random, ['web-1', 'web-2']),
      service: 'nginx',
      source: '/var/log/nginx/access.log',
      body: `${method} ${path} HTTP/1.1`,
      attributes: { client, method, path, status, bytes, user_agent: 'Mozilla/5.0 (X11; Linux x86_64)', duration: 0.012 },
    }
  },
  (random) => {
    const pid = 800 + Math.floor(random() * 5_000)
    const client = address(random)
    const bad = random() < 0.6
    return {
      severity: bad ? 'WARNING' : 'INFO',
      node: 'web-1',
      service: 'sshd',
      source: '/var/log/auth.log',
      body: bad
        ? `Failed password for invalid user admin from ${client} port ${40_000 + pid} ssh2`
        : `Accepted publickey for deploy from ${client} port ${40_000 + pid} ssh2: ED25519`,
      attributes: { pid, client },
    }
  },
  (random) => {
    const ms = Math.floor(random() ** 3 * 4_000)
    return {
      severity: ms > 2_500 ? 'WARNING' : random() < 0.4 ? 'DEBUG' : 'INFO',
      node: 'db-1',
      service: 'postgresql',
      source: '/var/log/postgresql/postgresql-15-main.log',
      body: `duration: ${ms}.${Math.floor(random() * 999)} ms  statement: SELECT id, total FROM orders WHERE customer_id = $1 ORDER BY created_at DESC LIMIT 50`,
      attributes: { pid: 1_204, database: 'shop', user: 'shop', duration_ms: ms },
    }
  },
  (random) => ({
    severity: pick(random, ['INFO', 'INFO', 'INFO', 'DEBUG', 'TRACE']),
    node: pick(random, ['app-1', 'app-2', 'app-3']),
    service: 'checkout',
    source: '/srv/checkout/logs/checkout.json',
    body: pick(random, ['order placed', 'payment authorised', 'cart updated', 'cache miss', 'stock reserved']),
    attributes: {
      order: `o-${Math.floor(random() * 1e8).toString(36)}`,
      customer: Math.floor(random() * 9_000),
      amount: Math.round(random() * 20_000) / 100,
      currency: 'EUR',
      retry: random() < 0.1,
      trace_id: Math.floor(random() * 1e15).toString(16),
    },
  }),
]

const CRASH = (random) => ({
  severity: random() < 0.25 ? 'CRITICAL' : 'ERROR',
  node: 'app-2',
  service: 'checkout',
  source: '/srv/checkout/logs/checkout.json',
  body: [
    'java.net.SocketTimeoutException: connection to upstream payment:8443 timed out',
    '\tat shop.checkout.Payment.authorise(Payment.java:118)',
    '\tat shop.checkout.Order.place(Order.java:61)',
    '\tat java.base/java.lang.Thread.run(Thread.java:840)',
  ].join('\n'),
  attributes: { upstream: 'payment:8443', attempt: 3, error: { kind: 'timeout', after_ms: 30_000 } },
})

/** Lines that try to be more than text. */
const HOSTILE = [
  {
    severity: 'ERROR',
    service: '<b>evil</b>',
    body: `<img src=x onerror="window.pwned=1;alert('pwned')"><script>window.pwned=1</script>`,
    attributes: { '<svg/onload=alert(1)>': '"><img src=x onerror=alert(2)>', 'user agent': `' OR 1=1 --`, __proto__x: 1 },
  },
  { severity: 'INFO', service: 'ansi', body: '\u001b[1;31mred alert\u001b[0m \u001b]0;title\u0007 bell\u0007 null\u0000 done', attributes: {} },
  { severity: 'INFO', service: 'unicode', body: 'Grüße aus Zürich, 日本語のログ, emoji 🚀👩‍🚀, rtl \u202egnp.exe\u202c שלום', attributes: { città: 'Forlì' } },
  { severity: 'DEBUG', service: 'long', body: `long ${'0123456789abcdef'.repeat(8_000)} end`, attributes: { blob: 'x'.repeat(5_000) } },
  { severity: 'INFO', service: '', body: '', attributes: { nothing: null, list: [1, 2, 3], quote: 'say "hi" \\ bye' } },
].map((line) => ({ node: 'lab', source: '/tmp/hostile "quoted" file.log', ...line }))

/** Records over `spanMs` up to `endMs`, oldest first; a burst of errors at two thirds. */
export function generate(count, endMs, spanMs, seed = 7) {
  const random = seeded(seed)
  const offsets = new Map()
  const times = Array.from({ length: count }, () => {
    const share = random()
    const wave = 0.55 + 0.45 * Math.sin(share * 19)
    return random() < wave ? share : (share + random() * 0.3) % 1
  }).sort((a, b) => a - b)
  return times.map((share, index) => {
    const inBurst = share > 0.64 && share < 0.68
    const line =
      index % Math.floor(count / 7) === 5
        ? HOSTILE[Math.floor(index / Math.floor(count / 7)) % HOSTILE.length]
        : random() < (inBurst ? 0.45 : 0.004)
          ? CRASH(random)
          : pick(random, KINDS)(random)
    return record(line, endMs - spanMs + share * spanMs, offsets)
  })
}

/** One new record, now. */
export function live(random, nowMs, offsets) {
  return record(random() < 0.03 ? CRASH(random) : pick(random, KINDS)(random), nowMs, offsets)
}

/** The last lines of the day: all hostile ones, so that the first screen shows them. */
export function hostile(nowMs, offsets) {
  return HOSTILE.map((line, index) => record(line, nowMs - 4_000 + index * 10, offsets))
}

function record(line, ms, offsets) {
  const time = new Date(ms).toISOString().replace('Z', '000000Z')
  const raw =
    line.service === 'nginx'
      ? `${line.attributes.client} - - [${time}] "${line.body}" ${line.attributes.status} ${line.attributes.bytes}`
      : `${time} ${line.node} ${line.service}: ${line.body}`
  const offset = offsets.get(line.source) ?? 0
  offsets.set(line.source, offset + Buffer.byteLength(raw) + 1)
  return { ...line, timestamp: time, observed_timestamp: time, offset, raw, ms }
}

/** A pushed line as plain text: its first level word is its severity. */
export function pushed(text, source, service, nowMs, offsets) {
  const level = /\b(TRACE|DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b/.exec(text)?.[1] ?? 'INFO'
  const severity = NAMES.find((name) => name.startsWith(level)) ?? 'CRITICAL'
  const attributes = Object.fromEntries(
    [...text.matchAll(/\b([a-z_]+)=("[^"]*"|\S+)/g)].map(([, key, value]) => [
      key,
      /^-?\d+$/.test(value) ? Number(value) : value.replace(/^"|"$/g, ''),
    ]),
  )
  const made = record({ severity, node: 'lab', service, source, body: text, attributes }, nowMs, offsets)
  return { ...made, raw: text }
}
