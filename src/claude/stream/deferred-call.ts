import { randomUUID } from 'node:crypto'
import { toRecord, toRecords, toText } from '../json-shape.js'

/** What the CLI writes of an entry that is the message's own, and no other entry of the session has. */
const OF_MESSAGE = new Set([
  'apiBlockIndex',
  'effort',
  'madeBy',
  'message',
  'perTurnEffort',
  'promptCacheRequested',
  'requestId',
  'requestRef',
  'requestedModel',
  'toolInputStreamMs',
])

/** A call of a session that the CLI will take up when the session is resumed. */
export interface DeferredCall {
  /** The lines of the transcript; undefined: it holds the mark already. */
  readonly lines: string | undefined
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    return toRecord(JSON.parse(line))
  } catch {
    return undefined
  }
}

/**
 * Marks a call that waits for permission as the CLI itself does where a hook defers one: it takes the call up again by
 * itself when the session is resumed, under its old id, and asks again. The CLI writes the mark only for a hook, which
 * sees every call and cannot know which of them would be asked about; the question comes later, and SIGTERM leaves the
 * call in the transcript as it is (measured with 2.1.197 and 2.1.332, DECISIONS.md).
 *
 * undefined: the call is not there, is not of the last reply, has a result, or others of its reply have none, which the
 * CLI would drop.
 */
export function deferCall(transcript: string, toolUseId: string, permissionMode = 'default'): DeferredCall | undefined {
  const open = new Map<string, { entry: Record<string, unknown>; reply: string; name: string; input: unknown }>()
  let reply = ''
  let isMarked = false
  for (const line of transcript.split('\n')) {
    const entry = parse(line)
    if (!entry || entry['isSidechain'] === true) continue
    const attachment = toRecord(entry['attachment'])
    if (attachment?.['type'] === 'hook_deferred_tool' && attachment['toolUseID'] === toolUseId) isMarked = true
    const message = toRecord(entry['message'])
    if (entry['type'] === 'assistant') reply = toText(message?.['id']) ?? ''
    for (const block of toRecords(message?.['content'])) {
      const id = toText(block['type'] === 'tool_result' ? block['tool_use_id'] : block['id'])
      if (id === undefined) continue
      if (block['type'] === 'tool_use')
        open.set(id, { entry, reply, name: toText(block['name']) ?? '', input: block['input'] })
      else if (block['type'] === 'tool_result') open.delete(id)
    }
  }
  const call = open.get(toolUseId)
  if (!call || call.reply !== reply) return undefined
  if ([...open.values()].some((other) => other !== call && other.reply === reply)) return undefined
  if (isMarked) return { lines: undefined }
  const common = Object.fromEntries(Object.entries(call.entry).filter(([name]) => !OF_MESSAGE.has(name)))
  const mark = {
    ...common,
    parentUuid: call.entry['uuid'],
    type: 'attachment',
    attachment: {
      type: 'hook_deferred_tool',
      toolUseID: toolUseId,
      toolName: call.name,
      toolInput: call.input,
      hookName: 'PreToolUse',
      hookEvent: 'PreToolUse',
      permissionMode,
    },
    uuid: randomUUID(),
    timestamp: new Date().toISOString(),
  }
  return { lines: `${transcript.endsWith('\n') || transcript === '' ? '' : '\n'}${JSON.stringify(mark)}\n` }
}
