// Tests of the words in which sources and health are shown.

import { expect, test } from 'vitest'
import type { HealthAnswer, Problem, Source } from './api'
import { moodOf, reasonOf, sentenceOf, shortTime, wordOf } from './sources'
import { bytes } from './text'

const GAPS = { count: 0, bytes: 0, newest_reason: null, newest: null }
const SOURCE: Source = {
  source: '/a', kind: 'file', state: 'following', path: '/a', identity: null, offset: 0, position: 0, size: 0,
  lag_bytes: 0, lag_seconds: 0, held_bytes: 0, records: 0, formats: [], rotations: 0, last_read: null, error: null,
  gaps: GAPS, stalled: false, stalled_since: null,
}
const PROBLEM: Problem = { source: '/a', what: 'is not read', since: null }
const health = (problems: Problem[], warnings: Problem[]): HealthAnswer => ({
  status: problems.length > 0 ? 'failing' : 'ok', version: '1', problems, warnings,
})

test.each([
  [null, 'unknown', 'Health is not known'],
  [health([], []), 'good', 'All is well'],
  [health([], [PROBLEM]), 'warning', '1 warning'],
  [health([PROBLEM, PROBLEM], [PROBLEM]), 'failing', '2 problems, 1 warning'],
])('health looks as it is', (answer, mood, sentence) => {
  expect(moodOf(answer)).toBe(mood)
  expect(sentenceOf(answer)).toBe(sentence)
})

test('a word and a reason for each source', () => {
  const sources: Source[] = [
    { ...SOURCE, source: '/refused', state: 'refused', error: 'is a FIFO' },
    { ...SOURCE, source: '/a', error: 'over' },
    { ...SOURCE, source: '/failed', state: 'failed', error: 'denied' },
    { ...SOURCE, source: '/stalled', state: 'failed', stalled: true, error: 'denied' },
  ]
  expect(sources.map(wordOf)).toEqual(['refused', 'following', 'failed', 'stalled'])
  expect(sources.map(reasonOf)).toEqual(['is a FIFO', null, 'denied', 'denied'])
})

test.each([[0, '0 B'], [1023, '1023 B'], [1024, '1 KiB'], [1_300_000, '1.2 MiB'], [5 * 2 ** 40, '5 TiB']])('%d bytes', (value, want) =>
  expect(bytes(value)).toBe(want),
)

test.each([[0.4, '–'], [59.9, '59 s'], [60, '1 min'], [7_300, '2 h'], [900_000, '10 d']])('%d seconds', (value, want) =>
  expect(shortTime(value)).toBe(want),
)
