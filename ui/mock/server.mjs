// Owns the stand-in for the daemon while the page is built (never shipped): serves dist/ and answers the
// API from records in memory. PORT, MOCK_RECORDS, MOCK_LIVE (lines a second), MOCK_EMPTY=1, MOCK_STALLED=1.

import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { generate, hostile, live, pushed, seeded } from './records.mjs'
import { SyntaxProblem, compile } from './search.mjs'

const PORT = Number(process.env.PORT ?? 8063)
const COUNT = Number(process.env.MOCK_RECORDS ?? 60_000)
const RATE = Number(process.env.MOCK_LIVE ?? 3)
const DIST = new URL('../dist/', import.meta.url).pathname
const NAMES = ['TRACE', 'DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL']
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' }

const offsets = new Map()
const records = process.env.MOCK_EMPTY ? [] : generate(COUNT, Date.now(), 26 * 3_600_000)
for (const record of records) offsets.set(record.source, record.offset + Buffer.byteLength(record.raw) + 1)
if (!process.env.MOCK_EMPTY) records.push(...hostile(Date.now(), offsets))
const subscribers = new Set()

function store(list) {
  records.push(...list)
  for (const subscriber of subscribers) subscriber(list)
}

class Refused extends Error {
  constructor(status, code, message, position) {
    super(message)
    Object.assign(this, { status, code, position })
  }
}

const plain = ({ ms, raw, ...record }, withRaw) => (withRaw ? { ...record, raw } : record)

function time(text, fallback) {
  if (!text) return fallback
  const duration = /^(\d+)([smhdw])$/.exec(text)
  if (duration) return Date.now() - Number(duration[1]) * { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 }[duration[2]]
  const ms = text === 'now' ? Date.now() : Date.parse(text)
  if (Number.isNaN(ms)) throw new Refused(400, 'invalid', `since or until: \`${text}\` is no time; try 1h or 2026-11-01T00:00:00Z`)
  return ms
}

function selected(parameters) {
  const test = compile(parameters.get('q') ?? '')
  const since = time(parameters.get('since'), -Infinity)
  const until = time(parameters.get('until'), Infinity)
  if (since > until) throw new Refused(400, 'invalid', 'since lies after until')
  return { since, until, found: records.filter((record) => record.ms >= since && record.ms < until && test(record)) }
}

