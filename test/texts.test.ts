// What people read reads as plain technical English: documents for clients, `--help`, errors, outcomes, settings.
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import ts from 'typescript-6'
import { CLI_COMMANDS } from '../src/cli/commands.js'
import { PROCESS_USAGE, readUsage } from '../src/main/terminal/usage.js'
import { ERROR_TABLE } from '../src/protocol/errors.js'
import { CLI, ROOT } from './support/paths.js'

interface Text {
  readonly where: string
  readonly text: string
}

/** Each phrase, an example of it, and what to write instead. */
const FORBIDDEN: ReadonlyArray<readonly [phrase: RegExp, example: string, instead: string]> = [
  [/(?:^|[.:;] )so (?:much|many|long)\b/i, 'So much is kept of one execution.', 'at most …, for …'],
  [/\bwhoever\b/i, 'Whoever waits longest is first.', 'the client, process or caller that …'],
  [/\bof which\b/i, 'Lists of which a task has ended.', 'whose; two sentences'],
  [/\banew\b/i, 'It begins anew.', 'again, separately'],
  [/\bagain and again\b/i, 'It was stopped again and again.', 'repeatedly'],
  [/(?<!\bthere )\bis no (?!longer\b|more\b)/i, 'The file is no regular file.', 'is not a'],
  [/\bof (?:its|their|his|one’s) own\b/i, 'A folder of its own.', 'a separate, a new, its'],
  [/\bgoes on\b|\bgo on\b/i, 'What runs goes on.', 'continues, is still running'],
  [/\bwere not begun\b|\bOf \$?\S+ tasks \S+ had\b/i, 'Of 3 tasks 1 had succeeded.', '1 of 3 tasks succeeded'],
  [/\b(?:tells? (?:of|nothing)|is told|are told)\b/i, 'Its end is told by an event.', 'is reported, shows'],
  [/\bcannot be had\b/i, 'The file cannot be had.', 'is not available'],
  [/\badmit(?:s|ted)\b(?!-)/i, 'Folders that are admitted.', 'allows, allowed'],
]

/** Texts that keep such a phrase, each with the reason why. */
const EXCEPTIONS: Record<string, string> = {
  'src/simulator/': 'what the played model says',
  'src/verification/canonical-json.ts': 'of values that no client can send',
  'use strict;': 'a program, with its comments',
}

/** What is quoted as code is a name, not a sentence. */
const findForbidden = ({ text }: Text): string[] => {
  const sentence = text.replace(/`[^`]*`/g, '`')
  return FORBIDDEN.filter(([phrase]) => phrase.test(sentence)).map(
    ([phrase, , instead]) => `${String(phrase)}: ${instead}`,
  )
}

/** Descriptions, titles and messages of a document of ours. */
function listDocumentTexts(file: string): Text[] {
  const found: Text[] = []
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    for (const [key, member] of Object.entries(value)) {
      if (typeof member === 'string' && /^(?:description|summary|title|message|detail)$/.test(key))
        found.push({ where: file, text: member })
      else walk(member)
    }
  }
  walk(JSON.parse(readFileSync(join(ROOT, file), 'utf8')))
  return found
}

/** A literal, or several that are joined; what is put in between is a `$`. */
function toText(node: ts.Node): string | undefined {
  if (ts.isStringLiteralLike(node)) return node.text
  if (ts.isTemplateExpression(node))
    return node.head.text + node.templateSpans.map(({ literal }) => `$${literal.text}`).join('')
  if (ts.isParenthesizedExpression(node)) return toText(node.expression)
  if (!ts.isBinaryExpression(node) || node.operatorToken.kind !== ts.SyntaxKind.PlusToken) return undefined
  const [before, after] = [toText(node.left), toText(node.right)]
  return before === undefined && after === undefined ? undefined : `${before ?? '$'}${after ?? '$'}`
}

