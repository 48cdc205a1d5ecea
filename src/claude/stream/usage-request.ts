import { toRecord } from '../json-shape.js'

const REQUEST_ID = 'usage-so-far'

/** Asks for the sums of the session so far; both ends of the range answer it while a call waits for permission. */
export const USAGE_REQUEST = `${JSON.stringify({
  type: 'control_request',
  request_id: REQUEST_ID,
  request: { subtype: 'get_usage' },
})}\n`

/** The answer, in the form in which a `result` has it; undefined: another message. */
export function readSums(message: Readonly<Record<string, unknown>>): Record<string, unknown> | undefined {
  const response = toRecord(message['response'])
  if (message['type'] !== 'control_response' || response?.['request_id'] !== REQUEST_ID) return undefined
  const session = toRecord(toRecord(response['response'])?.['session'])
  return session && { total_cost_usd: session['total_cost_usd'], modelUsage: session['model_usage'] }
}
