import { createBackgroundTasks } from '../../claude/stream/background-tasks.js'
import { createNotices, noteSystemMessage } from '../../claude/stream/notices.js'
import { createObservation, DENIALS_KEPT, type Earlier } from '../../claude/stream/observation.js'
import type { OpenToolCall } from '../../claude/command/continuation-prompt.js'
import type { EventLog } from '../../events/event-log.js'
import type { BackgroundTask, Event } from '../../protocol/events.js'
import type { PermissionDenial } from '../../protocol/execution.js'

const PAGE_BYTES = 1024 * 1024

/** What the log tells of an execution's attempts so far, as the next one needs it. */
export interface SessionHistory {
  /** Whether Claude said anything in the session: before that nothing can have been done. */
  hasAnswer: boolean
  toolsStarted: number
  /**
   * Per finished tool call the id under which the session's own transcript must know it: a subagent's calls stand there
   * as the call that started it.
   */
  readonly finishedCalls: Map<string, string>
  /** Begun, and no end is known. */
  readonly openCalls: Map<string, OpenToolCall>
  /** Background tasks that died with an attempt, by id: what they are. */
  readonly lostTasks: Map<string, string>
  /** The index of the first message of text to come. */
  nextMessage: number
  /** Messages of which text was streamed and no whole message came: void once another attempt begins. */
  readonly unfinished: Set<number>
  readonly earlier: Earlier
  /** As the CLI named it last. */
  model: string | undefined
  /** How often its limits were changed. */
  budgetChanges: number
}

const createHistory = () => ({
  hasAnswer: false,
  toolsStarted: 0,
  finishedCalls: new Map<string, string>(),
  openCalls: new Map<string, OpenToolCall>(),
  lostTasks: new Map<string, string>(),
  nextMessage: 0,
  unfinished: new Set<number>(),
  earlier: { denials: [] as PermissionDenial[], denialCount: 0, notices: [] as string[] },
  // Safe: a name comes with the first message.
  model: undefined as string | undefined,
  budgetChanges: 0,
})

/**
 * The fields of the CLI's own messages that count here; their format is outside our protocol, so every step is looked
 * at.
 */
interface Message {
  readonly type?: unknown
  readonly parent_tool_use_id?: unknown
  readonly message?: { readonly model?: unknown; readonly content?: unknown }
}

function noteMessage(history: SessionHistory, { type, parent_tool_use_id: parent, message }: Message): void {
  if (type === 'assistant' && typeof parent !== 'string') {
    history.unfinished.clear()
    if (message?.model !== '<synthetic>') history.hasAnswer = true
  }
  if (type !== 'user' || !Array.isArray(message?.content)) return
  for (const block of message.content as Array<{ type?: unknown; tool_use_id?: unknown } | null>) {
    if (block?.type !== 'tool_result' || typeof block.tool_use_id !== 'string') continue
    history.finishedCalls.set(block.tool_use_id, typeof parent === 'string' ? parent : block.tool_use_id)
  }
}

/** A session that was given up and replaced by a new one had done nothing: only its messages keep their numbers. */
function forgetSession(history: SessionHistory): void {
  history.hasAnswer = false
  history.toolsStarted = 0
  history.finishedCalls.clear()
  history.openCalls.clear()
  history.lostTasks.clear()
}

const is = <Type extends Event['type']>(event: Event, type: Type): event is Event<Type> => event.type === type
const READ = new Set([
  'execution.started',
  'execution.budget_changed',
  'claude.message',
  'tool.started',
  'tool.finished',
  'tool.denied',
  'text.delta',
  'text.reset',
])

/**
 * Of one attempt: the tasks that lived at its last result and have not come to an end of their own since, and those
 * that live. What the service ended may be told as stopped on the way: between two turns, in which the model can stop
 * none. An older CLI has another turn about it before it exits, with a result of its own (seen: 2.1.197).
 */
function followTasks() {
  const observation = createObservation()
  const tasks = createBackgroundTasks(observation)
  let atResult = observation.liveTasks
  let isBetweenTurns = false
  const ended: BackgroundTask[] = []
  return {
    note(message: Readonly<Record<string, unknown>>): void {
      const before = observation.liveTasks
      if (message['type'] === 'result') {
        atResult = before
        isBetweenTurns = true
      } else if (beginsTurn(message)) isBetweenTurns = false
      for (const event of tasks.observe(String(message['type']), message)) {
        if (event.type !== 'background.finished') continue
        if (event.data.status !== 'stopped') atResult = atResult.filter(({ id }) => id !== event.data.id)
        else if (isBetweenTurns) ended.push(...before.filter(({ id }) => id === event.data.id))
      }
    },
    lost: () => [...ended, ...atResult, ...observation.liveTasks],
  }
}

const beginsTurn = ({ type, subtype, parent_tool_use_id: parent }: Readonly<Record<string, unknown>>): boolean =>
  type === 'system' ? subtype === 'init' : type === 'assistant' && typeof parent !== 'string'

/** Reads an execution's log from its beginning; what is kept of it is small. */
export async function readSessionHistory(log: EventLog, executionId: string): Promise<SessionHistory> {
  const history = createHistory()
  const { earlier } = history
  const notices = createNotices()
  let tasks = followTasks()
  const loseTasks = (): void => {
    for (const { id, kind, description } of tasks.lost()) history.lostTasks.set(id, `${kind} ${description}`)
    tasks = followTasks()
  }
  for (let after = 0; ;) {
    const { events, lastSeq } = await log.readAfter(executionId, after, PAGE_BYTES)
    for (const { type, bytes } of events) {
      if (!READ.has(type)) continue
      // Safe: our own worker wrote it.
      const event = JSON.parse(bytes.toString()) as Event
      if (is(event, 'claude.message')) {
        noteMessage(history, event.data.message)
        tasks.note(event.data.message)
        if (event.data.message['type'] === 'system') {
          noteSystemMessage(notices, event.data.message)
          if (typeof event.data.message['model'] === 'string') history.model = event.data.message['model']
        }
      } else if (is(event, 'execution.started')) {
        loseTasks()
        if (event.data.resumed !== true) forgetSession(history)
      } else if (is(event, 'text.delta') || is(event, 'text.reset')) {
        history.nextMessage = Math.max(history.nextMessage, event.data.message + 1)
        if (is(event, 'text.delta')) history.unfinished.add(event.data.message)
        else history.unfinished.delete(event.data.message)
      } else if (is(event, 'tool.started')) {
        history.toolsStarted += 1
        history.openCalls.set(event.data.toolUseId, { name: event.data.name, input: event.data.input })
      } else if (is(event, 'tool.denied')) {
        if (earlier.denials.length < DENIALS_KEPT) earlier.denials.push(event.data)
        earlier.denialCount += 1
      } else if (is(event, 'execution.budget_changed')) history.budgetChanges += 1
      else if (is(event, 'tool.finished')) history.openCalls.delete(event.data.toolUseId)
    }
    after = events.at(-1)?.seq ?? lastSeq
    if (after >= lastSeq) break
  }
  loseTasks()
  earlier.notices.push(...notices.sentences)
  return history
}
