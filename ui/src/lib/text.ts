// Owns making log text fit to be looked at: no colour codes, no invisible or direction-changing
// characters, one line where one line is wanted. What it gives is still only ever set as text.

/** Characters of a message that a list row shows at most; the record's detail shows all of it. */
const ROW_CHARS_MAX = 1_000

// ESC [ ... final byte; ESC ] ... BEL or ESC \; and two-character escapes.
// eslint-disable-next-line no-control-regex
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g
const DIRECTION = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g

/** Control characters as their pictures (NUL becomes ␀), direction marks as their code; newlines and tabs stay. */
export function visible(text: string): string {
  return text
    .replace(/\r\n/g, '\n')
    .replace(CONTROL, (char) => {
      const code = char.charCodeAt(0)
      return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? '\u2421' : `<${code.toString(16)}>`
    })
    .replace(DIRECTION, (char) => `<U+${char.charCodeAt(0).toString(16).toUpperCase()}>`)
}

/** A message for a list row: colours gone, line breaks shown as ↵, cut at 1,000 characters. */
export function oneLine(text: string): string {
  const head = text.length > ROW_CHARS_MAX * 2 ? text.slice(0, ROW_CHARS_MAX * 2) : text
  const line = visible(head.replace(ESCAPES, ''))
    .trimEnd()
    .replace(/\n\s*/g, ' ↵ ')
    .replace(/\t/g, ' ')
  return line.length > ROW_CHARS_MAX ? `${line.slice(0, ROW_CHARS_MAX)}…` : line
}

/** 1234567 as `1,234,567`. */
export function count(value: number): string {
  return value.toLocaleString('en-US')
}

/** 1234567 as `1.2M`, for axes and facets. */
export function shortCount(value: number): string {
  if (value < 10_000) return count(value)
  if (value < 999_500) return `${trimmed(value / 1_000)}k`
  if (value < 999_500_000) return `${trimmed(value / 1_000_000)}M`
  return `${trimmed(value / 1_000_000_000)}G`
}

/** 1300000 as `1.2 MiB`. */
export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 || Number.isInteger(value) ? value : value.toFixed(1)} ${units[unit]}`
}

function trimmed(value: number): string {
  return value < 10 ? value.toFixed(1).replace(/\.0$/, '') : value.toFixed(0)
}

/** `a line`, `1 line`, `2 lines`. */
export function lines(value: number): string {
  return `${count(value)} ${value === 1 ? 'line' : 'lines'}`
}

/** Puts text on the clipboard; without a secure context through a selection. Says whether it worked. */
export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const area = document.createElement('textarea')
    area.value = text
    area.style.position = 'fixed'
    area.style.opacity = '0'
    document.body.append(area)
    area.select()
    const done = document.execCommand('copy')
    area.remove()
    return done
  }
}
