// Owns what the page looks at: query, time range, order, live; and the URL that shares it.

import type { Order, Selection } from './api'
import { DEFAULT_RANGE, type TimeRange, isOpen, wider } from './time'

export interface Place {
  q: string
  range: TimeRange
  order: Order
  live: boolean
}

/** Reads a place out of a URL's query; what is missing is the default. */
export function readPlace(search: string): Place {
  const parameters = new URLSearchParams(search)
  const until = parameters.get('until') ?? ''
  const since = parameters.get('since') ?? (until === '' ? DEFAULT_RANGE.since : '')
  const live = parameters.get('live') === '1' && until === ''
  return {
    q: parameters.get('q') ?? '',
    range: { since: since === 'all' ? '' : since, until },
    order: parameters.get('order') === 'asc' && !live ? 'asc' : 'desc',
    live,
  }
}

/** The query of a URL that leads to the place; defaults stay out of it. */
export function writePlace(place: Place): string {
  const parameters = new URLSearchParams()
  if (place.q !== '') parameters.set('q', place.q)
  const { since, until } = place.range
  if (since !== DEFAULT_RANGE.since || until !== '') parameters.set('since', since === '' ? 'all' : since)
  if (until !== '') parameters.set('until', until)
  if (place.order === 'asc') parameters.set('order', 'asc')
  if (place.live) parameters.set('live', '1')
  const text = parameters.toString()
  return text === '' ? '' : `?${text}`
}

export class View {
  q = $state('')
  range = $state.raw<TimeRange>(DEFAULT_RANGE)
  order = $state<Order>('desc')
  live = $state(false)
  /** Ranges to go back to, the last one on top. */
  zooms = $state.raw<readonly TimeRange[]>([])

  /** `paused`: nothing but live was switched off. */
  constructor(private readonly changed: (how: 'moved' | 'paused') => void) {
    this.adopt(readPlace(location.search))
  }

  get selection(): Selection {
    return { q: this.q, since: this.range.since, until: this.range.until }
  }

  /** Goes to another place and runs it, even where nothing differs: Enter means "again". */
  go(change: Partial<Place>): void {
    const place: Place = { q: this.q, range: this.range, order: this.order, live: this.live, ...change }
    if (place.live && !isOpen(place.range)) {
      // A range that has ended has no new lines: whichever was asked for last wins.
      if (change.live) place.range = DEFAULT_RANGE
      else place.live = false
    }
    if (place.live) place.order = 'desc'
    this.adopt(place)
    const search = writePlace(place)
    if (search !== location.search) history.pushState(null, '', `${location.pathname}${search}`)
    this.changed(change.live === false && Object.keys(change).length === 1 ? 'paused' : 'moved')
  }

  setRange(range: TimeRange): void {
    this.zooms = []
    this.go({ range })
  }

  zoomIn(range: TimeRange): void {
    this.zooms = [...this.zooms.slice(-49), this.range]
    this.go({ range })
  }

  zoomOut(): void {
    const range = this.zooms.at(-1) ?? wider(this.range, Date.now())
    this.zooms = this.zooms.slice(0, -1)
    this.go({ range })
  }

  /** The browser's back and forward. */
  restore(): void {
    this.zooms = []
    this.adopt(readPlace(location.search))
    this.changed('moved')
  }

  private adopt(place: Place): void {
    this.q = place.q
    this.range = place.range
    this.order = place.order
    this.live = place.live
  }
}
