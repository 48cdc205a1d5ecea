import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, posix } from 'node:path'

/**
 * Lua scripts in files: `lua/<command>.lua` is a script, `lua/include/<name>.lua` a part of scripts. A file names what
 * it uses of others:
 *   --- @include "./include/get.lua"                    the text of another file, once in a script, before what uses it
 *   --- @constant MICRO "../units.ts"                   an exported constant of TypeScript, as a local of the same name
 * Whole lines of comment are left out of what is sent to Redis.
 */
const DIRECTIVE = /^--- @(include|constant)(?: (\w+))? "([^"]+)"$/
const WIDTH = 120

/**
 * @typedef {{ kind: 'include' | 'constant', name: string, path: string }} Use one line of a file: another file, or a
 * constant of it
 * @typedef {(path: string, name: string) => unknown} ReadConstant the value of an exported constant
 */

/** What a file uses, paths from the root of the checkout. @param {string} root @param {string} path @returns {Use[]} */
export function readUses(root, path) {
  return linesOf(root, path)
    .filter((line) => line.startsWith('---'))
    .map((line) => {
      const [, kind, name = '', to = ''] = DIRECTIVE.exec(line) ?? []
      if (kind === undefined || (kind === 'constant') === (name === '')) throw new Error(`${path}: cannot read ${line}`)
      return { kind: kind === 'include' ? 'include' : 'constant', name, path: posix.join(posix.dirname(path), to) }
    })
}

/** A file without its comments. @param {string} root @param {string} path */
export function readCode(root, path) {
  return linesOf(root, path)
    .filter((line) => !/^\s*(?:--|$)/.test(line))
    .join('\n')
}

/** @param {string} root @param {string} path */
const linesOf = (root, path) => readFileSync(join(root, path), 'utf8').split('\n')

/**
 * The parts of a script in their order, each once: what a part uses comes before it.
 * @param {string} root @param {string} command path of its file @param {ReadConstant} readConstant
 * @returns {Map<string, string>} text by name
 */
export function partsOf(root, command, readConstant) {
  /** @type {Map<string, string>} */
  const parts = new Map()
  const room = dirname(dirname(command))
  /** @param {string} path @param {readonly string[]} above */
  const add = (path, above) => {
    const name = nameOf(room, path)
    if (parts.has(name)) return
    if (above.includes(path)) throw new Error(`includes in a circle: ${[...above, path].join(' → ')}`)
    for (const use of readUses(root, path)) {
      if (use.kind === 'include') add(use.path, [...above, path])
      else parts.set(`constant/${use.name}`, `local ${use.name} = ${toLua(readConstant(use.path, use.name))}`)
    }
    parts.set(name, readCode(root, path))
  }
  add(command, [])
  return parts
}

/**
 * `src/executions/store/lua/include/get.lua` is `include/get` in its own room and `executions/store/include/get`
 * elsewhere. @param {string} room @param {string} path
 */
function nameOf(room, path) {
  const name = path.replace(/\.lua$/, '').replace('lua/', '')
  return name.startsWith(`${room}/`) ? name.slice(room.length + 1) : name.replace(/^src\//, '')
}

/** @param {unknown} value @returns {string} */
function toLua(value) {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (typeof value === 'string' && /^[\w ()]*$/.test(value)) return `'${value}'`
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value)
      .map(([name, one]) => `${/^[a-z_]\w*$/i.test(name) ? name : `[${toLua(name)}]`} = ${toLua(one)}`)
      .join(', ')}}`
  }
  throw new Error(`no constant for Lua: ${String(value)}`)
}

/**
 * Every folder of commands below src, and its commands in order. @param {string} root @returns {Map<string, string[]>}
 */
export function findCommands(root) {
  const found = new Map()
  for (const entry of readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).sort()) {
    const path = `src/${entry}`
    if (path.endsWith('.lua') && basename(dirname(path)) === 'lua')
      found.set(dirname(path), [...(found.get(dirname(path)) ?? []), path])
  }
  return found
}

/** `lua/list-abandoned.lua` is called `ccListAbandoned`. @param {string} path */
export const commandName = (path) =>
  `cc-${basename(path, '.lua')}`.replace(/-([a-z])/g, (_, letter) => letter.toUpperCase())

/**
 * The module of a room: each part once, and the scripts put together from them. @param {string} root @param {readonly
 * string[]} commands @param {ReadConstant} readConstant
 */
export function toModule(root, commands, readConstant) {
  const scripts = commands.map((path) => ({ name: commandName(path), parts: partsOf(root, path, readConstant) }))
  const parts = new Map(scripts.flatMap((script) => [...script.parts]))
  const texts = [...parts].map(([name, text]) => `  '${name}': \`${text.replace(/[\\`]|\$\{/g, '\\$&')}\`,\n`)
  const joined = scripts.map(
    (script) => `  ${script.name}: join(\n${wrap([...script.parts.keys()].map((name) => `'${name}',`))}  ),\n`,
  )
  return `// Generated from the files in lua/ by src/setup/generate-lua.mjs: change those, then run \`npm run generate\`.
const PARTS = {
${texts.join('')}}

const join = (...names: Array<keyof typeof PARTS>): string => names.map((name) => PARTS[name]).join('\\n')

/** The text of each script, by the name of its command. */
export const SCRIPTS = {
${joined.join('')}}
`
}

/** @param {readonly string[]} words */
function wrap(words) {
  const lines = ['   ']
  for (const word of words) {
    if (`${lines.at(-1)} ${word}`.length > WIDTH) lines.push('   ')
    lines[lines.length - 1] += ` ${word}`
  }
  return `${lines.join('\n')}\n`
}
