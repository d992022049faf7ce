// Tests of the page in a real browser, against the lines that the stage pushed.

import assert from 'node:assert/strict'
import { appendFileSync } from 'node:fs'
import { after, afterEach, before, test } from 'node:test'
import { BULK, HOSTILE, RUN, SERVICE, SOURCE, Stage, ofRun, search } from './stage.mjs'

let stage
const pages = []
const open = async (...args) => {
  const page = await stage.page(...args)
  pages.push(page)
  return page
}
const rows = (page) => page.locator('.row')
const waitText = (page, text) => page.getByText(text).first().waitFor()

before(async () => (stage = await Stage.open()))
afterEach(async () => {
  await Promise.all(pages.splice(0).map((page) => page.close()))
  assert.deepEqual(stage.problems.splice(0), [])
})
after(() => stage?.close())

test('the page loads with rows, bars and facets', async () => {
  const page = await open()
  assert.match(await page.title(), /Taffrail/)
  await rows(page).first().waitFor()
  await page.locator('.u-over').waitFor()
  await page.locator('.facets .value[data-field=severity]').first().waitFor()
})

test('a search narrows the list and stands in the address', async () => {
  const page = await open()
  await search(page, `${RUN} payment`)
  await page.waitForFunction(() => document.querySelectorAll('.row').length === 2)
  assert.equal(new URL(page.url()).searchParams.get('q'), `${RUN} payment`)
  assert.ok((await page.locator('mark').allTextContents()).includes('payment'))
  await page.goBack()
  await page.waitForFunction(() => document.querySelectorAll('.row').length > 2)
})

test('a shared link shows the same view', async () => {
  const page = await open(ofRun('payment', '&since=24h&order=asc'))
  assert.equal(await page.getByLabel('Search', { exact: true }).inputValue(), `${RUN} payment`)
  assert.equal(await page.getByRole('button', { name: '24 h', exact: true }).getAttribute('aria-pressed'), 'true')
  assert.equal(await rows(page).count(), 2)
})

test('a wrong query shows its fault with a caret and keeps the page alive', async () => {
  const page = await open()
  await search(page, `${RUN} (payment`)
  const error = page.locator('#search-error')
  await error.waitFor()
  const [line, caret] = (await error.locator('pre').textContent()).split('\n')
  assert.equal(line, `${RUN} (payment`)
  assert.match(caret, /^ *\^$/)
  assert.ok(caret.length <= line.length + 1)
  await stage.screenshot(page, 'error')
  await search(page, `${RUN} payment`)
  await page.waitForFunction(() => document.querySelectorAll('.row').length === 2)
  assert.equal(await error.count(), 0)
})

test('arrow up brings back earlier searches', async () => {
  const page = await open()
  await search(page, `${RUN} slow`)
  await search(page, `${RUN} failed`)
  const box = page.getByLabel('Search', { exact: true })
  await box.focus()
  await page.keyboard.press('ArrowUp')
  await page.keyboard.press('ArrowUp')
  assert.equal(await box.inputValue(), `${RUN} slow`)
})

test('a line opens with its attributes, raw text, place and context', async () => {
  const page = await open(ofRun('failed'))
  await rows(page).first().click()
  const detail = page.locator('.detail')
  await detail.getByRole('row', { name: SERVICE }).waitFor()
  await waitText(page, SOURCE)
  await detail.getByRole('button', { name: 'Context' }).click()
  await detail.getByText(`number${BULK - 1} done`).waitFor()
  await detail.getByText(`${RUN} payment slow`).waitFor()
  await stage.screenshot(page, 'detail')
  await detail.getByRole('button', { name: `Without service ${SERVICE}` }).click()
  await page.waitForFunction(() => location.search.includes('-service'))
})

test('the keyboard alone opens, walks and closes', async () => {
  const page = await open(ofRun('payment'))
  await page.keyboard.press('j')
  await page.keyboard.press('j')
  assert.equal(await page.locator('.row.active').getAttribute('aria-rowindex'), '2')
  await page.keyboard.press('Enter')
  await page.locator('.detail').waitFor()
  await page.keyboard.press('Escape')
  await page.locator('.detail').waitFor({ state: 'detached' })
  await page.keyboard.press('/')
  assert.ok(await page.getByLabel('Search', { exact: true }).evaluate((box) => box === document.activeElement))
  await page.keyboard.press('Escape')
  await page.keyboard.press('?')
  await page.getByRole('dialog').waitFor()
})

test('a facet adds its term, with Shift excludes', async () => {
  const page = await open(ofRun())
  await page.locator('.facets .value[data-value=ERROR]').click()
  await page.waitForFunction(() => location.search.includes('severity%3AERROR'))
  await page.waitForFunction(() => document.querySelectorAll('.row').length === 2)
  await page.locator('.facets .value[data-value=ERROR]').click()
  await page.waitForFunction(() => !location.search.includes('severity'))
  await page.locator('.facets .value[data-value=INFO]').click({ modifiers: ['Shift'] })
  await page.waitForFunction(() => document.querySelectorAll('.row').length === 3)
  assert.match(await page.getByLabel('Search', { exact: true }).inputValue(), / -severity:INFO$/)
})

test('the legend takes a severity out', async () => {
  const page = await open(ofRun())
  await page.locator('.legend button', { hasText: 'INFO' }).click()
  await page.waitForFunction(() => document.querySelectorAll('.row').length === 3)
})

