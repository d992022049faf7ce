// Owns the HTTP API as the page sees it: the types of its answers, one function per endpoint, and one
// error type that tells "your query is wrong" from "the daemon is away".

export const SEVERITIES = ['TRACE', 'DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'] as const
export type Severity = (typeof SEVERITIES)[number]

export type AttributeValue = string | number | boolean | null | AttributeValue[] | { [key: string]: AttributeValue }

export interface LogRecord {
  timestamp: string
  observed_timestamp: string
  severity: string
  node: string
  source: string
  offset: number
  service: string
  body: string
  attributes: Record<string, AttributeValue>
  raw?: string
}

export interface SearchAnswer {
  records: LogRecord[]
  next: string | null
  elapsed_ms: number
  scanned?: number
}

export interface HistogramAnswer {
  start: string
  interval_ms: number
  severities: string[]
  buckets: number[][]
  elapsed_ms?: number
}

export interface Facet {
  field: string
  values: { value: string; count: number }[]
  truncated: boolean
}

export interface ContextAnswer {
  before: LogRecord[]
  record: LogRecord | null
  after: LogRecord[]
}

/** Something that is wrong. */
export interface Problem {
  source: string
  what: string
  since: string | null
}

export interface HealthAnswer {
  status: string
  version: string
  problems: Problem[]
  warnings: Problem[]
}

export interface Source {
  source: string
  kind: string
  state: string
  path: string | null
  identity: { dev: number; inode: number; birth: string | null } | null
  offset: number
  position: number
  size: number
  lag_bytes: number
  lag_seconds: number
  held_bytes: number
  records: number
  /** The most frequent first. */
  formats: { format: string; records: number }[]
  rotations: number
  last_read: string | null
  error: string | null
  gaps: { count: number; bytes: number; newest_reason: string | null; newest: string | null }
  stalled: boolean
  stalled_since: string | null
}

export interface SourcesAnswer {
  sources: Source[]
  /** How many have the name, beyond the limit too. */
  total: number
  gaps: {
    by_reason: { reason: string; count: number; bytes: number }[]
    newest: { source: string; start_offset: number; end_offset: number; observed: string; reason: string }[]
  }
}

/** What a query selects; an empty `since` or `until` is an open end. */
export interface Selection {
  q: string
  since: string
  until: string
}

export type Order = 'desc' | 'asc'

/** An answer that is no result. `status` 0 means that nobody answered. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    /** Byte offset into the query (UTF-8), where the API knows it. */
    readonly position: number | null = null,
  ) {
    super(message)
  }

  /** The query or a parameter is at fault, so asking again is no use. */
  get isRefusal(): boolean {
    return this.status >= 400 && this.status < 500 && this.status !== 408 && this.status !== 429
  }
}

type Parameters = Record<string, string | number | boolean | undefined>

/** The address of an endpoint, relative to the page so that a path prefix is kept. */
export function address(path: string, parameters: Parameters): string {
  const search = new URLSearchParams()
  for (const [key, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== '') search.set(key, String(value))
  }
  const text = search.toString()
  return `api/v1/${path}${text === '' ? '' : `?${text}`}`
}

/** `meant`: a status besides 2xx that is an answer too. */
async function ask<T>(path: string, parameters: Parameters, signal?: AbortSignal, meant?: number): Promise<T> {
  let response: Response
  try {
    response = await fetch(address(path, parameters), { signal, headers: { accept: 'application/json' } })
  } catch (cause) {
    if (signal?.aborted) throw cause
    throw new ApiError(0, 'unreachable', 'the daemon does not answer')
  }
  if (!response.ok && response.status !== meant) throw await refusal(response)
  try {
    return (await response.json()) as T
  } catch (cause) {
    if (signal?.aborted) throw cause
    throw new ApiError(0, 'broken', 'the answer broke off')
  }
}

async function refusal(response: Response): Promise<ApiError> {
  const fallback = `the daemon answered ${response.status} ${response.statusText}`.trim()
  try {
    const { error } = (await response.json()) as { error?: { code?: unknown; message?: unknown; position?: unknown } }
    return new ApiError(
      response.status,
      typeof error?.code === 'string' ? error.code : 'unknown',
      typeof error?.message === 'string' ? error.message : fallback,
      typeof error?.position === 'number' ? error.position : null,
    )
  } catch {
    return new ApiError(response.status, 'unknown', fallback)
  }
}

export function search(
  selection: Selection & { limit: number; order?: Order; after?: string },
  signal?: AbortSignal,
): Promise<SearchAnswer> {
  return ask('search', { ...selection }, signal)
}

export function histogram(selection: Selection, buckets: number, signal?: AbortSignal): Promise<HistogramAnswer> {
  return ask('histogram', { ...selection, buckets }, signal)
}

export async function facets(
  selection: Selection,
  fields: readonly string[],
  values: number,
  signal?: AbortSignal,
): Promise<Facet[]> {
  const answer = await ask<{ facets: Facet[] }>('facets', { ...selection, fields: fields.join(','), values }, signal)
  return answer.facets
}

export function context(
  place: { source: string; offset: number },
  before: number,
  after: number,
  signal?: AbortSignal,
): Promise<ContextAnswer> {
  return ask('context', { source: place.source, offset: place.offset, before, after, raw: true }, signal)
}

/** Trouble first. */
export function sources(name: string, limit: number, signal?: AbortSignal): Promise<SourcesAnswer> {
  return ask('sources', { name, limit, order: 'trouble' }, signal)
}

/** Also a program that is not well says how it is, with 503; one that is only busy says something else. */
export async function health(signal?: AbortSignal): Promise<HealthAnswer> {
  const answer = await ask<Partial<HealthAnswer>>('health', {}, signal, 503)
  if (typeof answer.status !== 'string') throw new ApiError(503, 'unknown', 'the answer is not about health')
  const { status, version = '', problems = [], warnings = [] } = answer
  return { status, version, problems, warnings }
}

export function isSeverity(name: string): name is Severity {
  return (SEVERITIES as readonly string[]).includes(name)
}
