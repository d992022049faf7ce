// Owns the health that the header shows: asked for every few seconds while somebody looks.

import { type HealthAnswer, health } from './api'

const EVERY_MS = 10_000

export class Health {
  /** The last answer; null while there is none. */
  answer = $state.raw<HealthAnswer | null>(null)
  #timer: ReturnType<typeof setInterval> | undefined
  #asked: AbortController | undefined

  /** Asks now, and again and again until `stop`. */
  start(): void {
    this.#timer = setInterval(() => void this.ask(), EVERY_MS)
    document.addEventListener('visibilitychange', this.#shown)
    void this.ask()
  }

  stop(): void {
    clearInterval(this.#timer)
    document.removeEventListener('visibilitychange', this.#shown)
    this.#asked?.abort()
  }

  async ask(): Promise<void> {
    if (document.hidden) return
    this.#asked?.abort()
    const asked = new AbortController()
    this.#asked = asked
    try {
      this.answer = await health(asked.signal)
    } catch {
      // That nobody answers is said across the page already.
      if (!asked.signal.aborted) this.answer = null
    }
  }

  #shown = (): void => void this.ask()
}
