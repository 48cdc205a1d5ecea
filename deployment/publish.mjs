// node deployment/publish.mjs [--image=NAME] [--version=VERSION] > compose.yaml
//
// compose.yaml for images that are published: one file that starts in an empty folder. Nothing is built, what it mounts
// stands in it, and the filter of system calls is each run's own (SECCOMP_PROFILE names a file for the worker's). Without
// --image it asks for the name; compose.published.yaml is that one, and .github/workflows/publish.yaml fills both in.
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

const { values } = parseArgs({ options: { image: { type: 'string' }, version: { type: 'string' } } })
/** @param {string} name */
const read = (name) => readFileSync(new URL(name, import.meta.url), 'utf8')

const image = values.image === undefined ? '?set it to the name of the images' : `-${values.image}`
const version = values.version ?? JSON.parse(read('../package.json')).version
const settings = read('redis.conf')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))

const HEAD = `# CC Executor ${version} by published images, from this file alone: docker compose up -d --wait
# then: curl http://localhost:8001/health, and docker compose exec api cc-executor token
# Variables come from the shell or from a file .env beside this one. It needs a key or a token of Claude's.
`

/** What is replaced, all of it, and how often it is there. @type {[RegExp, string, number][]} */
const CHANGES = [
  [/^(?:#.*\n)+/, HEAD, 1],
  [/^# What the images are built on.*\nx-bases:.*\n(?: .*\n)+\n/m, '', 1],
  [/^ {4}build:.*\n(?: {6}.*\n)*/gm, '', 2],
  [/\$\{CC_IMAGE:-[^}]*\}/g, `\${CC_IMAGE:${image}}`, 2],
  [/\$\{CC_VERSION:-[^}]*\}/g, `\${CC_VERSION:-${version}}`, 2],
  [/(?<= {8}exec valkey-server) \S+(?= - <<END\n)/, '', 1],
  [/(?<=- <<END\n)/, settings.map((line) => `        ${line}\n`).join(''), 1],
  [/^ {6}- \.\/redis\.conf:.*\n/m, '', 1],
  // It mounts files that would have to be there.
  [/^ {2}# docker compose --profile monitoring[^]*?(?=^networks:)/m, '', 1],
  [/^ {2}(?:prometheus|grafana)-data:\n/gm, '', 2],
  [/\$\{SECCOMP_PROFILE:-[^}]*\}/, '${SECCOMP_PROFILE:-unconfined}', 1],
  [/README\.md(?=, "Containment")/g, 'deployment/README.md', 2],
]

let text = read('compose.yaml')
for (const [pattern, by, count] of CHANGES) {
  const found = [...text.matchAll(new RegExp(pattern, pattern.flags.replace('g', '') + 'g'))].length
  if (found !== count) throw new Error(`compose.yaml has ${String(pattern)} ${found} times, not ${count}`)
  text = text.replace(pattern, () => by)
}
process.stdout.write(text)
