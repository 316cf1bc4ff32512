/** The cost of a first visit: bytes on the wire, headers included. */
import { expect, test } from './fixture'

test('the first page is at most 70 kB, and all of it is sent compressed', async ({ page, site }) => {
  const session = await page.context().newCDPSession(page)
  await session.send('Network.enable')
  let bytes = 0
  session.on('Network.loadingFinished', ({ encodedDataLength }) => (bytes += encodedDataLength))
  const plain: string[] = []
  page.on('response', (response) => {
    const { pathname } = new URL(response.url())
    const { 'content-encoding': encoding, 'content-length': length } = response.headers()
    // Smaller files are not worth compressing.
    if (/^\/assets\/|^\/$/.test(pathname) && !encoding && Number(length) >= 500) plain.push(pathname)
  })
  await page.goto(site.url, { waitUntil: 'networkidle' })
  await expect(page.getByRole('button', { name: 'Start', exact: true })).toBeVisible()
  expect(bytes).toBeGreaterThan(20_000)
  expect(bytes).toBeLessThan(70_000)
  expect(plain).toEqual([])
})
