// The prompts that the scripted model knows by name: one service, the real CLI, real files and results.
import { readFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Execution } from '../../src/protocol/execution.js'
import type { WorkspaceFiles } from '../../src/protocol/files.js'
import { openTestService } from '../support/service.js'

t.jobs = 4
const isLong = process.env['CC_EXECUTOR_TEST_ALL'] === '1'
const service = await openTestService(t)
const run = async (request: Record<string, unknown>): Promise<Execution> =>
  service.finished((await service.submit(request)).id)
const workspaces = service.config.workspaceRoot
const filesOf = async (id: string): Promise<WorkspaceFiles> =>
  (await service.call('GET', `/executions/${id}/files`)).body as WorkspaceFiles
const RUN_HELLO = ['Bash(python3:*)']

void t.test('the README’s task list writes a file, tests it, and both are seen', async (t) => {
  const readme = await readFile('README.md', 'utf8')
  const list = /'(\{"tasks": \["Write hello\.py".*\})'/.exec(readme)?.[1]
  const request = JSON.parse(list ?? '{}') as Record<string, unknown>
  const execution = await run({ ...request, workspace: 'readme' })
  t.match(execution, { status: 'succeeded' })
  t.match(await readFile(join(workspaces, 'readme/hello.py'), 'utf8'), /print\(greet\("world"\)\)/)
  const { executions } = (await service.call('GET', `/executions?parentId=${execution.id}`)).body as {
    executions: Execution[]
  }
  const results = await Promise.all(
    executions.map(async ({ id }) => (await service.call('GET', `/executions/${id}/result`)).text.trimEnd()),
  )
  t.same(results.sort(), [
    'The test passed: hello.py printed "Hello, world!".',
    'hello.py is written; it prints "Hello, world!".',
  ])

  const listed = await run({ prompt: ' what is  in this folder? ', workspace: 'readme' })
  t.match(listed.outcome, { result: 'The folder holds:\nhello.py' }, 'by its words alone')
  if (isLong) {
    const tested = await run({ prompt: 'test  Hello.py.', workspace: 'readme', allowedTools: RUN_HELLO })
    t.match(tested, { outcome: { result: 'The test passed: hello.py printed "Hello, world!".' } })
    t.notOk(tested.outcome?.permissionDenials)
  }

  const deleted = await run({ prompt: 'Delete hello.py', workspace: 'readme' })
  t.match(deleted, { status: 'succeeded', outcome: { result: 'hello.py is deleted.' } })
  t.match(await filesOf(deleted.id), { deleted: 1, files: [{ path: 'hello.py', change: 'deleted' }] })
  t.match((await service.call('GET', `/executions/${deleted.id}/files?diff`)).text, /^deleted file mode/m)
  if (!isLong) return
  t.match(await run({ prompt: 'What is in this folder?', workspace: 'readme' }), {
    outcome: { result: 'The folder is empty.' },
  })
  t.match(await run({ prompt: 'Delete hello.py', workspace: 'readme' }), {
    outcome: { result: /^hello.py is not deleted: .*No such file/s },
  })
})

void t.test('a written file has a diff and a receipt, and one that is there already is read first', async (t) => {
  await mkdir(join(workspaces, 'own'), { recursive: true })
  await writeFile(join(workspaces, 'own/hello.py'), 'print("mine")\n')
  const execution = await run({ prompt: 'Write hello.py', workspace: 'own' })
  t.match(execution, { status: 'succeeded', simulated: true, outcome: { result: /^hello.py is written/ } })
  t.match(await filesOf(execution.id), { created: 0, modified: 1 })
  t.match((await service.call('GET', `/executions/${execution.id}/files?diff`)).text, /^-print\("mine"\)\n\+def greet/m)
  t.match((await service.call('GET', `/executions/${execution.id}/receipt`)).status, 200)
})

void t.test('what the default permissions do not allow is denied, and what was asked for is still done', async (t) => {
  const forbidden = await run({ prompt: 'Try something forbidden' })
  t.match(forbidden, {
    status: 'succeeded',
    outcome: { result: /^That was refused/, permissionDenials: [{ tool: 'Bash' }] },
  })
  t.ok((await service.events(forbidden.id)).some(({ type }) => type === 'tool.denied'))
  if (isLong)
    t.match(await run({ prompt: 'Try something forbidden', onPermissionDenied: 'fail' }), { status: 'failed' })

  await mkdir(join(workspaces, 'denied'), { recursive: true })
  await writeFile(join(workspaces, 'denied/hello.py'), 'print("mine")\n')
  t.match(await run({ prompt: 'Test hello.py', workspace: 'denied' }), {
    outcome: { result: /only read, not run: .*Bash\(python3:\*\)/, permissionDenials: [{ tool: 'Bash' }] },
  })
})

const SCHEMAS: Record<string, Record<string, unknown>> = {
  plain: {
    type: 'object',
    properties: { name: { type: 'string', minLength: 40, maxLength: 50 }, n: { type: 'integer', exclusiveMinimum: 6 } },
    required: ['name', 'n'],
    additionalProperties: false,
  },
  told: {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    $defs: {
      node: {
        type: 'object',
        properties: {
          id: { format: 'uuid', type: 'string' },
          next: { anyOf: [{ type: 'null' }, { $ref: '#/$defs/node' }] },
        },
        required: ['id', 'next'],
      },
    },
    properties: {
      tree: { $ref: '#/$defs/node' },
      when: { type: 'string', format: 'date-time' },
      code: { type: 'string', pattern: '^[A-Z]{3}-\\d{2,4}(x|y)?$' },
      pair: { type: 'array', prefixItems: [{ const: 1 }, { enum: ['a', 'b'] }], items: false },
      set: { type: 'array', uniqueItems: true, minItems: 3, items: { type: 'number', multipleOf: 0.5, minimum: 2.2 } },
      both: { allOf: [{ type: 'object', required: ['a'] }, { properties: { a: { type: 'boolean' } } }] },
    },
    required: ['tree', 'when', 'code', 'pair', 'set', 'both', 'undeclared'],
  },
}

void t.test('JSON mode is answered with an object that fits, whatever the schema', async (t) => {
  await Promise.all([
    ...Object.entries(SCHEMAS)
      .slice(isLong ? 0 : -1)
      .map(async ([name, outputSchema]) => {
        const execution = await run({ prompt: 'Say hello', outputSchema })
        t.match(execution, { status: 'succeeded', outcome: { result: {} } }, name)
      }),
    (async () => {
      const execution = await run({ prompt: 'Write hello.py', json: true })
      t.match(execution, { status: 'succeeded', outcome: { result: { result: /^hello.py is written/ } } })
      t.match(await filesOf(execution.id), { created: 1 })
    })(),
  ])
})

void t.test('"Work for a minute" goes on, and can be cancelled', async (t) => {
  const { id } = await service.submit({ prompt: 'Work for a minute' })
  await service.until(id, 'text.delta')
  await service.call('POST', `/executions/${id}/cancel`)
  t.match(await service.finished(id), { status: 'cancelled' })
})

void t.test(
  '"Work for a minute" lasts one, and writes a file in its midst',
  { skip: isLong ? false : 'only in npm run test:all', timeout: 600_000 },
  async (t) => {
    const execution = await run({ prompt: 'Work for a minute' })
    t.match(execution, { status: 'succeeded' })
    const { startedAt = '', finishedAt = '' } = execution
    t.ok(Date.parse(finishedAt) - Date.parse(startedAt) >= 60_000)
    t.match(await filesOf(execution.id), { created: 1, files: [{ path: 'minute.md' }] })
  },
)
