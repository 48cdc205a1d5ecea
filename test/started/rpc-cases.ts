// One call for every result and error that rpc.schema.json documents; what has no case fails the walk.
import type { ErrorCode } from '../../src/protocol/errors.js'
import type { Phase } from './rest-cases.js'
import { NOBODY, OWNED, type Scene } from './scene.js'
import { SUBSCRIPTION_LIMIT, type TokenName } from './started-service.js'

export interface RpcCall {
  readonly method: string
  readonly params: Record<string, unknown>
}

export interface RpcRequest {
  readonly params: Record<string, unknown>
  readonly as?: TokenName
  /** Called before, on the same connection. */
  readonly before?: readonly RpcCall[]
}

export interface RpcCase {
  readonly make: (scene: Scene) => RpcRequest | Promise<RpcRequest>
  readonly phase?: Phase
}

export interface RpcMethod {
  /** Valid params that change nothing that others need. */
  readonly base: (scene: Scene) => Record<string, unknown>
  readonly scope: 'read' | 'execute' | 'approve'
  /** `result`, or the code of an error. */
  readonly cases: Readonly<Record<string, RpcCase>>
}

/** As many as an execution may have by default. */
const OPEN_MESSAGES = 200

const target = (
  method: RpcMethod['scope'],
  result: (scene: Scene) => Promise<string> | string,
  cases: RpcMethod['cases'] = {},
): RpcMethod => ({
  base: ({ kept }) => ({ executionId: kept }),
  scope: method,
  cases: { result: { make: async (scene) => ({ params: { executionId: await result(scene) } }) }, ...cases },
})
const none = (): RpcMethod => ({ base: () => ({}), scope: 'read', cases: { result: { make: () => ({ params: {} }) } } })
const filled = (scene: Scene): RpcCall[] =>
  Array.from({ length: SUBSCRIPTION_LIMIT }, () => ({
    method: 'execution.subscribe',
    params: { executionId: scene.running },
  }))
const ofExecution = (id: (scene: Scene) => string): RpcCase => ({
  make: (scene) => ({ params: { executionId: id(scene) } }),
})
const steered: RpcMethod['cases'] = {
  ALREADY_FINISHED: ofExecution(({ kept }) => kept),
  NOT_RUNNING: ofExecution(({ queued }) => queued),
}

const ofBudget = (id: (scene: Scene) => string | Promise<string>, as?: TokenName): RpcCase => ({
  make: async (scene) => ({ as, params: { executionId: await id(scene), maxBudgetTokens: 1_500 } }),
})

const asked = (more: (scene: Scene) => Record<string, unknown>): RpcCase => ({
  make: (scene) => ({ params: { prompt: 'Say hello', workspace: scene.workspace, subscribe: false, ...more(scene) } }),
})

const text = 'And now?'
const sending: RpcMethod = {
  base: ({ kept }) => ({ executionId: kept, text }),
  scope: 'execute',
  cases: {
    result: { make: ({ queued }) => ({ params: { executionId: queued, text } }) },
    EXECUTION_NOT_FOUND: { make: () => ({ params: { executionId: NOBODY, text } }) },
    SESSION_NOT_FOUND: {
      make: ({ neverStarted }) => ({ params: { executionId: neverStarted, text, delivery: 'follow_up' } }),
    },
    NOT_RUNNING: {
      make: async ({ submit, workspace }) => ({
        params: { executionId: await submit({ tasks: ['one'], workspace }), text },
      }),
    },
    PAYLOAD_TOO_LARGE: {
      make: ({ queued }) => ({ params: { executionId: queued, text: 'x'.repeat(4 * 1024 * 1024 + 1) } }),
    },
    IDEMPOTENCY_CONFLICT: {
      make: ({ queued }) => ({
        before: [{ method: 'message.send', params: { executionId: queued, text, idempotencyKey: 'walked by rpc' } }],
        params: { executionId: queued, text: 'another', idempotencyKey: 'walked by rpc' },
      }),
    },
    BUDGET_EXCEEDED: {
      make: ({ spent }) => ({ as: 'poor', params: { executionId: spent, text, delivery: 'follow_up' } }),
    },
    RATE_LIMITED: {
      make: async (scene) => {
        const executionId = await scene.waits()
        const send = { method: 'message.send', params: { executionId, text } }
        return { before: Array.from({ length: OPEN_MESSAGES }, () => send), params: send.params }
      },
    },
    QUEUE_FULL: {
      phase: 'full',
      make: async (scene) => {
        await scene.fillQueue()
        return { params: { executionId: scene.kept, text, delivery: 'follow_up' } }
      },
    },
  },
}

