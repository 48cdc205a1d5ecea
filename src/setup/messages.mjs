/** A failure whose message is all that the user needs: no stack is shown. */
export class SetUpError extends Error {}

/** Which step of how many is at work; one alone is not counted. */
let position = ''

/** @param {number} number from 1 on @param {number} total */
export function beginStep(number, total) {
  position = total > 1 ? ` ${number}/${total}` : ''
}

/** Set-up speaks on stderr only, so that the stdout of what follows it stays clean. @param {string} line */
export function say(line) {
  process.stderr.write(`set-up${position}: ${line}\n`)
}

const LIFE_MS = { ofProgress: 5_000, ofNone: 30_000 }

/**
 * Announces a step that takes seconds, runs it, says how long it took. On a terminal the line counts up; elsewhere
 * a log shows life: every five seconds where the step can tell how far it is, every thirty where it cannot.
 *
 * @template T
 * @param {string} title
 * @param {() => Promise<T>} work
 * @param {() => string} [progress] how far it is, e.g. "101 MB so far"; may be called at any time
 * @returns {Promise<T>}
 */
export async function longStep(title, work, progress) {
  const startedAt = performance.now()
  const elapsed = () => `${Math.round((performance.now() - startedAt) / 1000)} s`
  const onTerminal = process.stderr.isTTY
  const state = () => (progress === undefined ? elapsed() : `${elapsed()}, ${progress()}`)

  if (!onTerminal) say(`${title} …`)
  const redraw = () => process.stderr.write(`\r\u001B[Kset-up${position}: ${title} … ${state()}`)
  const timer = onTerminal
    ? setInterval(redraw, 500)
    : setInterval(() => say(`  ${state()}`), progress === undefined ? LIFE_MS.ofNone : LIFE_MS.ofProgress)
  if (onTerminal) redraw()
  /** @param {string} how */
  const end = (how) => {
    if (onTerminal) process.stderr.write('\r\u001B[K')
    say(`${title} … ${how} ${elapsed()}`)
  }
  try {
    const result = await work()
    end('done in')
    return result
  } catch (error) {
    end('failed after')
    throw error
  } finally {
    clearInterval(timer)
  }
}

/**
 * Where a registry or mirror is may be private; messages do not repeat it.
 *
 * @param {string} text
 */
export function withoutHosts(text) {
  return text
    .replaceAll(/\b(https?|ftp):\/\/[^\s'")\]]+/g, '<registry>')
    .replaceAll(
      /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|resolve|connect to|connecting to|connection to) '?[\w.:[\]-]+'?/gi,
      '$1 <registry>',
    )
}

/** Whether a program's complaint means that the network could not be reached. @param {string} text */
export function speaksOfNoNetwork(text) {
  return /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|FETCH_ERROR|Temporary failure|Could not (resolve|connect)|Cannot initiate the connection|Network is unreachable|network timeout/i.test(
    text,
  )
}

/** The line on a terminal that shows how far something is, until it is finished. */
export function statusLine() {
  /** @type {NodeJS.Timeout | undefined} */
  let timer
  return {
    /** @param {() => string} text */
    follow(text) {
      if (process.stdout.isTTY) timer = setInterval(() => process.stdout.write(`\r\u001B[K${text()}`), 500)
    },
    clear: eraseLine,
    stop() {
      clearInterval(timer)
      eraseLine()
    },
  }
}

function eraseLine() {
  if (process.stdout.isTTY) process.stdout.write('\r\u001B[K')
}
