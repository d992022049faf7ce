// Tests of what log text becomes before it is shown.

import { expect, test } from 'vitest'
import { lines, oneLine, shortCount, visible } from './text'

test.each([
  ['\u001b[1;31mred\u001b[0m', 'red'],
  ['a\r\nb\n   c\td', 'a ↵ b ↵ c d'],
  ['\u001b]0;title\u0007x\u0000', 'x\u2400'],
  ['gnp\u202eexe', 'gnp<U+202E>exe'],
  ['trailing\n\n', 'trailing'],
  ['<img src=x>', '<img src=x>'],
])('one line of %j', (text, want) => {
  expect(oneLine(text)).toBe(want)
})

test('a long message is cut', () => {
  expect(oneLine('x'.repeat(1_000_000)).length).toBe(1_001)
})

test('line breaks and tabs stay visible as they are, other controls as pictures', () => {
  expect(visible('a\n\tb\u001b[0m\u007f\u009b')).toBe('a\n\tb\u241b[0m\u2421<9b>')
})

test.each([
  [0, '0'],
  [9_999, '9,999'],
  [12_345, '12k'],
  [1_250_000, '1.3M'],
  [1_000_000, '1M'],
  [100_000_000, '100M'],
  [2_000_000_000, '2G'],
])('%d is %s', (value, want) => {
  expect(shortCount(value)).toBe(want)
})

test('one line, two lines', () => {
  expect([lines(1), lines(2_000)]).toEqual(['1 line', '2,000 lines'])
})
