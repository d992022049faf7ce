// Owns what the daemon answered for the current view: rows, paging, histogram, facets, live rows, and
// what went wrong. Bounded: at most 5,000 rows live and 50,000 paged are held.

import * as api from './api'
import { type StreamItem, openStream } from './stream'
import { parse } from './time'
import type { View } from './view.svelte'

export const LIVE_ROWS_MAX = 5_000
export const PAGED_ROWS_MAX = 50_000
const PAGE = 200
/** Whoever scrolls on wants more at once. */
const NEXT_PAGE = 500
const FACET_VALUES = 12
export const FACET_FIELDS = ['severity', 'service', 'node', 'source'] as const
const REFRESH_MS = 5_000
const FIRST_LINES_MS = 2_000
const AWAY_MS = 2_500
const STREAM_BROKE = 'stream'

export interface RecordRow {
  uid: number
  kind: 'record'
  record: api.LogRecord
  ms: number
}
export interface GapRow {
  uid: number
  kind: 'gap'
  /** 0 where nobody counted. */
  missed: number
}
export type Row = RecordRow | GapRow

export type StreamState = 'off' | 'connecting' | 'open'

/** Why an answer is empty, and what would not be. */
export interface EmptyHint {
  kind: 'nothing-stored' | 'elsewhere' | 'nowhere'
  newestMs?: number
}

export class Results {
  rows = $state.raw<Row[]>([])
  next = $state.raw<string | null>(null)
  /** The query that the rows answer. */
  answered = $state('')
  loading = $state(true)
  loadingMore = $state(false)
  /** The next page failed; it is asked for again on a click only. */
  pageFailed = $state(false)
  /** The query or a parameter is wrong. */
  refusal = $state.raw<api.ApiError | null>(null)
  /** The daemon failed or is away. */
  failure = $state.raw<api.ApiError | null>(null)
  /** When it is asked again by itself; 0 for not. */
  retryAtMs = $state(0)
  elapsedMs = $state<number | null>(null)
  histogram = $state.raw<api.HistogramAnswer | null>(null)
  histogramProblem = $state('')
  facets = $state.raw<api.Facet[]>([])
  hint = $state.raw<EmptyHint | null>(null)
  /** Live rows that wait because the reader is somewhere else, newest first. */
  pending = $state.raw<Row[]>([])
  pendingCount = $state(0)
  stream = $state<StreamState>('off')
  /** Live rows fell off the end, so there is no next page to ask for. */
  cutOff = $state(false)
  /** Grows with each new answer, so that the list goes to its top. */
  generation = $state(0)
  /** The list says whether new rows may move what is on the screen. */
  held = false
  /** How many bars fit. */
  buckets = 120

  private uid = 0
  private abort = new AbortController()
  private closeStream: (() => void) | null = null
  private searched = new Set<string>()
  private early: StreamItem[] | null = null
  private retryTimer: ReturnType<typeof setTimeout> | undefined
  private refreshTimer: ReturnType<typeof setTimeout> | undefined
  private awayTimer: ReturnType<typeof setTimeout> | undefined
  private retries = 0
  private aggregateQuery: string | null = null

  constructor(private readonly view: () => View) {}

  get total(): number | null {
    if (!this.histogram) return null
    return this.histogram.buckets.reduce((sum, bucket) => sum + bucket.reduce((a, b) => a + b, 0), 0)
  }

  /** Asks everything anew. */
  async run(): Promise<void> {
    this.stop()
    const view = this.view()
    const { signal } = this.abort
    this.loading = true
    if (view.live) this.startStream()
    const aggregates = this.aggregate(signal)
    try {
      const answer = await api.search({ ...view.selection, limit: PAGE, order: view.order }, signal)
      this.answered = view.q
      this.accept(answer)
      await aggregates
      if (answer.records.length === 0) await this.explainEmpty(signal)
    } catch (error) {
      if (!signal.aborted) this.refuse(error)
    } finally {
      if (!signal.aborted) this.loading = false
    }
  }

