// The rules of the house, read from the sources: who may import whom, how large a file may become, where the
// environment is read.
import { existsSync, readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { builtinModules } from 'node:module'
import { dirname, join } from 'node:path'
import t from 'tap'
import ts from 'typescript-6'
import { ROOT } from './support/paths.js'
import { type Import, TOP, parse, readImports, roomOf, sources } from './support/sources.js'

interface Rule {
  /** Rooms that it may import. */
  readonly rooms: readonly string[]
  /** Rooms of which it may import types. */
  readonly types?: readonly string[]
  /** Single files of other rooms. */
  readonly files?: readonly string[]
  /** Packages that only few may import; see RESTRICTED. */
  readonly packages?: readonly string[]
}

/** Who may import whom: everything that is not said here is forbidden, a room without a line included. */
const RULES: Record<string, Rule> = {
  'src/protocol': { rooms: [], packages: ['zod'] },
  'src/platform': { rooms: ['src/protocol'], packages: ['ioredis'] },
  'src/supervision': { rooms: ['src/platform'], packages: ['execa'] },
  'src/events': { rooms: ['src/protocol', 'src/platform'], packages: ['ioredis'] },
  'src/tokens': { rooms: ['src/protocol', 'src/platform'], packages: ['ioredis'] },
  'src/schedules': { rooms: ['src/protocol', 'src/platform', 'src/tokens'], packages: ['ioredis'] },
  'src/webhooks': { rooms: ['src/protocol', 'src/platform', 'src/egress'], packages: ['ioredis'] },
  'src/queue': { rooms: ['src/protocol', 'src/platform'], packages: ['bullmq', 'ioredis'] },
  'src/history': { rooms: ['src/protocol', 'src/platform'], packages: ['ioredis'] },
  // Its share of the script of an end counts the events of a log.
  'src/telemetry': { rooms: ['src/protocol', 'src/platform', 'src/events'], packages: ['ioredis'] },
  // What must not be told is the same for everybody.
  'src/claude': { rooms: ['src/protocol', 'src/supervision'], files: ['src/platform/secret-mask.ts'] },
  'src/verification': { rooms: ['src/protocol', 'src/platform', 'src/supervision'] },
  'src/hooks': { rooms: ['src/protocol', 'src/platform', 'src/supervision'] },
  'src/egress': { rooms: [] },
  'src/files': { rooms: ['src/protocol', 'src/platform', 'src/verification'] },
  'src/git': { rooms: ['src/platform'] },
  'src/worktrees': { rooms: ['src/protocol', 'src/platform', 'src/git', 'src/verification'] },
  'src/repositories': { rooms: ['src/protocol', 'src/platform', 'src/git', 'src/supervision', 'src/verification'] },
  'src/simulator': { rooms: [] },
  // Both are loaded when everything is installed: one reads what the tests say, one bundles.
  'src/setup': { rooms: [], packages: ['tap-parser', 'esbuild'] },
  'src/executions': {
    rooms: [
      'src/protocol',
      'src/claude',
      'src/events',
      'src/history',
      'src/tokens',
      'src/schedules',
      'src/queue',
      'src/verification',
      'src/hooks',
      'src/files',
      'src/git',
      'src/repositories',
      'src/egress',
      'src/platform',
      'src/telemetry',
      'src/worktrees',
    ],
    packages: ['ioredis'],
  },
  // The original's dialect answers in the output format that a request asks for, which only src/claude can tell.
  'src/rpc': {
    rooms: ['src/protocol', 'src/events', 'src/executions', 'src/claude'],
    types: ['src/platform', 'src/telemetry'],
    packages: ['ws'],
  },
  // Deadlines are the same for whoever waits; nothing else of the platform is a client's.
  'src/client': { rooms: ['src/protocol'], files: ['src/platform/abort-signals.ts'], packages: ['ws'] },
  // In the browser, and on the published client alone; what a receipt signs is written in one way everywhere.
  'src/console': {
    rooms: [],
    files: ['src/verification/canonical-json.ts'],
  },
  'src/mcp': { rooms: ['src/protocol', 'src/client'], files: ['src/platform/abort-signals.ts'] },
  'src/cli': { rooms: ['src/protocol', 'src/client', 'src/verification', 'src/platform', 'src/worktrees'] },
  plugins: {
    rooms: ['src/protocol', 'src/platform', 'src/tokens'],
    types: ['src/executions', 'src/telemetry'],
    packages: ['fastify'],
  },
  workers: { rooms: ['src/platform', 'src/executions', 'src/queue'], packages: ['bullmq'] },
  routes: {
    rooms: ['src/protocol', 'src/executions', 'src/events', 'src/rpc', 'src/mcp', 'src/tokens', 'src/webhooks'],
    packages: ['fastify', 'ws'],
  },
  openapi: { rooms: ['src/main'] },
}
/**
 * The sub-rooms of a room, from the top down: each imports only those below it, types and the includes of Lua counted.
 * Those on one line do not import each other; `.` is what stands in the room itself.
 */
const SUB_ROOMS: Record<string, readonly (readonly string[])[]> = {
  'src/executions': [
    ['schedules'],
    ['sweep'],
    ['standby'],
    ['run'],
    ['hooks'],
    ['control'],
    ['conclude'],
    ['submit'],
    ['read'],
    ['claim'],
    ['.'],
    ['store'],
    ['records', 'workspaces', 'json-mode'],
  ],
  'src/claude': [['install'], ['stream'], ['command'], ['.']],
  'src/rpc': [['original'], ['.']],
  'src/main': [['.'], ['terminal', 'doctor'], ['lifecycle'], ['self-check']],
}
/** It puts everything together, and nobody imports it but what generates from the whole application. */
const MAIN = 'src/main'
/** Routes never see Redis or BullMQ, workers never Fastify, the simulator nothing. */
const RESTRICTED = ['ioredis', 'bullmq', 'fastify', 'execa', 'ws']
const ONLY_THESE_PACKAGES = ['src/protocol', 'src/simulator', 'src/setup']

/** Files over 250 lines, each with the reason why it is still one subject. */
const MAXIMUM_LINES = 250
const LONG_FILES: Record<string, string> = {
  'src/claude/command/command-flags.ts': 'one table of flags and how their words are read',
  'src/executions/store/record-scripts.ts': 'the one table of scripts, what they take and answer',
  'src/executions/store/scripts.generated.ts': 'generated from the files in lua/',
  'src/executions/store/transitions.ts': 'the shapes of what is stored and of what became of it',
  'src/platform/config.ts': 'the one table of settings',
  'src/protocol/execution.ts': 'the fields of an execution, each with its description',
  'src/protocol/execute-request.ts': 'the fields of a request, each with its description',
  'src/protocol/operations.ts': 'the one table of operations, and the types that are read from it',
  'src/protocol/tools.ts': 'the one table of tools, what they take and answer',
  'src/verification/checks.ts': 'one function a check',
  'src/webhooks/scripts.generated.ts': 'generated from the files in lua/',
  'src/verification/manifest.ts': 'one walk of a folder with its bounds',
}
const ENVIRONMENT_READERS = /^src\/(?:platform\/config\.ts|main\/|setup\/)/
const ENVIRONMENT_EXCEPTIONS: Record<string, string> = {
  'src/platform/own-command.ts': 'PATH and CC_EXECUTOR_PART only: how this very program is called',
  'src/supervision/containment.ts': 'PATH only: where the programs of the containment are',
  'src/supervision/supervised-process.ts': 'PATH only, for callers that have made no self-test',
}

const imports = sources.flatMap(readImports)
/** Fastify's plugins count as Fastify. */
const toRestricted = (name: string): string => (/^@?fastify/.test(name) ? 'fastify' : name)
const show = ({ from, to }: Import): string => `${from} → ${to}`

function isAllowed({ from, to, isType, isPackage }: Import): boolean {
  const room = roomOf(from)
  if (room === MAIN) return true
  const rule = RULES[room]
  if (!rule) return false
  if (isPackage) {
    if (to.startsWith('node:') || builtinModules.includes(to)) return true
    const name = toRestricted(to)
    if (ONLY_THESE_PACKAGES.includes(room)) return rule.packages?.includes(name) ?? false
    return !RESTRICTED.includes(name) || (rule.packages?.includes(name) ?? false)
  }
  const target = roomOf(to)
  return (
    target === room ||
    rule.rooms.includes(target) ||
    (rule.files?.includes(to) ?? false) ||
    (isType && (rule.types?.includes(target) ?? false))
  )
}

void t.test('each room imports only what it may', async (t) => {
  t.ok(imports.length > 300, 'the imports were found')
  t.ok(imports.filter(({ from }) => from.endsWith('.lua')).length > 200, 'those of Lua as well')
  t.same(imports.filter((entry) => !isAllowed(entry)).map(show), [])
  t.same(
    imports
      .filter(
        ({ from, to, isPackage }) => !isPackage && roomOf(to) === MAIN && ![MAIN, 'openapi'].includes(roomOf(from)),
      )
      .map(show),
    [],
    'nobody imports src/main',
  )
})

void t.test('the rules would notice', async (t) => {
  const breaks = (from: string, to: string, isPackage = false): boolean =>
    !isAllowed({ from, to, isType: false, isPackage })
  t.ok(breaks('routes/executions.ts', 'ioredis', true))
  t.ok(breaks('workers/execution-worker.ts', 'fastify', true))
  t.ok(breaks('workers/execution-worker.ts', '@fastify/cors', true))
  t.ok(breaks('src/simulator/json.ts', 'src/protocol/ids.ts'))
  t.ok(breaks('src/setup/npm.mjs', 'execa', true))
  t.ok(breaks('routes/stream.ts', 'plugins/auth.ts'), 'a value of a plugin')
  t.notOk(breaks('routes/stream.ts', 'src/rpc/rpc-connection.ts'))
  t.ok(breaks('src/history/lua/include/weigh.lua', 'src/events/lua/include/write.lua'), 'Lua of a room beside it')
  t.ok(breaks('src/new-room/a.ts', 'src/protocol/ids.ts'), 'a room without a line')
})

/** The sub-room of a file, or `.`; undefined where its room has none. */
function subRoomOf(path: string): string | undefined {
  const room = roomOf(path)
  if (!(room in SUB_ROOMS)) return undefined
  const rest = path.slice(room.length + 1).split('/')
  return rest.length > 1 ? rest[0] : '.'
}

function leadsDown({ from, to, isPackage }: Import): boolean {
  const [above, below] = [subRoomOf(from), subRoomOf(to)]
  if (isPackage || roomOf(from) !== roomOf(to) || above === below) return true
  const order = SUB_ROOMS[roomOf(from)] ?? []
  const rank = (name: string | undefined): number =>
    order.findIndex((line) => name !== undefined && line.includes(name))
  return rank(above) !== -1 && rank(above) < rank(below)
}

void t.test('a sub-room imports only those below it', async (t) => {
  t.same(imports.filter((entry) => !leadsDown(entry)).map(show), [])
  const known = Object.entries(SUB_ROOMS).flatMap(([room, order]) => order.flat().map((name) => `${room}/${name}`))
  const used = new Set(sources.flatMap((file) => subRoomOf(file) ?? []).map((name) => name))
  t.same(
    known.filter((name) => !used.has(name.split('/').at(-1) ?? '')),
    [],
    'none is named that is not there',
  )
  const wrong = (from: string, to: string): boolean => !leadsDown({ from, to, isType: true, isPackage: false })
  t.ok(wrong('src/executions/store/a.ts', 'src/executions/run/b.ts'), 'it would notice, also a type')
  t.ok(wrong('src/executions/records/a.ts', 'src/executions/workspaces/b.ts'), 'two on one line')
  t.ok(wrong('src/executions/new/a.ts', 'src/executions/records/b.ts'), 'a sub-room without a place')
  t.notOk(wrong('src/executions/run/a.ts', 'src/executions/services.ts'))
})

void t.test('no rule is wider than its use', async (t) => {
  const isUsed = (room: string, matches: (entry: Import) => boolean): boolean =>
    imports.some((entry) => roomOf(entry.from) === room && matches(entry))
  const unused = Object.entries(RULES).flatMap(([room, { rooms, types = [], files = [], packages = [] }]) => [
    ...[...rooms, ...types]
      .filter((name) => !isUsed(room, ({ to, isPackage }) => !isPackage && roomOf(to) === name))
      .map((name) => `${room} → ${name}`),
    ...types
      .filter((name) => isUsed(room, ({ to, isType, isPackage }) => !isPackage && !isType && roomOf(to) === name))
      .map((name) => `${room} → ${name}: more than types`),
    ...files.filter((name) => !isUsed(room, ({ to }) => to === name)).map((name) => `${room} → ${name}`),
    ...packages
      .filter((name) => !isUsed(room, ({ to, isPackage }) => isPackage && toRestricted(to) === name))
      .map((name) => `${room} → ${name}`),
  ])
  t.same(unused, [])
})

void t.test('no file imports itself, by whatever way', async (t) => {
  const graph = new Map(
    sources.map((file) => [
      file,
      imports.filter(({ from, isPackage }) => from === file && !isPackage).map(({ to }) => to),
    ]),
  )
  const done = new Set<string>()
  const cycles: string[] = []
  const walk = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) return void cycles.push([...path.slice(path.indexOf(file)), file].join(' → '))
    if (done.has(file)) return
    for (const next of graph.get(file) ?? []) walk(next, [...path, file])
    done.add(file)
  }
  for (const file of sources) walk(file, [])
  t.same(cycles, [])
})

