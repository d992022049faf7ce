// Tests of time ranges and of times as text.

import { describe, expect, test } from 'vitest'
import { ago, between, edges, fromInput, labelOf, parse, phraseOf, presetOf, span, toInput, wider } from './time'

const NOON = Date.UTC(2026, 10, 1, 12)

test.each([
  ['2026-11-01T12:00:00Z', NOON],
  ['2026-11-01T12:00:00.006000123Z', NOON + 6],
  ['2026-11-01T13:00:00+01:00', NOON],
  ['2026-11-01 12:00:00', NOON],
  ['1h', Number.NaN],
  ['', Number.NaN],
])('parse %s', (text, want) => {
  expect(parse(text)).toBe(want)
})

test('inputs come back as they went in', () => {
  expect(parse(fromInput(toInput(NOON)))).toBe(NOON)
  expect(fromInput('')).toBe('')
})

describe('ranges', () => {
  test('presets know themselves', () => {
    expect(presetOf({ since: '1h', until: '' })?.phrase).toBe('in the last hour')
    expect(presetOf({ since: '', until: '' })?.label).toBe('All')
    expect(presetOf({ since: '1h', until: '2026-11-01T12:00:00Z' })).toBe(null)
    expect(phraseOf({ since: '3h', until: '' })).toBe('since 3h')
    expect(labelOf({ since: '', until: '' })).toBe('first line – now')
  })

  test('between puts its ends in order', () => {
    expect(between(NOON + 1_000, NOON)).toEqual({ since: '2026-11-01T12:00:00.000Z', until: '2026-11-01T12:00:01.000Z' })
  })

  test('edges of relative, absolute and open ranges', () => {
    expect(edges({ since: '15m', until: '' }, NOON)).toEqual({ start: NOON - 900_000, end: NOON })
    expect(edges({ since: '', until: '' }, NOON)).toEqual({ start: null, end: NOON })
    expect(edges(between(NOON - 5, NOON), NOON + 9)).toEqual({ start: NOON - 5, end: NOON })
  })

  test('wider leads step by step to everything', () => {
    expect(wider({ since: '1h', until: '' }, NOON).since).toBe('6h')
    expect(wider(between(NOON - 3_000, NOON - 2_000), NOON)).toEqual(between(NOON - 4_000, NOON - 1_000))
    let range = between(NOON - 3_000, NOON - 2_000)
    for (let step = 0; step < 40 && range.since !== ''; step += 1) range = wider(range, NOON)
    expect(range).toEqual({ since: '', until: '' })
  })
})

test.each([
  [1_000, '1 second ago'],
  [120_000, '2 minutes ago'],
  [3 * 86_400_000, '3 days ago'],
])('%d ms is %s', (ms, want) => {
  expect(ago(NOON - ms, NOON)).toBe(want)
})

test.each([
  [250, '250 ms'],
  [60_000, '1 min'],
  [5_400_000, '1.5 h'],
])('%d ms spans %s', (ms, want) => {
  expect(span(ms)).toBe(want)
})
