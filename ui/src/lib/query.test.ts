// Tests of the query's text: what is added, taken out, quoted and marked.

import { describe, expect, test } from 'vitest'
import { addTerm, indexOfByte, isFilterable, quote, removeTerm, stateOf, toggleTerm, tokenize } from './query'

describe('tokenize', () => {
  test.each([
    ['a "b c" /d e/ f:g', ['word a', 'phrase "b c"', 'regex /d e/', 'field f:g']],
    ['-a -"b c" -(d)', ['-word a', '-phrase "b c"', '-open (', 'word d', 'close )']],
    ['a OR (b AND c)', ['word a', 'or OR', 'open (', 'word b', 'and AND', 'word c', 'close )']],
    ['status>=500 y=2 z<3', ['field status>=500', 'field y=2', 'field z<3']],
    ['NOT a NOT (b) NOTE', ['-word a', '-open (', 'word b', 'close )', 'word NOTE']],
    ['- a --b -', ['-word a', 'word b', 'word -']],
    ['service:(a OR "b )" c) d', ['field service:(a OR "b )" c)', 'word d']],
    ['https://a.b/c?d=e a: b', ['word https://a.b/c?d=e', 'word a:', 'word b']],
    ['client_ip:::1 user\\ agent:"x y"', ['field client_ip:::1', 'field user\\ agent:"x y"']],
    ['/a\\/b c/ path:/^.api/ /x', ['regex /a\\/b c/', 'field path:/^.api/', 'word /x']],
    ['OR(a)', ['or OR', 'open (', 'word a', 'close )']],
    ['service:"my \\"shop" z', ['field service:"my \\"shop"', 'word z']],
    ['path:/a b/ /var/log/syslog', ['field path:/a b/', 'word /var/log/syslog']],
    ['"never closed', ['phrase "never closed']],
    ['12:30:45', ['word 12:30:45']],
    ['', []],
  ])('%s', (query, want) => {
    expect(tokenize(query).map((token) => `${token.negated ? '-' : ''}${token.kind} ${token.text}`)).toEqual(want)
  })

  test('spans cover their terms', () => {
    const query = '  -a:"b c"  OR (d)'
    expect(tokenize(query).map(({ start, end }) => query.slice(start, end))).toEqual(['-a:"b c"', 'OR', '(', 'd', ')'])
  })
})

describe('terms', () => {
  test.each([
    ['ERROR', 'ERROR'],
    ['web-1', 'web-1'],
    ['10.0.0.1', '10.0.0.1'],
    ['my shop', '"my shop"'],
    ['/var/log/syslog', '"/var/log/syslog"'],
    ['say "hi" \\', '"say \\"hi\\" \\\\"'],
    ['-5', '"-5"'],
    ['a:b', '"a:b"'],
    ['(x)', '"(x)"'],
    ['Zürich', '"Zürich"'],
    ['', '""'],
  ])('quote %s', (value, want) => {
    expect(quote(value)).toBe(want)
  })

  test.each([
    ['', 'with', 'service:shop'],
    ['', 'without', '-service:shop'],
    ['timeout', 'with', 'timeout service:shop'],
    ['a OR b', 'with', '(a OR b) service:shop'],
    ['(a OR b) c', 'with', '(a OR b) c service:shop'],
    ['-service:shop a', 'with', 'a service:shop'],
    ['service:shop a', 'without', 'a -service:shop'],
    ['service:shop a', 'with', 'service:shop a'],
    ['service:"shop" a', 'with', 'service:"shop" a'],
    ['service=shop a', 'without', 'a -service:shop'],
    ['NOT service:shop a', 'with', 'a service:shop'],
  ] as const)('add to "%s" %s', (query, sign, want) => {
    expect(addTerm(query, 'service', 'shop', sign)).toBe(want)
  })

  test.each([
    ['a service:shop b', 'a b'],
    ['service:shop', ''],
    ['-service:shop a', 'a'],
    ['(a OR b) service:shop', 'a OR b'],
    ['(a) (b) service:shop', '(a) (b)'],
    ['(service:shop OR a)', 'service:shop OR a'],
    ['service:shopping', 'service:shopping'],
  ])('remove from "%s"', (query, want) => {
    expect(removeTerm(query, 'service', 'shop')).toBe(want)
  })

  test('an empty value is a field that is not there', () => {
    expect(addTerm('', 'service', '', 'with')).toBe('-service:*')
    expect(addTerm('-service:* a', 'service', '', 'without')).toBe('a service:*')
    expect(stateOf('NOT service:*', 'service', '')).toBe('with')
  })

  test('a name is escaped', () => {
    expect(addTerm('', 'user agent', 'x', 'with')).toBe('user\\ agent:x')
  })

  test('what is added is seen, and toggling twice changes nothing', () => {
    const values = ['shop', 'my shop', 'a"b', 'c\\', '/var/log/x', '-1', 'OR', '(', '日本', '']
    for (const query of ['', 'a', '(a OR b) -c', '"x y" /z+/'])
      for (const value of values)
        for (const field of ['f', 'user agent', 'a:b*'])
          for (const sign of ['with', 'without'] as const) {
            const added = addTerm(query, field, value, sign)
            expect(stateOf(added, field, value)).toBe(sign)
            expect(toggleTerm(added, field, value, sign)).toBe(query)
          }
  })

  test('a term inside parentheses is not the view’s own', () => {
    expect(stateOf('(service:shop OR a)', 'service', 'shop')).toBe(null)
  })

  test.each([
    ['status', '500', true],
    ['http.status', 'x', true],
    ['user agent', 'x', true],
    ['città', '', true],
    ['5xx', 'x', false],
    ['<svg>', 'x', false],
    ['a', 'line\nbreak', false],
    ['a', 'x'.repeat(301), false],
  ])('filterable %s', (field, value, want) => {
    expect(isFilterable(field, value)).toBe(want)
  })
})

test.each([
  ['abc', 0, 0],
  ['abc', 3, 3],
  ['é x', 2, 1],
  ['日本 (', 7, 3],
  ['🚀 (', 5, 3],
  ['ab', 99, 2],
])('byte %s of "%s"', (text, byte, want) => {
  expect(indexOfByte(text, byte)).toBe(want)
})
