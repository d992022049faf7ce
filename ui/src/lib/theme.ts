// Owns the choice between dark and light, and the colours that canvas drawing needs by name.

export type Theme = 'auto' | 'dark' | 'light'

const KEY = 'taffrail.theme'
const DARK = '(prefers-color-scheme: dark)'
const ORDER: readonly Theme[] = ['auto', 'dark', 'light']

/** The stored choice, `auto` where there is none or storage is closed. */
export function storedTheme(): Theme {
  try {
    const stored = localStorage.getItem(KEY)
    return ORDER.find((theme) => theme === stored) ?? 'auto'
  } catch {
    return 'auto'
  }
}

/** Shows a theme; `auto` follows the system. */
export function applyTheme(theme: Theme): void {
  const dark = theme === 'auto' ? matchMedia(DARK).matches : theme === 'dark'
  document.documentElement.dataset.theme = dark ? 'dark' : 'light'
}

/** Keeps the choice for the next visit. */
export function storeTheme(theme: Theme): void {
  try {
    localStorage.setItem(KEY, theme)
  } catch {
    // Private windows may refuse storage; the choice then lasts as long as the page.
  }
}

export function nextTheme(theme: Theme): Theme {
  return ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length]
}

/** A colour variable of the style sheet as it stands now. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}

/** Calls back whenever the system changes between dark and light. */
export function onSystemTheme(callback: () => void): () => void {
  const media = matchMedia(DARK)
  media.addEventListener('change', callback)
  return () => media.removeEventListener('change', callback)
}
