// Frames by the OpenRPC document: calls, batches and texts that are nearly so.
import * as fc from 'fast-check'
import type { Arbitrary } from 'fast-check'
import { toObjects, toValues, type Schema } from './from-schema.js'
import { bodyTexts, nearMisses, toText } from './mutations.js'
import type { FuzzScene } from './scene.js'

export interface OpenRpc {
  readonly methods: readonly {
    readonly name: string
    readonly 'x-params': Schema
    readonly errors: readonly { readonly $ref: string }[]
  }[]
  readonly 'x-notifications': readonly { readonly name: string }[]
  readonly components: { readonly errors: Readonly<Record<string, { readonly code: number }>> }
}

const SPARSE = 14
const ODD_IDS: readonly unknown[] = [null, '', 'é', 0, -1, 1.5, 2 ** 53, 1e300, '__proto__', 'x'.repeat(5_000)]
const WRONG_IDS: readonly unknown[] = [true, {}, [], [1]]

function toParams(document: OpenRpc, method: OpenRpc['methods'][number], scene: FuzzScene): Arbitrary<unknown> {
  const { name, 'x-params': schema } = method
  if (name === 'execute') {
    const { prompt: _prompt, command: _command, tasks: _tasks, ...properties } = schema.properties ?? {}
    return fc
      .tuple(toObjects(document, { properties }, SPARSE), fc.constantFrom('prompt', 'tasks'))
      .map(([more, what]) => ({ subscribe: false, ...more, [what]: what === 'prompt' ? 'Say hello' : ['Say hello'] }))
  }
  // What runs holds the only slot.
  const ids = name === 'execution.cancel' ? scene.ids.filter((id) => id !== scene.running) : scene.ids
  if (schema.properties?.['executionId'])
    return fc
      .tuple(toObjects(document, schema), fc.constantFrom(...ids))
      .map(([more, executionId]) => ({ ...more, executionId }))
  if (schema.properties?.['subscriptionId']) return fc.constantFrom('sub-1', 'sub-2', 'sub-9999').map(toSubscription)
  return toValues(document, schema)
}
const toSubscription = (subscriptionId: string): unknown => ({ subscriptionId })

function toCalls(document: OpenRpc, scene: FuzzScene): Arbitrary<unknown> {
  return fc.constantFrom(...document.methods).chain((method) => {
    const params = toParams(document, method, scene)
    return fc
      .record(
        {
          jsonrpc: fc.constant('2.0'),
          method: fc.constant(method.name),
          params: fc.oneof({ arbitrary: params, weight: 3 }, { arbitrary: nearMisses(params, scene.ids), weight: 5 }),
          id: fc.oneof(
            { arbitrary: fc.integer({ min: 1, max: 1_000 }), weight: 12 },
            { arbitrary: fc.constantFrom(...ODD_IDS), weight: 2 },
            { arbitrary: fc.constantFrom(...WRONG_IDS), weight: 1 },
          ),
        },
        { requiredKeys: ['jsonrpc', 'method', 'id'] },
      )
      .chain((call) =>
        fc.oneof(
          { arbitrary: fc.constant(call as unknown), weight: 16 },
          { arbitrary: fc.constant({ ...call, id: undefined }), weight: 2 },
          { arbitrary: fc.constant({ ...call, extra: 1 }), weight: 1 },
          { arbitrary: nearMisses(fc.constant(call), scene.ids), weight: 3 },
        ),
      )
  })
}

export function rpcFrames(document: OpenRpc, scene: FuzzScene): Arbitrary<string> {
  const calls = toCalls(document, scene)
  return fc.oneof(
    { arbitrary: calls.map(toText), weight: 10 },
    { arbitrary: fc.array(calls, { maxLength: 4 }).map(toText), weight: 2 },
    { arbitrary: bodyTexts(calls, scene.ids), weight: 2 },
  )
}
