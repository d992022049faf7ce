// Owns the live stream: one EventSource, its records gathered into small batches, gaps counted,
// reconnected by the browser or, where it gave up, by whoever listens.

import { type LogRecord, address } from './api'

/** Records between two flushes at most; beyond it the oldest count as skipped. */
const BUFFER_MAX = 5_000
const FLUSH_MS = 100

export type StreamItem = { record: LogRecord } | { missed: number }

export interface StreamListener {
  /** Items in the order they came. */
  arrived(items: StreamItem[]): void
  connected(): void
  /** `final`: the browser will not try again by itself. */
  disconnected(final: boolean): void
}

/** Opens the stream of new records that match `q`; the answer closes it. */
export function openStream(q: string, listener: StreamListener): () => void {
  const source = new EventSource(address('tail', { q, resume: 'false' }))
  let buffer: StreamItem[] = []
  let overflow = 0
  let timer: ReturnType<typeof setTimeout> | undefined

  const flush = (): void => {
    timer = undefined
    const items = overflow > 0 ? [{ missed: overflow }, ...buffer] : buffer
    buffer = []
    overflow = 0
    listener.arrived(items)
  }
  const add = (item: StreamItem): void => {
    buffer.push(item)
    if (buffer.length > BUFFER_MAX) {
      const dropped = buffer.shift()
      overflow += dropped && 'missed' in dropped ? dropped.missed : 1
    }
    timer ??= setTimeout(flush, FLUSH_MS)
  }

  source.addEventListener('record', (event: MessageEvent<string>) => {
    const record = decode<LogRecord>(event.data)
    if (record && typeof record.timestamp === 'string') add({ record })
  })
  source.addEventListener('gap', (event: MessageEvent<string>) => {
    const gap = decode<{ missed?: unknown }>(event.data)
    if (typeof gap?.missed === 'number') add({ missed: gap.missed })
  })
  source.onopen = () => listener.connected()
  source.onerror = () => listener.disconnected(source.readyState === EventSource.CLOSED)

  return () => {
    clearTimeout(timer)
    source.close()
  }
}

function decode<T>(text: string): T | null {
  try {
    return JSON.parse(text) as T
  } catch {
    return null
  }
}
