// A hook `post-execute` that opens a pull request on GitHub for a branch that a run has pushed (README.md, "Pull
// requests"). It reads the hook's JSON on standard input; GITHUB_TOKEN is the operator's, which no run sees.
import { text } from 'node:stream/consumers'

const { GITHUB_TOKEN, GITHUB_API = 'https://api.github.com' } = process.env
const { executionId, request, outcome } = JSON.parse(await text(process.stdin))
const { url, branch, pushed } = outcome?.repository ?? {}
// Nothing was pushed: there is nothing to open.
if (pushed !== true) process.exit(0)
const [, name] = /^(?:https:\/\/|ssh:\/\/(?:[\w.-]+@)?)github\.com\/([\w.-]+\/[\w.-]+?)(?:\.git)?$/.exec(url) ?? []
if (name === undefined) {
  console.error('the repository is not on github.com')
  process.exit(1)
}
const headers = {
  accept: 'application/vnd.github+json',
  authorization: `Bearer ${GITHUB_TOKEN}`,
  'content-type': 'application/json',
  'user-agent': 'cc-executor',
}

/** @param {string} path @param {RequestInit} [more] */
async function ask(path, more = {}) {
  const signal = AbortSignal.timeout(15_000)
  const answer = await fetch(`${GITHUB_API}/repos/${name}${path}`, { headers, signal, ...more })
  const body = await answer.json()
  // A follow-up pushes to the branch of a pull request that is open already.
  if (answer.status === 422 && JSON.stringify(body).includes('already exists')) return undefined
  if (!answer.ok) throw new Error(`${answer.status} ${body.message}`)
  return body
}

const ref = request.repository?.ref
const { default_branch: standard } = await ask('')
const base = ref !== undefined && !/^[0-9a-f]{40}$/.test(ref) ? ref : standard
const result = typeof outcome.result === 'string' ? outcome.result.slice(0, 60_000) : ''
const title = (result.split('\n')[0] || branch).slice(0, 120)
const body = `${result}\n\nBy execution ${executionId}, verification: ${outcome.verification?.status ?? 'none'}.`
const created = await ask('/pulls', { method: 'POST', body: JSON.stringify({ title, head: branch, base, body }) })
console.log(created === undefined ? 'the pull request is open already' : `opened ${created.html_url}`)
