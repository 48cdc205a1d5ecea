// The Lua of the scripts: read by a parser, file by file and as it is sent to Redis.
import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import t from 'tap'
import { SCRIPTS as EVENT_SCRIPTS } from '../../src/events/scripts.generated.js'
import { SCRIPTS as RECORD_SCRIPTS } from '../../src/executions/store/scripts.generated.js'
import { SCRIPTS as SCHEDULE_SCRIPTS } from '../../src/schedules/scripts.generated.js'
import { SCRIPTS as FIGURE_SCRIPTS } from '../../src/telemetry/scripts.generated.js'
import { SCRIPTS as TOKEN_SCRIPTS } from '../../src/tokens/scripts.generated.js'
import { SCRIPTS as WEBHOOK_SCRIPTS } from '../../src/webhooks/scripts.generated.js'
import { lintLua } from '../support/lint-lua.js'
import { ROOT } from '../support/paths.js'

const SCRIPTS: Record<string, string> = {
  ...EVENT_SCRIPTS,
  ...RECORD_SCRIPTS,
  ...FIGURE_SCRIPTS,
  ...SCHEDULE_SCRIPTS,
  ...TOKEN_SCRIPTS,
  ...WEBHOOK_SCRIPTS,
}
const USE = /^--- @(include|constant)(?: (\w+))? "([^"]+)"$/gm
const HEADER =
  /^-- \S.*\n(?:-- .*\n)*-- Arguments(?: \(JSON\))?: \S.*\n(?:-- .*\n)*-- Answers: \S.*\n(?:-- .*\n)*-- Sent again: (?:yes|no)\b/

const all = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  .map((path) => `src/${path}`)
  .sort()
const files = all
  .filter((path) => path.endsWith('.lua'))
  .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }))
/** Plain arguments beyond the four: hot, or bytes. */
const MANY_ARGUMENTS = [
  'src/events/lua/append.lua',
  'src/executions/store/lua/create-many.lua',
  'src/executions/store/lua/create.lua',
  'src/executions/store/lua/keep-files.lua',
  'src/executions/store/lua/list.lua',
]
const isCommand = (path: string): boolean => /\/lua\/[^/]+$/.test(path)

interface Use {
  /** A file, of a constant with its name. */
  readonly to: string
  /** What it gives. */
  readonly names: readonly string[]
}

const declaredIn = new Map(files.map(({ path, text }) => [path, lintLua(text).declared]))
function usesOf({ path, text }: { path: string; text: string }): Use[] {
  return [...text.matchAll(USE)].map(([, kind, name = '', target = '']) => {
    const to = posix.join(posix.dirname(path), target)
    return kind === 'constant' ? { to: `${to} ${name}`, names: [name] } : { to, names: declaredIn.get(to) ?? [] }
  })
}

/** What is wrong with one file, seen with what it includes. */
function judge(file: { path: string; text: string }): string[] {
  const { path, text } = file
  const { findings, free, unread } = lintLua(text)
  const uses = usesOf(file)
  const given = new Set(uses.flatMap(({ names }) => names))
  return [
    ...findings,
    ...[...free]
      .filter((name) => !given.has(name))
      .map((name) => `${name} is not declared, and no file that is included gives it`),
    ...uses.filter(({ names }) => !names.some((name) => free.has(name))).map(({ to }) => `${to} is not used`),
    ...(isCommand(path) ? unread.map((name) => `${name} is not read`) : []),
    ...(isCommand(path) && !HEADER.test(text) ? ['no header: purpose, Arguments, Answers, Sent again'] : []),
    ...(text.startsWith('-- ') ? [] : ['no header']),
    // The bundler leaves out lines that begin with a comment: none may be inside of a string.
    ...(/\[=*\[/.test(text.replaceAll(/^\s*--.*$/gm, '')) ? ['a long string or comment'] : []),
  ].map((finding) => `${path}: ${finding}`)
}

void t.test('each file is Lua, declares what it reads, and includes just that', async (t) => {
  t.ok(files.length > 70, `${files.length} files were found`)
  t.same(files.flatMap(judge), [])
  const included = new Set(files.flatMap(usesOf).map(({ to }) => to))
  t.same(
    files.filter(({ path }) => !isCommand(path) && !included.has(path)).map(({ path }) => path),
    [],
    'every part is part of something',
  )
})

void t.test('each script, as it is sent, reads nothing undeclared and carries nothing unused', async (t) => {
  t.equal(Object.keys(SCRIPTS).length, files.filter(({ path }) => isCommand(path)).length)
  const wrong = Object.entries(SCRIPTS).flatMap(([name, text]) => {
    const { findings, free, unread } = lintLua(text)
    return [
      ...findings,
      ...[...free].map((global) => `${global} is not declared`),
      ...unread.map((local) => `${local} is not read`),
      // Parts of two readings do not make one moment.
      ...(text.split("redis.call('TIME')").length > 2 ? ['the clock is read in two ways'] : []),
    ].map((finding) => `${name}: ${finding}`)
  })
  t.same(wrong, [])
})

void t.test('every script is sent by somebody, and takes more than four arguments as JSON', async (t) => {
  const sources = all
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.generated.ts'))
    .map((path) => readFileSync(join(ROOT, path), 'utf8'))
    .join('\n')
  t.same(
    Object.keys(SCRIPTS).filter((name) => !new RegExp(`\\('${name}(?:Buffer)?'`).test(sources)),
    [],
  )
  const many = files
    .filter(({ text }) => /ARGV\[[5-9]|ARGV\[\d\d|unpack\(ARGV|#ARGV/.test(text))
    .map(({ path }) => path)
  t.same(many, MANY_ARGUMENTS)
})

void t.test('the lint would notice', async (t) => {
  const say = (text: string): string[] => judge({ path: 'src/events/lua/include/tried.lua', text })
  const header = '-- Tried.\n--- @include "./last-seq.lua"\n'
  t.same(say(`${header}local function tried(id) return lastSeq(id) end`), [])
  t.throws(() => say(`${header}local function tried(id) return lastSeq(id) endd`), SyntaxError)
  t.match(say(`${header}local function tried(id) return lastSequence(id) end`), [
    /lastSequence is not declared/,
    /last-seq.lua is not used/,
  ])
  t.match(say(`${header}local function tried(id) local x = 1 return lastSeq(id) end`), [/line 3: x is not read/])
  t.match(say(`${header}local function tried(id, unused) return lastSeq(id) end`), [/line 3: unused is not read/])
  t.match(say(`${header}local function tried(id) total = lastSeq(id) end`), [/total is not declared/])
  t.match(say(`${header}function tried(id) return lastSeq(id) end`), [/a function that is not local/])
  t.match(say(`${header}local function tried(id) return lastSeq(id) .. [[\n-- text]] end`), [/a long string/])
  t.match(
    judge({ path: 'src/events/lua/tried.lua', text: '-- Tried.\nlocal function tried() return tried() end\nreturn 1' }),
    [/tried is not read/, /no header/],
  )
  t.match(lintLua('local a = 1 local a = 2 return a').findings, [/a is declared twice/])
})
