// Owns which parts of a message a query asks for, so that the list can mark them; as the daemon does it:
// whole words, the case of ASCII letters ignored, regexes as they are.

import { type Token, tokenize } from './query'

const WORD_CHAR = '[\\w\\u{80}-\\u{10ffff}]'
const IS_WORD_CHAR = new RegExp(WORD_CHAR, 'u')
const IGNORES_CASE = /^\(\?i\)/
/** Marks in one message at most. */
const MARKS_MAX = 100

/** What to mark: the words, phrases and simple regexes that the query wants; null for nothing. */
export function highlighter(query: string): RegExp | null {
  const parts: string[] = []
  // Whether each open parenthesis turns its content around.
  const turns: boolean[] = []
  for (const token of tokenize(query)) {
    if (token.kind === 'open') turns.push(token.negated)
    else if (token.kind === 'close') turns.pop()
    else if (turns.reduce((negated, turn) => negated !== turn, token.negated) === false) {
      const part = pattern(token.kind, token.text)
      if (part !== null) parts.push(part)
    }
  }
  if (parts.length === 0) return null
  parts.sort((left, right) => right.length - left.length)
  try {
    // One `(?i)` counts for all: literals carry both cases in themselves, and a mark too many does no harm.
    return new RegExp(parts.join('|'), query.includes('/(?i)') ? 'giu' : 'gu')
  } catch {
    return null
  }
}

function pattern(kind: Token['kind'], text: string): string | null {
  switch (kind) {
    case 'field': {
      const value = /^body[:=](.+)$/s.exec(text)?.[1]
      if (value === undefined || value.startsWith('(')) return null
      const isRegex = value.length > 2 && value.startsWith('/') && value.endsWith('/')
      return pattern(value.startsWith('"') ? 'phrase' : isRegex ? 'regex' : 'word', value)
    }
    case 'phrase': {
      const inner = text.endsWith('"') && text.length > 1 ? text.slice(1, -1) : text.slice(1)
      return literal(unescape(inner), true, true)
    }
    case 'regex':
      return simpleRegex(text.slice(1, -1).replaceAll('\\/', '/'))
    case 'word': {
      const [, open, inner, close] = /^(\*?)(.*?)(\*?)$/s.exec(text) ?? []
      return literal(unescape(inner), open === '', open === '' && close === '')
    }
    default:
      return null
  }
}

/** A text with its edges on the edges of words, where it has word characters there. */
function literal(text: string, startsWord: boolean, endsWord: boolean): string | null {
  if (text.trim() === '') return null
  const chars = [...text]
  const before = startsWord && IS_WORD_CHAR.test(chars[0]) ? `(?<!${WORD_CHAR})` : ''
  const after = endsWord && IS_WORD_CHAR.test(chars[chars.length - 1]) ? `(?!${WORD_CHAR})` : ''
  const body = chars.map((char) => {
    if (/[A-Za-z]/.test(char)) return `[${char.toLowerCase()}${char.toUpperCase()}]`
    return /[\\^$.*+?()[\]{}|/]/.test(char) ? `\\${char}` : char
  })
  return `${before}${body.join('')}${after}`
}

/** The browser's engine backtracks: only a regex with one quantifier is worth the risk of marking. */
function simpleRegex(source: string): string | null {
  const quantifiers = source.replace(/\\./g, '').replace(/\(\?/g, '(').match(/[*+{?]/g)?.length ?? 0
  if (quantifiers > 1) return null
  const written = `(?:${source.replace(IGNORES_CASE, '')})`
  try {
    return new RegExp(written, 'u').test('') ? null : written
  } catch {
    return null
  }
}

function unescape(text: string): string {
  return text.replace(/\\(.)/gs, '$1')
}

export interface Segment {
  text: string
  marked: boolean
}

/** Cuts `text` at the marked places. */
export function mark(text: string, pattern: RegExp | null): Segment[] {
  const segments: Segment[] = []
  let done = 0
  if (pattern !== null) {
    for (const match of text.matchAll(pattern)) {
      if (match[0] === '') continue
      if (match.index > done) segments.push({ text: text.slice(done, match.index), marked: false })
      segments.push({ text: match[0], marked: true })
      done = match.index + match[0].length
      if (segments.length > 2 * MARKS_MAX) break
    }
  }
  if (done < text.length) segments.push({ text: text.slice(done), marked: false })
  return segments
}
