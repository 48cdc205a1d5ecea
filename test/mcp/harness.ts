// `cc-executor mcp` as its clients meet it: real processes over stdio, a data folder of its own, the real CLI and the
// scripted model.
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { PassThrough } from 'node:stream'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import type { Test } from 'tap'
import { findService, listServices, type ServiceRecord } from '../../src/platform/service-record.js'
import { describe, listMentioning, makeFolder, tryKill } from '../support/processes.js'
import { testEnvironment } from '../support/environment.js'
import { CLI } from '../support/paths.js'
import { until } from '../support/deadlines.js'

if (!existsSync(CLI)) throw new Error('dist is missing: npm test builds it, or npx tsc -p tsconfig.build.json')

/** Idle services of tests end soon, so that a test which failed leaves nothing for long. */
const IDLE_SECONDS = '20'

export interface Called {
  readonly isError: boolean
  readonly text: string
  /** Tests know what they asked for. */
  readonly structured: ReturnType<typeof JSON.parse>
}

export interface McpSession {
  readonly client: Client
  readonly pid: number
  readonly stderr: () => string
  /** Everything that came on stdout and was no message of the protocol. */
  readonly failures: Error[]
  call(name: string, input?: Record<string, unknown>, options?: Parameters<Client['callTool']>[1]): Promise<Called>
  close(): Promise<void>
}

export interface McpFolder {
  readonly folder: string
  readonly dataDir: string
  readonly env: Record<string, string>
  connect(options?: { command?: string; args?: string[]; env?: Record<string, string> }): Promise<McpSession>
  services(): Promise<ServiceRecord[]>
  serving(): Promise<(ServiceRecord & { url: string }) | undefined>
}

/**
 * A data folder without a service; what was started on it is gone with the test, which fails where something is left.
 */
export async function openMcpFolder(t: Test, variables: Record<string, string> = {}): Promise<McpFolder> {
  const folder = await makeFolder(t)
  const dataDir = join(folder, 'data')
  const given = { ...testEnvironment(folder), CC_EXECUTOR_IDLE_SECONDS: IDLE_SECONDS, ...variables }
  const env = Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  )
  const sessions: McpSession[] = []
  t.teardown(async () => {
    await Promise.all(sessions.map((session) => session.close()))
    for (const { pid } of await listServices(dataDir)) tryKill(pid, 'SIGTERM')
    await until(() => listMentioning(dataDir).length === 0, 'all that was started is gone', 120_000).catch(() => {
      throw new Error(`left: ${describe(listMentioning(dataDir)).join('; ')}`)
    })
    const records = await readdir(join(dataDir, 'services')).catch(() => [])
    if (records.length > 0) throw new Error(`left: ${records.join(', ')}`)
  })
  return {
    folder,
    dataDir,
    env,
    services: () => listServices(dataDir),
    serving: () => findService(dataDir),
    async connect({ command = process.execPath, args = [CLI, 'mcp', '--simulate'], env: more = {} } = {}) {
      const session = await openSession(command, args, { ...env, ...more })
      sessions.push(session)
      return session
    },
  }
}

async function openSession(command: string, args: string[], env: Record<string, string>): Promise<McpSession> {
  // Without tap's instrumentation: only what is named here reaches the process.
  const transport = new StdioClientTransport({ command, args, env, stderr: 'pipe' })
  let stderr = ''
  // Safe: with `pipe` it is a stream from the beginning.
  ;(transport.stderr as PassThrough).setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
  const client = new Client({ name: 'test', version: '0' })
  const failures: Error[] = []
  // The SDK's client takes a response at once and a notification a moment later: of a progress that came just before
  // the response it knows no more.
  Object.assign(client, {
    onerror: (error: Error) =>
      void (/progress notification for an unknown token/.test(error.message) || failures.push(error)),
  })
  await client.connect(transport)
  const { tools } = await client.listTools()
  const ajv = new Ajv2020({ strict: false })
  // Safe: the package's default export is a function; its types say otherwise under NodeNext.
  ;(formats as unknown as (ajv: Ajv2020) => void)(ajv)
  const schemas = new Map(tools.map(({ name, outputSchema }) => [name, ajv.compile(outputSchema ?? {})]))
  let closing: Promise<void> | undefined
  return {
    client,
    pid: transport.pid ?? -1,
    stderr: () => stderr,
    failures,
    async call(name, input = {}, options) {
      const { content, structuredContent, isError = false } = await client.callTool({ name, arguments: input }, options)
      const validate = schemas.get(name)
      if (!validate?.(structuredContent))
        throw new Error(`${name} does not answer what it says: ${ajv.errorsText(validate?.errors)}`)
      const text = content.map((block) => (block.type === 'text' ? block.text : '')).join('')
      return { isError, text, structured: structuredContent }
    },
    close: () => (closing ??= client.close()),
  }
}

export function saysProtocolOnly(t: Test, { failures, stderr }: McpSession): void {
  t.same(failures, [], 'stdout holds nothing but the protocol')
  t.equal(stderr(), '')
}
