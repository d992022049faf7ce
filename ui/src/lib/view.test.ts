// Tests of the URL: a link leads to the place it was made at.

import { expect, test } from 'vitest'
import { type Place, readPlace, writePlace } from './view.svelte'

const PLACE: Place = { q: '', range: { since: '1h', until: '' }, order: 'desc', live: false }

test.each([
  ['defaults stay out', {}, ''],
  ['a query', { q: 'a "b c" +&=' }, '?q=a+%22b+c%22+%2B%26%3D'],
  ['all time', { range: { since: '', until: '' } }, '?since=all'],
  ['an end without a start', { range: { since: '', until: '2026-11-01T00:00:00Z' } }, '?since=all&until=2026-11-01T00%3A00%3A00Z'],
  ['live', { live: true }, '?live=1'],
  ['oldest first', { order: 'asc' as const }, '?order=asc'],
])('%s', (_name, change, want) => {
  const place = { ...PLACE, ...change }
  expect(writePlace(place)).toBe(want)
  expect(readPlace(want)).toEqual(place)
})

test('a range that has ended is not live', () => {
  expect(readPlace('?until=2026-11-01T00:00:00Z&live=1').live).toBe(false)
})