  /** The next page, once at a time. */
  async more(): Promise<void> {
    if (this.next === null || this.loadingMore || this.loading || this.rows.length >= PAGED_ROWS_MAX) return
    const { signal } = this.abort
    const view = this.view()
    this.loadingMore = true
    this.pageFailed = false
    try {
      const answer = await api.search(
        { ...view.selection, limit: NEXT_PAGE, order: view.order, after: this.next },
        signal,
      )
      this.rows = this.rows.concat(answer.records.map((record) => this.row(record)))
      this.next = answer.next
    } catch (error) {
      if (!signal.aborted) this.pageFailed = true
      if (!signal.aborted) this.fail(error, false)
    } finally {
      if (!signal.aborted) this.loadingMore = false
    }
  }

  /** Lets the waiting live rows in. */
  release(): void {
    if (this.pending.length === 0) return
    const rows = this.pending
    this.pending = []
    this.pendingCount = 0
    this.prepend(rows)
  }

  /** Live ends, what was found stays. */
  pause(): void {
    this.stop()
    this.loading = false
  }

  /** Ends requests, stream and timers. */
  stop(): void {
    this.abort.abort()
    this.abort = new AbortController()
    this.closeStream?.()
    this.closeStream = null
    this.early = null
    this.stream = 'off'
    this.loadingMore = false
    this.retryAtMs = 0
    clearTimeout(this.retryTimer)
    clearTimeout(this.awayTimer)
    clearTimeout(this.refreshTimer)
  }

  private accept(answer: api.SearchAnswer): void {
    this.refusal = null
    if (this.failure?.code !== STREAM_BROKE) this.failure = null
    if (!this.view().live) this.retries = 0
    // An empty answer gets its explanation right after; until then the last one stands.
    if (answer.records.length > 0) this.hint = null
    this.pending = []
    this.pendingCount = 0
    this.cutOff = false
    this.pageFailed = false
    this.rows = answer.records.map((record) => this.row(record))
    this.next = answer.next
    this.elapsedMs = answer.elapsed_ms
    this.generation += 1
    const early = this.early
    this.early = null
    this.searched = new Set(answer.records.map(identity))
    if (early) this.streamed(early)
  }

  private async aggregate(signal: AbortSignal): Promise<void> {
    const view = this.view()
    const startedAt = performance.now()
    const asked = JSON.stringify(view.selection)
    // An open end would stop the bars at the last line, not at now.
    const until = view.range.until === '' && view.range.since !== '' ? 'now' : view.range.until
    const histogram = api.histogram({ ...view.selection, until }, this.buckets, signal)
    const facets = api.facets(view.selection, FACET_FIELDS, FACET_VALUES, signal)
    const [bars, values] = await Promise.allSettled([histogram, facets])
    if (signal.aborted) return
    this.histogramProblem = ''
    if (bars.status === 'fulfilled') {
      this.histogram = bars.value
    } else if (asked !== this.aggregateQuery && !isSyntax(bars.reason)) {
      this.histogram = null
      this.histogramProblem = bars.reason instanceof Error ? bars.reason.message : String(bars.reason)
    }
    if (values.status === 'fulfilled') this.facets = values.value.map(worstFirst)
    this.aggregateQuery = asked
    if (view.live) this.refreshLater(signal, performance.now() - startedAt)
  }

  /** Live bars and facets follow, at most a tenth of the time being spent on them. */
  private refreshLater(signal: AbortSignal, tookMs: number): void {
    this.refreshTimer = setTimeout(
      () => {
        if (signal.aborted) return
        if (document.hidden) this.refreshLater(signal, 0)
        else void this.aggregate(signal)
      },
      Math.max(REFRESH_MS, tookMs * 10),
    )
  }

  private async explainEmpty(signal: AbortSignal): Promise<void> {
    const view = this.view()
    const matching = await api.search({ q: view.q, since: '', until: '', limit: 1 }, signal)
    const [newest] = matching.records
    if (newest) {
      this.hint = { kind: 'elsewhere', newestMs: parse(newest.timestamp) }
      return
    }
    const any = view.q === '' ? matching : await api.search({ q: '', since: '', until: '', limit: 1 }, signal)
    const empty = any.records.length === 0
    this.hint = { kind: empty ? 'nothing-stored' : 'nowhere' }
    // The first lines of a new store shall appear by themselves.
    if (empty && !view.live) this.refreshTimer = setTimeout(() => void this.run(), FIRST_LINES_MS)
  }

  private refuse(error: unknown): void {
    if (isRefusal(error)) {
      this.stop()
      this.loading = false
      this.failure = null
      this.refusal = error
    } else {
      this.fail(error, true)
    }
  }

