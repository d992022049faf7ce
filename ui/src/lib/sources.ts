// Owns what the page makes of sources and health: in which words, how worried to look.

import type { HealthAnswer, Problem, Source } from './api'

/** Sources that the table shows at once; typing narrows the rest down. */
export const SOURCES_MAX = 200

export type Mood = 'unknown' | 'good' | 'warning' | 'failing'

/** How the program is, in one of four colours. */
export function moodOf(health: HealthAnswer | null): Mood {
  if (health === null) return 'unknown'
  if (health.status !== 'ok') return 'failing'
  return health.warnings.length > 0 ? 'warning' : 'good'
}

/** The mark's tooltip and its name for screen readers. */
export function sentenceOf(health: HealthAnswer | null): string {
  const mood = moodOf(health)
  if (health === null || mood === 'unknown') return 'Health is not known'
  if (mood === 'good') return 'All is well'
  const some = (list: Problem[], noun: string) => (list.length > 0 ? [`${list.length} ${noun}${list.length === 1 ? '' : 's'}`] : [])
  return [...some(health.problems, 'problem'), ...some(health.warnings, 'warning')].join(', ')
}

/** What a source is doing, in one word. */
export function wordOf(source: Source): string {
  return source.stalled ? 'stalled' : source.state
}

/** Why a source is not read; nothing about errors that are over. */
export function reasonOf(source: Source): string | null {
  return source.stalled || source.state === 'failed' || source.state === 'refused' ? source.error : null
}

/** `12 s`, `3 min`, `5 h`, `4 d`; a dash for nothing. */
export function shortTime(seconds: number): string {
  if (seconds < 1) return '–'
  if (seconds < 60) return `${Math.floor(seconds)} s`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`
  return seconds < 86_400 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} d`
}
