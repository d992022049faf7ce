// Tests of what is marked in a message.

import { expect, test } from 'vitest'
import { highlighter, mark } from './highlight'

const marked = (query: string, text: string): string[] =>
  mark(text, highlighter(query))
    .filter((segment) => segment.marked)
    .map((segment) => segment.text)

test.each([
  ['timeout', 'A Timeout, timeout; timeouts', ['Timeout', 'timeout']],
  ['"connection refused" conn*', 'connection refused by conntrack', ['connection refused', 'conn']],
  ['*track*', 'conntrack', ['track']],
  ['-gone here', 'gone here', ['here']],
  ['NOT gone - there here', 'gone there here', ['here']],
  ['-(a b) c', 'a b c', ['c']],
  ['-(a (b)) c (d)', 'a b c d', ['c', 'd']],
  ['-(a -b)', 'a b', ['b']],
  ['severity:ERROR body:disk', 'ERROR disk', ['disk']],
  ['service:(a OR b)', 'a b', []],
  ['/time(d )?out/', 'timed out Timeout', ['timed out']],
  ['/(?i)out/', 'OUT', ['OUT']],
  ['/(a+)+b/', 'aaab', []],
  ['/x*/', 'axb', []],
  ['/a[/', 'a[', []],
  ['a.b', 'a.b axb A.B', ['a.b', 'A.B']],
  ['x OR y AND z', 'x OR y AND z', ['x', 'y', 'z']],
  ['/var/log/syslog', 'open /var/log/syslog', ['/var/log/syslog']],
  ['"say \\"hi\\""', 'say "hi"', ['say "hi"']],
  ['a\\ b', 'a b', ['a b']],
  ['ärger', 'ärger ärgern', ['ärger']],
  ['*', 'text', []],
  ['', 'text', []],
])('%s in "%s"', (query, text, want) => {
  expect(marked(query, text)).toEqual(want)
})

test('segments join to the text', () => {
  for (const query of ['', 'a', '"a b"', 'a OR b', '/[ab]/', 'é', '<b>', '"', '(', '\\'])
    for (const text of ['', 'a b a', '<b>a</b>', 'éa', 'aaa'])
      expect(mark(text, highlighter(query)).map((segment) => segment.text).join('')).toBe(text)
})
