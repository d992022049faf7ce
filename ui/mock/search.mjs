// Owns the mock's idea of the search language: enough to try the page, never a reference for it.

export class SyntaxProblem extends Error {
  constructor(message, position) {
    super(message)
    this.position = position
  }
}

/** A predicate over records. Throws SyntaxProblem with a byte offset. */
export function compile(query) {
  const parser = new Parser(query)
  const test = parser.or()
  parser.space()
  if (parser.at < query.length) parser.fail('a closing parenthesis without an opening one')
  return test
}

class Parser {
  constructor(text) {
    this.text = text
    this.at = 0
  }

  fail(message, at = this.at) {
    throw new SyntaxProblem(message, Buffer.byteLength(this.text.slice(0, at)))
  }

  space() {
    while (/\s/.test(this.text[this.at] ?? '')) this.at += 1
  }

  or() {
    const sides = [this.and()]
    for (;;) {
      this.space()
      if (!/^OR(?=[\s(]|$)/.test(this.text.slice(this.at))) break
      this.at += 2
      this.space()
      if (this.at >= this.text.length) this.fail('`OR` needs a term on its right side')
      sides.push(this.and())
    }
    return (record) => sides.some((side) => side(record))
  }

  and() {
    const terms = []
    for (;;) {
      this.space()
      const rest = this.text.slice(this.at)
      if (rest === '' || rest[0] === ')' || /^OR(?=[\s(]|$)/.test(rest)) break
      terms.push(this.term())
    }
    return (record) => terms.every((term) => term(record))
  }

  term() {
    if (this.text[this.at] === '-') {
      this.at += 1
      const inner = this.term()
      return (record) => !inner(record)
    }
    if (this.text[this.at] === '(') {
      const open = this.at
      this.at += 1
      const inner = this.or()
      this.space()
      if (this.text[this.at] !== ')') this.fail('this parenthesis is never closed', open)
      this.at += 1
      return inner
    }
    const field = /^([A-Za-z_@][\w.@/-]*)(>=|<=|:|>|<)/.exec(this.text.slice(this.at))
    if (field) {
      this.at += field[0].length
      if (this.at >= this.text.length || /\s/.test(this.text[this.at])) this.fail(`\`${field[1]}\` needs a value after \`${field[2]}\``)
      const { value } = this.value()
      return (record) => compare(of(record, field[1]), field[2], value)
    }
    const { value, test } = this.value()
    if (test) return (record) => test.test(record.body)
    const lower = value.replace(/\*$/, '').toLowerCase()
    return (record) => record.raw.toLowerCase().includes(lower) || JSON.stringify(record.attributes).toLowerCase().includes(lower)
  }

  value() {
    const start = this.at
    const mark = this.text[start]
    if (mark === '"' || mark === '/') {
      let value = ''
      for (this.at += 1; this.text[this.at] !== mark; this.at += 1) {
        if (this.at >= this.text.length) this.fail(mark === '"' ? 'this quote is never closed' : 'this regex is never closed', start)
        if (this.text[this.at] === '\\' && mark === '"') this.at += 1
        value += this.text[this.at]
      }
      this.at += 1
      if (mark === '"') return { value }
      try {
        return { value, test: new RegExp(value, 'i') }
      } catch (error) {
        this.fail(`regex: ${error.message}`, start)
      }
    }
    while (this.at < this.text.length && !/[\s()]/.test(this.text[this.at])) this.at += 1
    return { value: this.text.slice(start, this.at) }
  }
}

function of(record, field) {
  return ['severity', 'node', 'service', 'source', 'body'].includes(field) ? record[field] : record.attributes[field]
}

function compare(have, operator, want) {
  if (have === undefined || have === null) return false
  if (operator === ':' && want === '*') return have !== ''
  if (operator === ':') return String(have).toLowerCase() === want.toLowerCase()
  const [left, right] = Number.isNaN(Number(want)) ? [String(have), want] : [Number(have), Number(want)]
  return { '>=': left >= right, '<=': left <= right, '>': left > right, '<': left < right }[operator]
}
