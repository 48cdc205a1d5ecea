import type { Approval, ApprovalDecision, ApprovalFilters, ApprovalPage } from '../protocol/approvals.js'
import type { Rest, RestCall } from './rest.js'

interface CallOptions {
  readonly signal?: AbortSignal | undefined
}

/** What runs wait for; to decide needs the scope approve. */
export interface ApprovalCalls {
  /** By default those that are pending, newest first. */
  approvals(filters?: ApprovalFilters, options?: CallOptions): Promise<ApprovalPage>
  approval(id: string, options?: CallOptions): Promise<Approval>
  /** The first decision counts: APPROVAL_CLOSED, with `approval`, where somebody was faster. */
  decide(id: string, decision: ApprovalDecision, options?: CallOptions): Promise<Approval>
}

export function createApprovalCalls(rest: Rest): ApprovalCalls {
  // Safe: the service's own answers, in the shapes that the protocol publishes; fields that are new pass through.
  const ask = <Answer>(call: RestCall): Promise<Answer> => rest.json(call) as Promise<Answer>
  const at = (id: string): string => `/approvals/${encodeURIComponent(id)}`
  return {
    approvals: ({ status, ...filters } = {}, { signal } = {}) =>
      ask({ path: '/approvals', query: { ...filters, status: status?.join(',') }, signal }),
    approval: (id, { signal } = {}) => ask({ path: at(id), signal }),
    decide: (id, body, { signal } = {}) => ask({ method: 'POST', path: `${at(id)}/decision`, body, signal }),
  }
}