  private fail(error: unknown, again: boolean): void {
    this.failure = error instanceof api.ApiError ? error : new api.ApiError(0, 'unknown', String(error))
    const away = [0, 502, 503].includes(this.failure.status)
    if (!again || !away) return
    this.closeStream?.()
    this.closeStream = null
    this.stream = this.view().live ? 'connecting' : 'off'
    const waitMs = Math.min(1_000 * 2 ** this.retries, 15_000)
    this.retries += 1
    this.retryAtMs = Date.now() + waitMs
    this.retryTimer = setTimeout(() => void this.run(), waitMs)
  }

  private startStream(): void {
    this.stream = 'connecting'
    this.early = []
    let broken = false
    this.closeStream = openStream(this.view().q, {
      arrived: (items) => {
        if (this.early) this.early = this.early.concat(items).slice(-LIVE_ROWS_MAX)
        else this.streamed(items)
      },
      connected: () => {
        this.stream = 'open'
        this.retries = 0
        clearTimeout(this.awayTimer)
        if (this.failure?.code === STREAM_BROKE) this.failure = null
        // What came while the line was cut has to be searched for.
        if (broken) void this.catchUp(this.abort.signal)
        broken = false
      },
      disconnected: (final) => {
        this.stream = 'connecting'
        broken = true
        if (final && this.refusal === null) {
          this.fail(new api.ApiError(503, STREAM_BROKE, 'The live stream was refused; too many may be open.'), true)
        } else {
          // The browser tries again by itself; only a longer absence is worth a word.
          clearTimeout(this.awayTimer)
          this.awayTimer = setTimeout(() => this.fail(new api.ApiError(0, STREAM_BROKE, 'the daemon is away'), false), AWAY_MS)
        }
      },
    })
  }

  private async catchUp(signal: AbortSignal): Promise<void> {
    try {
      const answer = await api.search({ ...this.view().selection, limit: PAGE, order: 'desc' }, signal)
      const known = new Set<string>()
      for (const row of [...this.pending, ...this.rows]) if (row.kind === 'record') known.add(identity(row.record))
      const fresh = answer.records.filter((record) => !known.has(identity(record))).reverse()
      const items: StreamItem[] = fresh.map((record) => ({ record }))
      if (fresh.length === PAGE && answer.next !== null) items.unshift({ missed: 0 })
      this.searched = new Set(answer.records.map(identity))
      this.arrived(items)
    } catch (error) {
      if (!signal.aborted) this.fail(error, true)
    }
  }

  /** What a search has brought already may come through the stream a moment later. */
  private streamed(items: StreamItem[]): void {
    this.arrived(items.filter((item) => 'missed' in item || !this.searched.has(identity(item.record))))
  }

  private arrived(items: StreamItem[]): void {
    const rows: Row[] = items.map((item) =>
      'missed' in item ? { uid: ++this.uid, kind: 'gap', missed: item.missed } : this.row(item.record),
    )
    if (rows.length === 0) return
    this.hint = null
    rows.reverse()
    if (this.held) {
      this.pending = rows.concat(this.pending).slice(0, LIVE_ROWS_MAX)
      this.pendingCount += rows.length
    } else {
      this.prepend(rows)
    }
  }

  private prepend(rows: Row[]): void {
    const all = rows.concat(this.rows)
    if (all.length > LIVE_ROWS_MAX) {
      this.next = null
      this.cutOff = true
    }
    this.rows = all.slice(0, LIVE_ROWS_MAX)
  }

  private row(record: api.LogRecord): RecordRow {
    return { uid: ++this.uid, kind: 'record', record, ms: parse(record.timestamp) }
  }
}

function identity(record: api.LogRecord): string {
  return `${record.offset} ${record.source}`
}

/** Severities keep their places whatever their counts. */
function worstFirst(facet: api.Facet): api.Facet {
  if (facet.field !== 'severity') return facet
  const rank = ({ value }: { value: string }): number => (api.isSeverity(value) ? api.SEVERITIES.indexOf(value) : -1)
  return { ...facet, values: facet.values.toSorted((left, right) => rank(right) - rank(left)) }
}

/** Such a query has no answer at all, so what was seen before stays. */
function isSyntax(error: unknown): boolean {
  return error instanceof api.ApiError && error.code === 'syntax'
}

function isRefusal(error: unknown): error is api.ApiError {
  return error instanceof api.ApiError && error.isRefusal
}
