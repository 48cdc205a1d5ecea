// Debian's Chromium, found by itself; where there is none, a browser's part of a test says so and is skipped.
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { chromium, type Browser } from 'playwright-core'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome']

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
const executablePath = (process.env['PATH'] ?? '')
  .split(delimiter)
  .flatMap((folder) => NAMES.map((name) => join(folder, name)))
  .find(isExecutable)

/** Why there is no browser here; false where there is one. */
export const noChromium: string | false =
  executablePath === undefined ? `no Chromium was found (${NAMES.join(', ')} on PATH): no page was seen` : false
/** What needs a browser for long. */
export const noBrowser: string | false =
  process.env['CC_EXECUTOR_TEST_ALL'] === undefined ? 'only in npm run test:all' : noChromium

export const openBrowser = (): Promise<Browser> =>
  chromium.launch({
    ...(executablePath !== undefined && { executablePath }),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