function listSourceTexts(file: string): Text[] {
  const source = ts.createSourceFile(file, readFileSync(join(ROOT, file), 'utf8'), ts.ScriptTarget.Latest, true)
  const found: Text[] = []
  const visit = (node: ts.Node): void => {
    const text = toText(node)
    if (text !== undefined && /\w \w+ \w/.test(text))
      found.push({ where: `${file}:${source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1}`, text })
    if (text === undefined) ts.forEachChild(node, visit)
    else visitSpans(node)
  }
  /** What is put into a text, also into a part of one that is joined. */
  const visitSpans = (node: ts.Node): void => {
    if (ts.isTemplateExpression(node)) for (const { expression } of node.templateSpans) visit(expression)
    else if (ts.isParenthesizedExpression(node)) visitSpans(node.expression)
    else if (ts.isBinaryExpression(node))
      for (const side of [node.left, node.right])
        if (toText(side) === undefined) visit(side)
        else visitSpans(side)
  }
  visit(source)
  return found
}

const files = ['src', 'plugins', 'routes', 'workers'].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(?:tsx?|mjs)$/.test(name) && !name.endsWith('.generated.ts'))
    .map((name) => `${folder}/${name}`),
)
const ofSources = files.flatMap(listSourceTexts)

void t.test('what people read is in plain technical English', async (t) => {
  const texts = [
    ...ofSources,
    ...['openapi/openapi.json', 'openapi/rpc.schema.json'].flatMap(listDocumentTexts),
    ...Object.entries(ERROR_TABLE).map(([code, { title }]) => ({ where: code, text: title })),
    ...[await readUsage(), ...Object.values(PROCESS_USAGE)].map((text) => ({ where: 'usage', text })),
  ]
  t.ok(texts.length > 1_500, `${texts.length} texts were found`)
  const wrong = texts.flatMap((text) => findForbidden(text).map((why) => `${text.where}: ${text.text} (${why})`))
  t.same(
    [...new Set(wrong)].filter((line) => !Object.keys(EXCEPTIONS).some((kept) => line.includes(kept))),
    [],
  )
})

void t.test('the help of every command is among the texts', async (t) => {
  const usages = ofSources.filter(({ text }) => text.startsWith('Usage: cc-executor ')).map(({ text }) => text)
  const named = (name: string): boolean =>
    usages.some((text) => text.startsWith(`Usage: cc-executor ${name}`) || text.startsWith('Usage: cc-executor $'))
  t.same(
    [...Object.keys(CLI_COMMANDS), ...Object.keys(PROCESS_USAGE)].filter((name) => !named(name)),
    [],
  )
})

/** Every page for people but those of the rooms, which are for whoever changes the code. */
const PAGES = ['README.md', 'SECURITY.md', 'CONTRIBUTING.md'].concat(
  ['deployment', 'openapi', 'src/client', 'src/simulator'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`),
  ),
)
/**
 * A call up to the end of its line, its quotation or whatever its output goes to; of several words the first is the
 * command.
 */
const CALL = /\bcc-executor ([a-z]+)((?:\\\n|[^`|>\n])*)/g
const FLAG = /(?<![\w-])--[a-z][\w-]*/g

const listCalls = (page: string, text: string): ReadonlyArray<readonly [page: string, command: string, flag: string]> =>
  [...text.matchAll(CALL)].flatMap(([, command = '', rest = '']) =>
    [...rest.matchAll(FLAG)].map(([flag]) => [page, command, flag] as const),
  )

void t.test('a flag that a page gives to a command is one of that command', async (t) => {
  const calls = PAGES.flatMap((page) => listCalls(page, readFileSync(join(ROOT, page), 'utf8'))).filter(
    ([, command]) => Object.hasOwn(CLI_COMMANDS, command) || Object.hasOwn(PROCESS_USAGE, command),
  )
  t.ok(calls.length > 20, `${calls.length} flags were found`)
  const wrong: string[] = []
  for (const name of new Set(calls.map(([, command]) => command))) {
    const { stdout } = await promisify(execFile)(process.execPath, [CLI, name, '--help'])
    const known = new Set(['--help', ...[...stdout.matchAll(FLAG)].map(([flag]) => flag)])
    for (const [page, command, flag] of calls)
      if (command === name && !known.has(flag)) wrong.push(`${page}: cc-executor ${command} ${flag}`)
  }
  t.same(wrong, [])
  t.same(listCalls('x', 'make one: `cc-executor tokens add ci --scope read`; --other'), [['x', 'tokens', '--scope']])
})

void t.test('each phrase is found where it stands', async (t) => {
  for (const [phrase, example] of FORBIDDEN) t.match(example, phrase)
  t.same(findForbidden({ where: '', text: 'There is no such file; it is no longer kept in `whoever`.' }), [])
})
