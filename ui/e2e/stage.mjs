// Owns what the browser tests stand on: a daemon (BASE_URL, else the mock is started), one Chromium, lines
// of their own pushed under a name no other run has. Environment: BASE_URL, CHROMIUM, SCREENSHOT_DIR.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** A word that stands in every line of this run and in no other. */
export const RUN = `run${Date.now().toString(36)}${process.pid.toString(36)}`
export const SOURCE = `e2e-${RUN}`
export const SERVICE = 'shop'
export const BULK = 700
export const HOSTILE = `<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>`

export class Stage {
  /** What must not have happened by the end: script errors, CSP reports, dialogs, foreign requests. */
  problems = []

  static async open() {
    const stage = new Stage()
    stage.base = process.env.BASE_URL?.replace(/\/$/, '') ?? (await stage.startMock())
    await stage.push([
      ...Array.from({ length: BULK }, (_, index) => `INFO - ${RUN} bulk item number${index} done`),
      `ERROR - ${RUN} payment failed for customer grünlich`,
      `WARNING - ${RUN} payment slow`,
      `ERROR - ${RUN} hostile ${HOSTILE}`,
    ])
    stage.browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS, headless: true })
    return stage
  }

  async startMock() {
    const port = await freePort()
    const server = new URL('../mock/server.mjs', import.meta.url).pathname
    this.mock = spawn(process.execPath, [server], { env: { ...process.env, PORT: String(port) } })
    await new Promise((resolve, reject) => {
      this.mock.stdout.once('data', resolve)
      this.mock.once('exit', () => reject(new Error('the mock ended; is dist/ built?')))
    })
    return `http://127.0.0.1:${port}`
  }

  async push(lines) {
    const response = await fetch(`${this.base}/api/v1/logs?source=${SOURCE}&service=${SERVICE}`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body: lines.map((line) => `${line}\n`).join(''),
    })
    assert.equal(response.status, 200, await response.clone().text())
    assert.equal((await response.json()).records, lines.length)
  }

  /** A page at `path` that has its first answer. */
  async page(path = '/', options = {}) {
    const page = await this.browser.newPage({ viewport: { width: 1400, height: 900 }, ...options })
    page.on('pageerror', (error) => this.problems.push(`script: ${error.message}`))
    page.on('dialog', (dialog) => {
      this.problems.push(`dialog: ${dialog.message()}`)
      void dialog.dismiss()
    })
    page.on('console', (message) => {
      if (/content security policy/i.test(message.text())) this.problems.push(message.text())
    })
    page.on('request', (request) => {
      if (!request.url().startsWith(this.base)) this.problems.push(`foreign request: ${request.url()}`)
    })
    await page.goto(`${this.base}${path}`)
    await page.locator('.scroller[aria-busy=false]').waitFor()
    return page
  }

  async screenshot(page, name) {
    const folder = process.env.SCREENSHOT_DIR
    if (!folder) return
    mkdirSync(folder, { recursive: true })
    await page.screenshot({ path: join(folder, `${name}.png`) })
  }

  async close() {
    await this.browser?.close()
    this.mock?.kill()
  }
}

/** Types a query and runs it. */
export async function search(page, query) {
  await page.getByLabel('Search', { exact: true }).fill(query)
  await page.keyboard.press('Enter')
  await page.locator('.scroller[aria-busy=false]').waitFor()
}

/** The path of a view of this run's lines. */
export function ofRun(query = '', more = '') {
  return `/?q=${encodeURIComponent(`${RUN} ${query}`.trim())}${more}`
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}
