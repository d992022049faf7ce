// Owns time as the page shows and writes it: the presets, local clock with UTC beside it, custom ranges.

export interface TimeRange {
  /** A duration back from now (`1h`), an RFC 3339 time, or empty for "from the first line". */
  since: string
  /** An RFC 3339 time, or empty for "to now". */
  until: string
}

export interface Preset {
  since: string
  label: string
  /** How a sentence names it: "in the last hour". */
  phrase: string
}

export const PRESETS: readonly Preset[] = [
  { since: '15m', label: '15 min', phrase: 'in the last 15 minutes' },
  { since: '1h', label: '1 h', phrase: 'in the last hour' },
  { since: '6h', label: '6 h', phrase: 'in the last 6 hours' },
  { since: '24h', label: '24 h', phrase: 'in the last 24 hours' },
  { since: '7d', label: '7 d', phrase: 'in the last 7 days' },
  { since: '', label: 'All', phrase: 'in all that is stored' },
]

export const DEFAULT_RANGE: TimeRange = { since: '1h', until: '' }

/** The preset that a range is, if it is one. */
export function presetOf(range: TimeRange): Preset | null {
  return range.until === '' ? (PRESETS.find((preset) => preset.since === range.since) ?? null) : null
}

/** Whether the range ends now and moves along. */
export function isOpen(range: TimeRange): boolean {
  return range.until === ''
}

/** How a sentence names a range. */
export function phraseOf(range: TimeRange): string {
  const preset = presetOf(range)
  if (preset) return preset.phrase
  if (range.until === '') return `since ${edge(range.since)}`
  if (range.since === '') return `until ${edge(range.until)}`
  return `from ${edge(range.since)} to ${edge(range.until)}`
}

/** A short label for a custom range. */
export function labelOf(range: TimeRange): string {
  const until = range.until === '' ? 'now' : edge(range.until)
  return `${range.since === '' ? 'first line' : edge(range.since)} – ${until}`
}

function edge(text: string): string {
  const ms = parse(text)
  return Number.isNaN(ms) ? text : `${dayOf(ms)} ${clockOf(ms).slice(0, 8)}`
}

/** Milliseconds since 1970 of an RFC 3339 time with any number of fraction digits; NaN where it is none. */
export function parse(text: string): number {
  if (!/^\d{4}-\d{2}-\d{2}[T ]\d/.test(text)) return Number.NaN
  const short = text.replace(/(\.\d{3})\d+/, '$1').replace(' ', 'T')
  // Zone-less means UTC here as in the API.
  return Date.parse(/(?:Z|[+-]\d{2}:?\d{2})$/i.test(short) ? short : `${short}Z`)
}

const pad = (value: number, width = 2): string => String(value).padStart(width, '0')

/** `2026-11-20`, local. */
export function dayOf(ms: number): string {
  const date = new Date(ms)
  return `${pad(date.getFullYear(), 4)}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`
}

/** `23:14:05.123`, local. */
export function clockOf(ms: number): string {
  const date = new Date(ms)
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}.${pad(date.getMilliseconds(), 3)}`
}

/** The zone's offset at that time: `+02:00`, `UTC`. */
export function zoneOf(ms: number): string {
  const minutes = -new Date(ms).getTimezoneOffset()
  if (minutes === 0) return 'UTC'
  const size = Math.abs(minutes)
  return `${minutes < 0 ? '-' : '+'}${pad(Math.floor(size / 60))}:${pad(size % 60)}`
}

/** For `<input type=datetime-local>`: local, to the second. */
export function toInput(ms: number): string {
  return `${dayOf(ms)}T${clockOf(ms).slice(0, 8)}`
}

/** What such an input holds as RFC 3339 in UTC; empty for empty or wrong. */
export function fromInput(text: string): string {
  const ms = Date.parse(text)
  return text === '' || Number.isNaN(ms) ? '' : new Date(ms).toISOString()
}

/** A range between two instants, in order. */
export function between(fromMs: number, toMs: number): TimeRange {
  const [start, end] = fromMs <= toMs ? [fromMs, toMs] : [toMs, fromMs]
  return { since: new Date(Math.floor(start)).toISOString(), until: new Date(Math.ceil(end)).toISOString() }
}

const UNITS_MS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

/** The edges of a range in ms as the browser's clock sees them; null for an open start. */
export function edges(range: TimeRange, nowMs: number): { start: number | null; end: number } {
  const end = range.until === '' ? nowMs : parse(range.until)
  const duration = /^(\d+)([smhdw])$/.exec(range.since)
  if (duration) return { start: nowMs - Number(duration[1]) * UNITS_MS[duration[2]], end }
  const start = parse(range.since)
  return { start: Number.isNaN(start) ? null : start, end: Number.isNaN(end) ? nowMs : end }
}

/** Three times the span around the same middle; the whole store once that reaches ten years. */
export function wider(range: TimeRange, nowMs: number): TimeRange {
  const index = PRESETS.findIndex((preset) => preset === presetOf(range))
  if (index >= 0) return { since: PRESETS[Math.min(index + 1, PRESETS.length - 1)].since, until: '' }
  const { start, end } = edges(range, nowMs)
  if (start === null) return { since: '', until: '' }
  const span = Math.max(end - start, 1_000)
  if (span > 10 * 365 * UNITS_MS.d) return { since: '', until: '' }
  return between(start - span, Math.min(end + span, Math.max(nowMs, end)))
}

/** `3 minutes ago`, roughly. */
export function ago(ms: number, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - ms) / 1_000))
  const [value, unit] =
    seconds < 60 ? [seconds, 'second'] : seconds < 3_600 ? [Math.round(seconds / 60), 'minute']
    : seconds < 86_400 ? [Math.round(seconds / 3_600), 'hour'] : [Math.round(seconds / 86_400), 'day']
  return `${value} ${unit}${value === 1 ? '' : 's'} ago`
}

/** `1 min`, `250 ms`: a bucket's width. */
export function span(ms: number): string {
  for (const [unit, size] of [['d', UNITS_MS.d], ['h', UNITS_MS.h], ['min', UNITS_MS.m], ['s', UNITS_MS.s]] as const) {
    if (ms >= size) return `${Number((ms / size).toFixed(1))} ${unit}`
  }
  return `${ms} ms`
}