void t.test('files are of one subject and lead to no barrel', async (t) => {
  t.same(
    sources.filter((file) => /\/index\.\w+$/.test(file)),
    [],
  )
  const long = (
    await Promise.all(
      sources.map(async (file) =>
        (await readFile(join(ROOT, file), 'utf8')).split('\n').length - 1 > MAXIMUM_LINES ? [file] : [],
      ),
    )
  ).flat()
  t.same(long.sort(), Object.keys(LONG_FILES).sort(), 'over 250 lines are those that say why')
})

/** `...(value !== undefined && { value })` and its kin, which hide what fields an object has. */
function findConditionalSpreads(source: ts.SourceFile): string[] {
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isSpreadAssignment(node)) {
      const { expression: inner } = node
      const spread = ts.isParenthesizedExpression(inner) ? inner.expression : inner
      const isAnd = ts.isBinaryExpression(spread) && spread.operatorToken.kind === ts.SyntaxKind.AmpersandAmpersandToken
      if (isAnd || ts.isConditionalExpression(spread)) found.push(`${source.fileName}: ${node.getText(source)}`)
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

void t.test('a field that may be undefined is passed as it is', async (t) => {
  t.same(
    sources.filter((file) => /\.tsx?$/.test(file)).flatMap((file) => findConditionalSpreads(parse(file))),
    [],
    'src/protocol/defined-fields.ts is for where keys are seen',
  )
  const wrong = ts.createSourceFile(
    'wrong.ts',
    'f({ ...(a !== undefined && { a }), ...(b ? { b } : {}), ...c, d })',
    ts.ScriptTarget.Latest,
    true,
  )
  t.equal(findConditionalSpreads(wrong).length, 2, 'it would notice')
})

void t.test('the environment is read in one place', async (t) => {
  const readers = (
    await Promise.all(
      sources.map(async (file) => (/\bprocess\.env\b/.test(await readFile(join(ROOT, file), 'utf8')) ? [file] : [])),
    )
  ).flat()
  t.same(readers.filter((file) => !ENVIRONMENT_READERS.test(file)).sort(), Object.keys(ENVIRONMENT_EXCEPTIONS).sort())
})

void t.test('the protocol has no type that only Node.js knows', async (t) => {
  // Its declarations are those of the published client, which must compile without the types of Node.js.
  const users = (
    await Promise.all(
      sources.map(async (file) =>
        file.startsWith('src/protocol/') && /\bBuffer\b(?!\.)|\bNodeJS\./.test(await readFile(join(ROOT, file), 'utf8'))
          ? [file]
          : [],
      ),
    )
  ).flat()
  t.same(users, [], 'Uint8Array stands in place of Buffer')
})

void t.test('signals are joined in one way, which releases what it holds', async (t) => {
  const users = (
    await Promise.all(
      sources.map(async (file) => (/AbortSignal\.any\(/.test(await readFile(join(ROOT, file), 'utf8')) ? [file] : [])),
    )
  ).flat()
  t.same(users, [], 'AbortSignal.any loses timeouts on Node 20: joinSignals stands in its place')
})

const README_LINES = 40
const README_COLUMNS = 120

/** What a README says of its room's imports, as the rule has it: other packages than these everybody may import. */
function toImportSentence({ rooms, types = [], files = [], packages = [] }: Rule): string {
  const list = (names: readonly string[]): string => names.map((name) => name.replace(/^src\//, '')).join(', ')
  const named = Object.entries({ types, files, packages }).filter(([, names]) => names.length > 0)
  return `Imports: ${[list(rooms) || 'nothing', ...named.map(([kind, names]) => `${kind}: ${list(names)}`)].join('; ')}.`
}

/** What is wrong with the README of a room. */
function checkReadme(text: string, imports: string): string[] {
  const lines = text.trimEnd().split('\n')
  return [
    ...(lines.length > README_LINES ? [`${lines.length} lines`] : []),
    ...lines.flatMap((line, index) =>
      // One sentence, which is compared below as it stands.
      line.length > README_COLUMNS && !line.startsWith('Imports:') ? [`line ${index + 1}: ${line.length} columns`] : [],
    ),
    ...(lines.filter((line) => line.startsWith('Imports:')).join() === imports ? [] : [`it must say: ${imports}`]),
    ...(/^(?:## )?Decisions(?!: \[DECISIONS\.md\]\(DECISIONS\.md\)\.$)/m.test(text)
      ? ['decisions that are not in DECISIONS.md']
      : []),
  ]
}

void t.test('every room has a README: forty lines of 120 columns, and what it imports', async (t) => {
  const read = (path: string): Promise<string> => readFile(join(ROOT, path), 'utf8')
  for (const room of new Set(sources.map(roomOf))) {
    const rule = RULES[room]
    const imports = rule ? toImportSentence(rule) : 'Imports: everything.'
    const text = await read(`${room}/README.md`).catch(() => '')
    t.same(checkReadme(text, imports), [], room)
    t.equal(text.includes('](DECISIONS.md)'), existsSync(join(ROOT, room, 'DECISIONS.md')), `${room}: its decisions`)
  }
  const others = (await Promise.all(TOP.map((folder) => readdir(join(ROOT, folder), { recursive: true }))))
    .flatMap((names, index) => names.map((name) => `${TOP[index]}/${name}`))
    .filter((name) => name.endsWith('/README.md') && !RULES[dirname(name)] && dirname(name) !== MAIN)
  t.ok(others.length > 0, 'and the sub-rooms that have one')
  for (const name of others) t.same(checkReadme(await read(name), ''), [], name)
})

void t.test('the look at READMEs would notice', async (t) => {
  const imports = toImportSentence({ rooms: ['src/a', 'b'], types: ['src/c'], packages: ['ws'] })
  t.equal(imports, 'Imports: a, b; types: c; packages: ws.')
  t.equal(toImportSentence({ rooms: [], files: ['src/a/b.ts'] }), 'Imports: nothing; files: a/b.ts.')
  const ending = 'Decisions: [DECISIONS.md](DECISIONS.md).\n'
  t.same(checkReadme(`# a\n\n${imports}\n\n${ending}`, imports), [])
  for (const wrong of [
    `# a\n\n${imports.replace(', b', '')}\n`,
    `# a\n\n${imports}\n${imports}\n`,
    `# a\n\n${imports}\n${'\n'.repeat(40)}x\n`,
    `# a\n\n${imports}\n${'x'.repeat(121)}\n`,
    `# a\n\n${imports}\n\n## Decisions\n`,
    '# a\n',
  ])
    t.equal(checkReadme(wrong, imports).length, 1, wrong.slice(0, 60))
})

/** Words that had to be learned before the code could be read, as whole words of an identifier, and what to say. */
const OLD_WORDS: Record<string, string> = {
  wish: 'request',
  obey: 'apply',
  poke: 'renewNow',
  nudge: 'notifyWorkers',
  woken: 'ready',
  standing: 'ConcludeAs',
  lesson: 'DurationSample',
  teach: 'outcome, of a DurationSample',
  told: 'recorded, reported, shown',
  patience: 'a wait, a limit, a timer',
  'learn clock': 'syncClock',
  'clock ahead': 'redisClockOffsetMs',
}
/** Names of these words that are to stay, each with the reason why. */
const KEPT_NAMES: Record<string, string> = {
  'src/client/open-client.ts patienceSeconds': 'an option of the published client',
  'src/main/lifecycle/join-service.ts patienceSeconds': 'the same option',
  'src/executions/store/concluding-events.ts lesson': 'a stored field, which other versions read',
}
const toWords = (name: string): string =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/[_#-]/g, ' ')
    .toLowerCase()
const OLD = new RegExp(`\\b(?:${Object.keys(OLD_WORDS).join('|')})(?:e?s|ed)?\\b`)

/** Names that a file declares: of variables, functions, types, members. */
function listNames(file: string): string[] {
  const names: string[] = []
  const visit = (node: ts.Node): void => {
    const isName = ts.isIdentifier(node) || ts.isPrivateIdentifier(node)
    // Safe: only compared with the node itself.
    if (isName && (node.parent as ts.Node & { name?: ts.Node }).name === node) {
      if (!ts.isPropertyAccessExpression(node.parent)) names.push(node.text)
    }
    ts.forEachChild(node, visit)
  }
  visit(parse(file))
  return names
}

void t.test('names and files say what they are in words that everybody knows', async (t) => {
  const code = sources.filter((file) => /\.(?:tsx?|mjs)$/.test(file) && !file.endsWith('.generated.ts'))
  const old = new Set(
    code.flatMap((file) =>
      listNames(file)
        .filter((name) => OLD.test(toWords(name)))
        .map((name) => `${file} ${name}`),
    ),
  )
  t.same([...old].sort(), Object.keys(KEPT_NAMES).sort(), JSON.stringify(OLD_WORDS))
  t.same(
    sources.filter((file) => OLD.test(toWords(file.split('/').at(-1) ?? ''))),
    [],
    'files',
  )
  t.same(
    code.filter((file) => /\b(?:const|let|function) process\b/.test(readFileSync(join(ROOT, file), 'utf8'))),
    [],
    'a process that was started is a `child`; `process` is this one',
  )
  t.same(
    ['askWish', 'WOKEN_LIMIT', '#clockAhead', 'wishes', 'obeyed'].filter((name) => !OLD.test(toWords(name))),
    [],
  )
  t.notOk(OLD.test(toWords('outstandingBytes')), 'only whole words')
})
