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

/** @param {string} path @param {RequestInit} [more] @returns {Promise<any>} undefined: no such branch, or it is open */
async function ask(path, more = {}) {
  const signal = AbortSignal.timeout(15_000)
  const answer = await fetch(`${GITHUB_API}/repos/${name}${path}`, { headers, signal, ...more })
  const body = await answer.json()
  if (answer.status === 404 && path.startsWith('/git/')) return undefined
  // Opened since we asked.
  if (answer.status === 422 && JSON.stringify(body).includes('already exists')) return undefined
  if (!answer.ok) throw new Error(`${answer.status} ${body.message}`)
  return body
}

/** A pull request goes to a branch; `ref` may also be a tag, a commit or a name of GitHub's. */
async function findBase() {
  const ref = request.repository?.ref?.replace(/^refs\/heads\//, '')
  const path = ref?.split('/').map(encodeURIComponent).join('/')
  if (path !== undefined && (await ask(`/git/ref/heads/${path}`)) !== undefined) return ref
  return (await ask('')).default_branch
}

// A follow-up pushes to the branch of a pull request that is open already, and its request names no repository: to
// another base GitHub would open a second one.
const head = encodeURIComponent(`${name.split('/')[0]}:${branch}`)
const [open] = await ask(`/pulls?state=open&head=${head}`)
if (open === undefined) {
  const base = await findBase()
  const result = typeof outcome.result === 'string' ? outcome.result.slice(0, 60_000) : ''
  const title = (result.split('\n')[0] || branch).slice(0, 120)
  const body = `${result}\n\nBy execution ${executionId}, verification: ${outcome.verification?.status ?? 'none'}.`
  const created = await ask('/pulls', { method: 'POST', body: JSON.stringify({ title, head: branch, base, body }) })
  console.log(created === undefined ? 'the pull request is open already' : `opened ${created.html_url}`)
} else console.log('the pull request is open already')
