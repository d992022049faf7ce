// Owns the search language as text: splitting a query into terms, adding and removing `field:value`,
// quoting. Judging a query is the daemon's work alone; what is wrong passes through here unharmed.

export interface Token {
  kind: 'word' | 'phrase' | 'regex' | 'field' | 'open' | 'close' | 'or' | 'and'
  /** As written, without what negates it. */
  text: string
  negated: boolean
  start: number
  end: number
}

export type Sign = 'with' | 'without'

const PLAIN_VALUE = /^[A-Za-z0-9_][A-Za-z0-9_.@-]*$/
const NAME_START = /^[\p{L}_@]/u
/** A name and its operator; a blank or `//` after it makes both part of a word. */
const FIELD = /^([\p{L}_@](?:\\.|[^\s()":=<>\\])*)(>=|<=|[:=<>])(?!\s|$|\/\/)/su
const CONTROL = /[\u0000-\u001f\u007f]/
const TERM_CHARS_MAX = 300

/** Splits a query; never fails, an open quote runs to the end. */
export function tokenize(query: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  for (;;) {
    at = afterBlanks(query, at)
    if (at >= query.length) return tokens
    const start = at
    let negated = false
    for (let mark = negation(query, at); mark > at; mark = negation(query, at)) {
      negated = !negated
      at = mark
    }
    const { kind, end } = term(query, at)
    tokens.push({ kind, text: query.slice(at, end), negated, start, end })
    at = end
  }
}

function afterBlanks(query: string, from: number): number {
  let at = from
  while (at < query.length && /\s/.test(query[at])) at += 1
  return at
}

/** Where what is negated begins; `at` where nothing is. */
function negation(query: string, at: number): number {
  const length = query[at] === '-' ? 1 : isKeyword(query, at, 'NOT') ? 3 : 0
  const next = afterBlanks(query, at + length)
  return length > 0 && next < query.length && query[next] !== ')' ? next : at
}

function isKeyword(query: string, at: number, keyword: string): boolean {
  return query.startsWith(keyword, at) && /^(?:$|[\s(])/.test(query.slice(at + keyword.length, at + keyword.length + 1))
}

function term(query: string, at: number): { kind: Token['kind']; end: number } {
  const first = query[at]
  if (first === '(') return { kind: 'open', end: at + 1 }
  if (first === ')') return { kind: 'close', end: at + 1 }
  if (isKeyword(query, at, 'OR')) return { kind: 'or', end: at + 2 }
  if (isKeyword(query, at, 'AND')) return { kind: 'and', end: at + 3 }
  const field = FIELD.exec(query.slice(at))
  if (!field) return value(query, at)
  const from = at + field[0].length
  return { kind: 'field', end: query[from] === '(' ? listEnd(query, from) : value(query, from).end }
}

function value(query: string, at: number): { kind: 'word' | 'phrase' | 'regex'; end: number } {
  if (query[at] === '"') return { kind: 'phrase', end: quoteEnd(query, at) }
  if (query[at] === '/') {
    const end = regexEnd(query, at)
    if (end !== null) return { kind: 'regex', end }
  }
  let end = at
  while (end < query.length && !/[\s()"]/.test(query[end])) end += query[end] === '\\' ? 2 : 1
  return { kind: 'word', end: Math.min(Math.max(end, at + 1), query.length) }
}

function quoteEnd(query: string, open: number): number {
  for (let at = open + 1; at < query.length; at += 1) {
    if (query[at] === '\\') at += 1
    else if (query[at] === '"') return at + 1
  }
  return query.length
}

/** A regex ends at a slash before a blank, a parenthesis or the end; `/var/log` has none. */
function regexEnd(query: string, open: number): number | null {
  for (let at = open + 1; at < query.length; at += 1) {
    if (query[at] === '\\') at += 1
    else if (query[at] === '/' && (at + 1 === query.length || /[\s)]/.test(query[at + 1]))) return at + 1
  }
  return null
}

function listEnd(query: string, open: number): number {
  let at = open + 1
  while (at < query.length && query[at] !== ')') at = query[at] === '"' ? quoteEnd(query, at) : at + 1
  return Math.min(at + 1, query.length)
}

/** The value as it stands in a query: bare where that is safe, else in quotes. */
export function quote(value: string): string {
  return PLAIN_VALUE.test(value) ? value : quoted(value)
}

function quoted(value: string): string {
  return `"${value.replace(/[\\"]/g, '\\$&')}"`
}

function nameOf(field: string): string {
  return field.replace(/[\s()":=<>\\*]/g, '\\$&')
}

/** Whether `field:value` can be written at all. */
export function isFilterable(field: string, value: string): boolean {
  return (
    NAME_START.test(field) && Math.max(field.length, value.length) <= TERM_CHARS_MAX && !CONTROL.test(field + value)
  )
}

/** A term that selects the value; the language has no empty value, but `-field:*` says the same. */
function write(field: string, value: string, sign: Sign): string {
  const negated = value === '' ? sign === 'with' : sign === 'without'
  return `${negated ? '-' : ''}${nameOf(field)}:${value === '' ? '*' : quote(value)}`
}

/** What a token says about the value; null if it speaks of something else. */
function signOf(token: Token, field: string, value: string): Sign | null {
  if (token.kind !== 'field') return null
  const forms = value === '' ? ['*'] : [quote(value), quoted(value)]
  const name = nameOf(field)
  if (!forms.some((form) => token.text === `${name}:${form}` || token.text === `${name}=${form}`)) return null
  return token.negated === (value === '') ? 'with' : 'without'
}

/** The tokens outside all parentheses. */
function* topLevel(query: string): Generator<Token> {
  let depth = 0
  for (const token of tokenize(query)) {
    if (token.kind === 'open') depth += 1
    else if (token.kind === 'close') depth -= 1
    else if (depth === 0) yield token
  }
}

/** Whether the query holds the term outside parentheses: 'with', 'without' (negated) or null. */
export function stateOf(query: string, field: string, value: string): Sign | null {
  for (const token of topLevel(query)) {
    const sign = signOf(token, field, value)
    if (sign !== null) return sign
  }
  return null
}

/** Takes the term, negated or not, out of the query where it stands outside parentheses. */
export function removeTerm(query: string, field: string, value: string): string {
  const parts: string[] = []
  let kept = 0
  for (const token of topLevel(query)) {
    if (signOf(token, field, value) === null) continue
    parts.push(query.slice(kept, token.start).trim())
    kept = token.end
  }
  parts.push(query.slice(kept).trim())
  return unwrap(parts.filter((part) => part !== '').join(' '))
}

/** Adds `field:value` or `-field:value`; the opposite term gives way, an `OR` at the top gets parentheses. */
export function addTerm(query: string, field: string, value: string, sign: Sign): string {
  const current = stateOf(query, field, value)
  if (current === sign) return query
  const base = current === null ? query.trim() : removeTerm(query, field, value)
  const term = write(field, value, sign)
  if (base === '') return term
  const hasOr = [...topLevel(base)].some((token) => token.kind === 'or')
  return hasOr ? `(${base}) ${term}` : `${base} ${term}`
}

/** Adds the term, or takes it out where it is already there with the same sign. */
export function toggleTerm(query: string, field: string, value: string, sign: Sign): string {
  return stateOf(query, field, value) === sign ? removeTerm(query, field, value) : addTerm(query, field, value, sign)
}

/** `(a OR b)` back to `a OR b` once nothing stands beside the parentheses. */
function unwrap(query: string): string {
  const tokens = tokenize(query)
  const first = tokens[0]
  const last = tokens.at(-1)
  if (first?.kind !== 'open' || first.negated || last?.kind !== 'close') return query
  let depth = 0
  for (const token of tokens) {
    if (token.kind === 'open') depth += 1
    else if (token.kind === 'close') depth -= 1
    if (depth === 0 && token !== last) return query
  }
  return depth === 0 ? query.slice(first.end, last.start).trim() : query
}

/** The index in UTF-16 units of a byte offset into the UTF-8 form, as errors give it. */
export function indexOfByte(text: string, byte: number): number {
  let bytes = 0
  let index = 0
  for (const char of text) {
    if (bytes >= byte) break
    const code = char.codePointAt(0) ?? 0
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
    index += char.length
  }
  return index
}