export const RPC_METHODS: Readonly<Record<string, RpcMethod>> = {
  execute: {
    base: ({ workspace }) => ({ prompt: 'Say hello', workspace, subscribe: false }),
    scope: 'execute',
    cases: {
      result: { make: ({ workspace }) => ({ params: { prompt: 'Say hello', workspace } }) },
      REPOSITORY_NOT_ALLOWED: {
        make: () => ({ params: { prompt: 'x', repository: { url: 'https://localhost/not/listed' } } }),
      },
      COMMAND_NOT_ALLOWED: { make: () => ({ params: { command: 'rm -rf /' } }) },
      WORKSPACE_NOT_FOUND: { make: () => ({ as: 'other', params: { prompt: 'x', workspace: OWNED } }) },
      SESSION_NOT_FOUND: { make: () => ({ params: { prompt: 'x', session: { resume: NOBODY } } }) },
      SESSION_BUSY: { make: ({ running }) => ({ params: { prompt: 'x', session: { resume: running } } }) },
      WEBHOOK_NOT_FOUND: { make: () => ({ params: { prompt: 'x', webhooks: ['whk_nothing'] } }) },
      PAYLOAD_TOO_LARGE: asked(() => ({ prompt: 'x'.repeat(4 * 1024 * 1024 + 1) })),
      IDEMPOTENCY_CONFLICT: {
        make: ({ workspace, key }) => ({
          before: [
            {
              method: 'execute',
              params: { prompt: 'the first', workspace, idempotencyKey: `${key}/ws`, subscribe: false },
            },
          ],
          params: { prompt: 'another', workspace, idempotencyKey: `${key}/ws`, subscribe: false },
        }),
      },
      BUDGET_EXCEEDED: { make: () => ({ as: 'poor', params: { prompt: 'x', maxBudgetTokens: 1_000 } }) },
      SUBSCRIPTION_LIMIT: { make: (scene) => ({ before: filled(scene), params: { prompt: 'x' } }) },
      QUEUE_FULL: {
        phase: 'full',
        make: async (scene) => {
          await scene.fillQueue()
          return { params: { prompt: 'x', workspace: scene.workspace, subscribe: false } }
        },
      },
      EXECUTION_NOT_FOUND: {
        phase: 'forgotten',
        make: async (scene) => {
          await scene.untilForgotten()
          return { params: { prompt: 'forgotten soon', idempotencyKey: scene.forgottenKey, subscribe: false } }
        },
      },
    },
  },
  'execution.get': target('read', ({ kept }) => kept),
  'execution.list': {
    base: () => ({ limit: 2 }),
    scope: 'read',
    cases: {
      result: { make: () => ({ params: { limit: 2 } }) },
      EXECUTION_NOT_FOUND: { make: () => ({ params: { parentId: NOBODY } }) },
    },
  },
  'execution.cancel': target('execute', (scene) => scene.waits()),
  'execution.pause': target('execute', ({ running }) => running, steered),
  'execution.resume': target('execute', ({ running }) => running, steered),
  'message.send': sending,
  'message.list': target('read', ({ kept }) => kept),
  'execution.budget': {
    base: ({ kept }) => ({ executionId: kept, maxBudgetTokens: 1_500 }),
    scope: 'execute',
    cases: {
      result: ofBudget((scene) => scene.waits()),
      EXECUTION_NOT_FOUND: ofBudget(() => NOBODY),
      ALREADY_FINISHED: ofBudget(({ kept }) => kept),
      NOT_RUNNING: ofBudget(({ list }) => list),
      BUDGET_EXCEEDED: ofBudget(({ tight }) => tight, 'tight'),
    },
  },
  'execution.subscribe': target('read', ({ kept }) => kept, {
    SUBSCRIPTION_LIMIT: { make: (scene) => ({ before: filled(scene), params: { executionId: scene.running } }) },
  }),
  'execution.unsubscribe': {
    base: () => ({ subscriptionId: 'sub-1' }),
    scope: 'read',
    cases: {
      result: { make: (scene) => ({ before: filled(scene).slice(0, 1), params: { subscriptionId: 'sub-1' } }) },
      SUBSCRIPTION_NOT_FOUND: { make: () => ({ params: { subscriptionId: 'sub-77' } }) },
    },
  },
  'approval.list': {
    base: () => ({ limit: 2 }),
    scope: 'read',
    cases: {
      result: { make: () => ({ params: { status: ['pending', 'denied'] } }) },
      EXECUTION_NOT_FOUND: ofExecution(() => NOBODY),
    },
  },
  'approval.get': {
    base: () => ({ approvalId: NOBODY }),
    scope: 'read',
    cases: {
      result: { make: async (scene) => ({ params: { approvalId: await scene.asks() } }) },
      APPROVAL_NOT_FOUND: { make: () => ({ params: { approvalId: NOBODY } }) },
    },
  },
  'approval.decide': {
    base: () => ({ approvalId: NOBODY, decision: 'deny' }),
    scope: 'approve',
    cases: {
      result: {
        make: async (scene) => ({
          params: { approvalId: await scene.asks(), decision: 'deny', message: 'walked' },
        }),
      },
      APPROVAL_NOT_FOUND: { make: () => ({ params: { approvalId: NOBODY, decision: 'deny' } }) },
      APPROVAL_CLOSED: {
        make: async (scene) => ({
          before: [
            {
              method: 'approval.decide',
              params: { approvalId: await scene.asks(), decision: 'deny', message: 'walked' },
            },
          ],
          params: { approvalId: await scene.asks(), decision: 'allow' },
        }),
      },
    },
  },
  'queue.get': none(),
  'health.get': none(),
  'rpc.discover': none(),
}

export const COMMON_RPC_CASES: { readonly [Code in ErrorCode]?: (method: RpcMethod) => RpcCase } = {
  INVALID_REQUEST: ({ base }) => ({ make: (scene) => ({ params: { ...base(scene), nobodyKnowsThis: true } }) }),
  FORBIDDEN: ({ base, scope }) => ({
    make: (scene) => ({ as: scope === 'execute' ? 'reader' : 'runner', params: base(scene) }),
  }),
  EXECUTION_NOT_FOUND: () => ({ make: () => ({ params: { executionId: NOBODY } }) }),
  STORE_UNAVAILABLE: ({ base }) => ({ phase: 'down', make: (scene) => ({ params: base(scene) }) }),
}

/** Texts that are no call, with the code that answers each. */
export const BROKEN_FRAMES: Readonly<Record<string, string>> = {
  PARSE_ERROR: '{"jsonrpc":',
  INVALID_ENVELOPE: '{"jsonrpc":"1.0","id":1,"method":"queue.get"}',
  METHOD_NOT_FOUND: '{"jsonrpc":"2.0","id":1,"method":"no.such"}',
}
/** A fault of ours: no request asks for it. */
export const NOT_PRODUCED: readonly string[] = ['INTERNAL']