const GET = {
  search(parameters) {
    const { found } = selected(parameters)
    const limit = Number(parameters.get('limit') ?? 100)
    const list = parameters.get('order') === 'asc' ? found : found.reverse()
    const after = parameters.get('after')
    const start = after === null ? 0 : list.findIndex((record) => `${record.source}@${record.offset}` === after) + 1
    const page = list.slice(start, start + limit)
    const end = page.at(-1)
    return {
      records: page.map((record) => plain(record, parameters.get('raw') === 'true')),
      next: start + limit < list.length ? `${end.source}@${end.offset}` : null,
      elapsed_ms: 3.4,
      scanned: records.length,
    }
  },
  histogram(parameters) {
    const { since, until, found } = selected(parameters)
    const start = since === -Infinity ? (found[0]?.ms ?? Date.now() - 6e4) : since
    const end = until === Infinity ? Date.now() : until
    const steps = [1, 10, 100, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 216e5, 864e5, 6048e5]
    const least = (end - start) / Number(parameters.get('buckets') ?? 100)
    const interval = steps.find((step) => step >= least) ?? 2_592e6
    const first = Math.floor(start / interval) * interval
    const buckets = Array.from({ length: Math.max(1, Math.ceil((end - first) / interval)) }, () => [0, 0, 0, 0, 0, 0])
    for (const record of found) {
      const bucket = buckets[Math.floor((record.ms - first) / interval)]
      if (bucket) bucket[NAMES.indexOf(record.severity)] += 1
    }
    return { start: new Date(first).toISOString(), interval_ms: interval, severities: NAMES, buckets, elapsed_ms: 2 }
  },
  facets(parameters) {
    const { found } = selected(parameters)
    const most = Number(parameters.get('values') ?? 20)
    const facets = (parameters.get('fields') ?? 'severity,service,node,source').split(',').map((field) => {
      const counts = new Map()
      for (const record of found) counts.set(record[field], (counts.get(record[field]) ?? 0) + 1)
      const values = [...counts].map(([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count)
      return { field, values: values.slice(0, most), truncated: values.length > most }
    })
    return { facets, elapsed_ms: 2 }
  },
  context(parameters) {
    const lines = records
      .filter((record) => record.source === parameters.get('source'))
      .sort((left, right) => left.offset - right.offset)
    const index = lines.findIndex((record) => record.offset === Number(parameters.get('offset')))
    if (index < 0) throw new Refused(404, 'not_found', 'no line begins at this offset')
    const [before, after] = ['before', 'after'].map((name) => Number(parameters.get(name) ?? 10))
    const part = (from, to) => lines.slice(Math.max(0, from), to).map((record) => plain(record, true))
    return { before: part(index - before, index), record: plain(lines[index], true), after: part(index + 1, index + 1 + after) }
  },
  stats: () => ({ records: records.length }),
  sources(parameters) {
    const found = sources().filter((source) => source.source.includes(parameters.get('name') ?? ''))
    const trouble = (source) => (source.stalled ? 0 : source.state === 'failed' ? 1 : source.lag_bytes > 0 ? 2 : 3)
    if (parameters.get('order') === 'trouble') found.sort((a, b) => trouble(a) - trouble(b))
    return { sources: found.slice(0, Number(parameters.get('limit') ?? 10_000)), total: found.length, gaps: GAPS }
  },
}

const GAPS = {
  by_reason: [{ reason: 'truncated before read', count: 2, bytes: 4_321 }],
  newest: [{ source: '/var/log/shop/orders.log', start_offset: 100, end_offset: 4_196, observed: new Date().toISOString(), reason: 'truncated before read' }],
}
const DENIED = 'Permission denied (os error 13); let the user that runs the daemon read it (`setfacl -m u:USER:r FILE`)'
const NO_GAPS = { count: 0, bytes: 0, newest_reason: null, newest: null }

/** A followed file for each source of the records, and one that MOCK_STALLED=1 lets nobody read. */
function sources() {
  const names = [...new Set(records.map((record) => record.source))].sort()
  const file = (source, index) => ({
    source, kind: 'file', state: 'following', path: source, identity: { dev: 65_024, inode: 1_000 + index, birth: null },
    offset: offsets.get(source) ?? 0, position: offsets.get(source) ?? 0, size: offsets.get(source) ?? 0,
    lag_bytes: index === 1 ? 70_000 : 0, lag_seconds: index === 1 ? 4 : 0, held_bytes: 0, records: records.length, formats: [], rotations: index,
    last_read: new Date().toISOString(), error: null, gaps: index === 2 ? { ...NO_GAPS, count: 2, bytes: 4_321, newest_reason: 'truncated before read' } : NO_GAPS,
    stalled: false, stalled_since: null,
  })
  const list = names.map(file)
  list.push({ ...file('/var/log/private.log', 7), state: 'failed', error: DENIED, lag_bytes: 0, records: 0, last_read: null })
  if (process.env.MOCK_STALLED) list.push({ ...file('/srv/shops/northern-europe/releases/current/log/checkout-service.log', 8), state: 'failed', error: DENIED, lag_bytes: 2_048, lag_seconds: 95, stalled: true })
  return list
}

function health(response) {
  const problem = (source) => ({ source: source.source, what: `2 KiB are not read: ${DENIED}`, since: new Date(Date.now() - 95_000).toISOString() })
  const problems = sources().filter((source) => source.stalled).map(problem)
  const warnings = [{ source: '/var/log/private.log', what: `cannot be read: ${DENIED}`, since: null }]
  json(response, problems.length > 0 ? 503 : 200, { status: problems.length > 0 ? 'failing' : 'ok', version: 'mock', problems, warnings })
}

function tail(parameters, request, response) {
  const test = compile(parameters.get('q') ?? '')
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  response.write(': hello\n\n')
  const send = (list) => {
    for (const record of list.filter(test)) {
      response.write(`event: record\nid: ${record.source}@${record.offset}\ndata: ${JSON.stringify(plain(record, false))}\n\n`)
    }
  }
  const gap = setTimeout(() => response.write('event: gap\ndata: {"missed":42}\n\n'), 2_000)
  subscribers.add(send)
  request.on('close', () => {
    clearTimeout(gap)
    subscribers.delete(send)
  })
}

async function push(parameters, request) {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  const body = Buffer.concat(chunks)
  const text = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString()
  const list = text.split('\n').filter((line) => line !== '')
  store(list.map((line) => pushed(line, parameters.get('source') ?? 'push', parameters.get('service') ?? '', Date.now(), offsets)))
  return { records: list.length, durable: true }
}

async function file(path, response) {
  const name = normalize(path === '/' ? '/index.html' : path)
  const body = await readFile(join(DIST, name))
  response.writeHead(200, {
    'content-type': TYPES[extname(name)] ?? 'application/octet-stream',
    'content-security-policy': "default-src 'self'; style-src 'self' 'unsafe-inline'",
  })
  response.end(body)
}

function json(response, status, value) {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(value))
}

async function answer(request, response) {
  const url = new URL(request.url, 'http://mock')
  const name = /^\/api\/v1\/(\w+)$/.exec(url.pathname)?.[1]
  if (name === undefined) return file(url.pathname, response)
  if (name === 'health') return health(response)
  if (name === 'tail') return tail(url.searchParams, request, response)
  if (name === 'logs' && request.method === 'POST') return json(response, 200, await push(url.searchParams, request))
  if (!Object.hasOwn(GET, name)) throw new Refused(404, 'not_found', `no such path: ${url.pathname}`)
  return json(response, 200, GET[name](url.searchParams))
}

createServer((request, response) => {
  answer(request, response).catch((error) => {
    if (error instanceof SyntaxProblem) json(response, 400, { error: { code: 'syntax', message: error.message, position: error.position } })
    else if (error instanceof Refused) json(response, error.status, { error: { code: error.code, message: error.message } })
    else json(response, error.code === 'ENOENT' ? 404 : 500, { error: { code: 'store', message: String(error.message) } })
  })
}).listen(PORT, '127.0.0.1', () => console.log(`mock: http://127.0.0.1:${PORT} with ${records.length} records`))

if (RATE > 0) {
  const random = seeded(Date.now())
  setInterval(() => store([live(random, Date.now(), offsets)]), 1_000 / RATE)
}
