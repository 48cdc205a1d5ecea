import * as z from 'zod'

export const RpcId = z.union([z.string(), z.number(), z.null()])
export type RpcId = z.infer<typeof RpcId>

/** One JSON-RPC 2.0 request; without `id` it is a notification, which is never answered. */
export const RpcRequest = z.object({
  jsonrpc: z.literal('2.0'),
  method: z.string(),
  // As it comes, of any size: each method looks at its own.
  params: z
    .custom<Record<string, unknown> | unknown[]>((value) => typeof value === 'object' && value !== null)
    .optional(),
  id: RpcId.optional(),
})
export type RpcRequest = z.infer<typeof RpcRequest>

export interface RpcError {
  readonly code: number
  readonly message: string
  readonly data?: unknown
}

export type RpcResponse =
  | { readonly jsonrpc: '2.0'; readonly id: RpcId; readonly result: unknown }
  | { readonly jsonrpc: '2.0'; readonly id: RpcId; readonly error: RpcError }

export interface RpcNotification {
  readonly jsonrpc: '2.0'
  readonly method: string
  readonly params: Record<string, unknown>
}

export const toRpcResult = (id: RpcId, result: unknown): RpcResponse => ({ jsonrpc: '2.0', id, result })
export const toRpcError = (id: RpcId, error: RpcError): RpcResponse => ({ jsonrpc: '2.0', id, error })
export const toRpcNotification = (method: string, params: Record<string, unknown>): RpcNotification => ({
  jsonrpc: '2.0',
  method,
  params,
})

/** The envelope of one event, cut around the event's own bytes, which are never parsed again. */
export function eventNotificationParts(subscriptionId: string, executionId: string): { before: string; after: string } {
  const ids = `"subscriptionId":${JSON.stringify(subscriptionId)},"executionId":${JSON.stringify(executionId)}`
  return {
    before: `{"jsonrpc":"2.0","method":"execution.event","params":{${ids},"event":`,
    after: '}}',
  }
}
