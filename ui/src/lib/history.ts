// Owns the searches that were run before: newest last, without repeats, kept in the browser.

const KEY = 'taffrail.history'
const MAX = 100

export function storedHistory(): string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]')
    return Array.isArray(stored) ? stored.filter((entry) => typeof entry === 'string').slice(-MAX) : []
  } catch {
    return []
  }
}

/** Adds a search to the end and gives the list as it is then. */
export function remember(history: readonly string[], query: string): string[] {
  const text = query.trim()
  if (text === '') return [...history]
  const list = [...history.filter((entry) => entry !== text), text].slice(-MAX)
  try {
    localStorage.setItem(KEY, JSON.stringify(list))
  } catch {
    // Without storage the list lasts as long as the page.
  }
  return list
}