test('dragging over the bars zooms in, a double click out again', async () => {
  const page = await open()
  const plot = await page.locator('.u-over').boundingBox()
  const y = plot.y + plot.height / 2
  await page.mouse.move(plot.x + plot.width * 0.5, y)
  await page.mouse.down()
  await page.mouse.move(plot.x + plot.width * 0.7, y, { steps: 5 })
  await page.mouse.up()
  await page.waitForFunction(() => /since=.*until=/.test(location.search))
  const place = new URL(page.url()).searchParams
  const minutes = (Date.parse(place.get('until')) - Date.parse(place.get('since'))) / 60_000
  assert.ok(minutes > 8 && minutes < 20, `${minutes} minutes of the hour`)
  await page.locator('.scroller[aria-busy=false]').waitFor()
  await page.locator('.u-over').dblclick()
  await page.waitForFunction(() => !location.search.includes('since'))
})

test('the list holds only what is seen and pages on to the end', async () => {
  const page = await open(ofRun('bulk'))
  assert.ok((await rows(page).count()) < 100)
  for (let loaded = 0; loaded < BULK; ) {
    await page.keyboard.press('G')
    await page.waitForTimeout(50)
    loaded = Number(/(\d+) loaded/.exec(await page.locator('.summary').textContent())[1])
  }
  await page.keyboard.press('G')
  await waitText(page, 'That was the oldest line.')
  await waitText(page, 'number0 done')
  assert.ok((await rows(page).count()) < 100)
})

test('live shows a new line, and waits where the reader has scrolled away', async () => {
  const page = await open(ofRun())
  await page.getByRole('button', { name: 'Live' }).click()
  await page.locator('.live.on:not(.waiting)').waitFor()
  await stage.push([`INFO - ${RUN} fresh first`])
  await waitText(page, 'fresh first')
  await page.locator('.scroller').evaluate((box) => (box.scrollTop = 400))
  await stage.push([`INFO - ${RUN} fresh second`, `INFO - ${RUN} fresh third`])
  const pill = page.locator('.pill')
  await pill.waitFor()
  await stage.screenshot(page, 'live')
  await pill.click()
  await waitText(page, 'fresh third')
  assert.match(page.url(), /live=1/)
})

test('a line appended to a followed file shows live', { skip: !process.env.LOG_FILE && 'LOG_FILE is not set' }, async () => {
  const page = await open(ofRun('', '&live=1'))
  await page.locator('.live.on:not(.waiting)').waitFor()
  appendFileSync(process.env.LOG_FILE, `ERROR - ${RUN} appended by hand\n`)
  await waitText(page, 'appended by hand')
})

test('the mark in the header tells of trouble and leads to the sources', async () => {
  const page = await open()
  const trouble = { source: '/var/log/<b>app</b>.log', what: '2 KiB are not read: Permission denied', since: null }
  await page.route('**/api/v1/health', (route) =>
    route.fulfill({ status: 503, json: { status: 'failing', version: '1', problems: [trouble], warnings: [] } }),
  )
  const [answer] = await Promise.all([page.waitForResponse('**/api/v1/sources?*'), page.getByRole('button', { name: /^Sources: / }).click()])
  assert.equal(answer.status(), 200)
  const dialog = page.getByRole('dialog', { name: 'Sources' })
  await dialog.getByRole('alert').getByText(trouble.source).waitFor()
  await page.locator('button.failing').waitFor()
  assert.equal(await dialog.locator('b b').count(), 0)
  const { sources } = await answer.json()
  if (sources.length > 0) await dialog.getByRole('button', { name: sources[0].source, exact: true }).waitFor()
  await dialog.getByLabel('Part of the name').fill(`no-${RUN}`)
  await dialog.getByText('No source has that in its name.').waitFor()
  await page.keyboard.press('Escape')
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'detached' })
  await page.unroute('**/api/v1/health')
  await page.keyboard.press('s')
  await dialog.waitFor()
  await stage.screenshot(page, 'sources')
  await page.locator('button.failing').waitFor({ state: 'detached' })
})

test('log text stays text', async () => {
  const page = await open(ofRun('hostile'))
  await rows(page).first().click()
  await page.locator('.detail').getByText(HOSTILE).first().waitFor()
  await page.locator('.detail').getByRole('button', { name: 'Context' }).click()
  await page.locator('.context').waitFor()
  assert.equal(await page.locator('img, #app script, iframe').count(), 0)
  assert.equal(await page.evaluate(() => window.pwned), undefined)
})

test('nothing found says what to do', async () => {
  const page = await open(ofRun('', '&since=2001-01-01T00:00:00Z&until=2001-01-02T00:00:00Z'))
  await page.getByRole('button', { name: 'Search all time' }).click()
  await rows(page).first().waitFor()
  await search(page, `${RUN} nosuchword${RUN}`)
  await waitText(page, 'Nothing matches, at any time')
})

test('a daemon that went away is said, and found again', async () => {
  const page = await open(ofRun())
  await page.route('**/api/**', (route) => route.abort())
  await page.keyboard.press('r')
  await page.locator('.banner').waitFor()
  await page.unroute('**/api/**')
  await page.locator('.banner').waitFor({ state: 'detached', timeout: 20_000 })
  await rows(page).first().waitFor()
})

for (const colorScheme of ['dark', 'light']) {
  test(`it can be looked at: ${colorScheme}`, async () => {
    const page = await open('/?since=24h', { colorScheme })
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), colorScheme)
    await page.waitForTimeout(400)
    await stage.screenshot(page, colorScheme)
    await page.setViewportSize({ width: 800, height: 900 })
    await page.waitForTimeout(200)
    await stage.screenshot(page, `${colorScheme}-narrow`)
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    assert.equal(overflow, 0)
  })
}
