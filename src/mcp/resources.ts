import { ProtocolError, ProtocolErrorCode, ResourceNotFoundError, type Server } from '@modelcontextprotocol/server'
import { ERROR_TABLE, parseInput } from '../protocol/errors.js'
import type { Execution } from '../protocol/execution.js'
import { TOOL_WAIT_LIMIT_SECONDS } from '../protocol/limits.js'
import { ExecutionFilters } from '../protocol/listing.js'
import { askService, type ServiceAccess, type ToolService } from './service-access.js'
import { toToolError } from './tool-result.js'

const ROOT = 'executor://executions'
const LISTED = 50
const TITLE_CHARACTERS = 80
/** Of one answer; what comes behind it is asked for with `after`. */
const EVENTS_LIMIT = 1_000
const EVENTS_CHARACTERS = 256 * 1_024
const JSON_TYPE = 'application/json'
const NDJSON_TYPE = 'application/x-ndjson'

const TEMPLATES = [
  {
    name: 'execution',
    title: 'Execution',
    uriTemplate: `${ROOT}/{executionId}`,
    description: 'An execution with its request, state, outcome and usage.',
    mimeType: JSON_TYPE,
  },
  {
    name: 'events',
    title: 'Events of an execution',
    uriTemplate: `${ROOT}/{executionId}/events{?after}`,
    description:
      `What has happened so far, one event per line, at most ${EVENTS_LIMIT}; with after (a seq) what follows it. ` +
      '_meta of the contents says whether there is more (hasMore, nextAfter).',
    mimeType: NDJSON_TYPE,
  },
  {
    name: 'receipt',
    title: 'Receipt of an execution',
    uriTemplate: `${ROOT}/{executionId}/receipt`,
    description: 'The signed record of a finished execution; cc-executor verify checks it.',
    mimeType: JSON_TYPE,
  },
]

const URI = /^executor:\/\/executions\/([^/?#]+)(?:\/(receipt)|\/(events)(?:\?after=(\d{1,15}))?)?$/

interface Contents {
  readonly mimeType: string
  readonly text: string
  readonly _meta?: Record<string, unknown>
}

function toResource({ id, status, kind, request, createdAt, finishedAt }: Execution) {
  const about = ('prompt' in request ? request.prompt : undefined) ?? kind
  return {
    uri: `${ROOT}/${id}`,
    name: id,
    title: `${status}: ${about.slice(0, TITLE_CHARACTERS)}`,
    mimeType: JSON_TYPE,
    annotations: { lastModified: finishedAt ?? createdAt },
  }
}

/** What the log holds now, without waiting. */
async function readEvents(service: ToolService, id: string, after: number, signal: AbortSignal): Promise<Contents> {
  const { lastSeq } = await service.get(id)
  const lines: string[] = []
  let nextAfter = after
  if (after < lastSeq) {
    let characters = 0
    for await (const event of service.follow(id, { after, signal })) {
      const line = JSON.stringify(event)
      characters += line.length
      if (lines.length > 0 && characters > EVENTS_CHARACTERS) break
      lines.push(line)
      nextAfter = event.seq
      if (nextAfter >= lastSeq || lines.length === EVENTS_LIMIT) break
    }
  }
  const text = lines.map((line) => `${line}\n`).join('')
  return { mimeType: NDJSON_TYPE, text, _meta: { nextAfter, hasMore: nextAfter < lastSeq } }
}

async function readResource(service: ToolService, uri: string, signal: AbortSignal): Promise<Contents> {
  const [, encoded = '', receipt, events, after = '0'] = URI.exec(uri) ?? []
  let id: string
  try {
    id = decodeURIComponent(encoded)
  } catch {
    id = ''
  }
  if (id === '') throw new ResourceNotFoundError(uri)
  if (receipt !== undefined) return { mimeType: JSON_TYPE, text: await service.receipt(id) }
  if (events !== undefined) return readEvents(service, id, Number(after), signal)
  return { mimeType: JSON_TYPE, text: JSON.stringify(await service.get(id), undefined, 2) }
}

/** The service's fault, or of the way to it; all else is the caller's. */
const isOurs = (code: string): boolean =>
  !Object.hasOwn(ERROR_TABLE, code) || ERROR_TABLE[code as keyof typeof ERROR_TABLE].status >= 500

/** The executions of the caller, their events and receipts, for clients that read resources. */
export function offerResources(server: Server, access: ServiceAccess, onFailure: (error: unknown) => void): void {
  /** A failure in the protocol's own form: resources have no results that are errors. */
  async function ask<Answer>(
    uri: string | undefined,
    read: (service: ToolService) => Promise<Answer>,
  ): Promise<Answer> {
    try {
      return await askService(access, AbortSignal.timeout(TOOL_WAIT_LIMIT_SECONDS * 1_000), read)
    } catch (error) {
      if (error instanceof ProtocolError) throw error
      const failure = toToolError(error)
      if (failure.code === 'EXECUTION_NOT_FOUND' && uri !== undefined)
        throw new ResourceNotFoundError(uri, failure.detail)
      if (failure.code === 'INTERNAL') onFailure(error)
      const kind = isOurs(failure.code) ? ProtocolErrorCode.InternalError : ProtocolErrorCode.InvalidParams
      throw new ProtocolError(kind, `${failure.code}: ${failure.detail}`, failure)
    }
  }

  server.setRequestHandler('resources/list', async ({ params }) => {
    const { executions, nextCursor } = await ask(undefined, (service) =>
      service.list(parseInput(ExecutionFilters, { limit: LISTED, cursor: params?.cursor })),
    )
    return { resources: executions.map(toResource), nextCursor: nextCursor ?? undefined }
  })
  server.setRequestHandler('resources/templates/list', () => ({ resourceTemplates: TEMPLATES }))
  server.setRequestHandler('resources/read', async ({ params: { uri } }, { mcpReq: { signal } }) => {
    const contents = await ask(uri, (service) => readResource(service, uri, signal))
    return { contents: [{ uri, ...contents }] }
  })
}
