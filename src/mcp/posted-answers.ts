import { randomUUID } from 'node:crypto'
import type { JSONRPCMessage } from '@modelcontextprotocol/server'
import * as z from 'zod'
import { readAnswer, type FormAnswer } from './ask-client.js'
import { askService, type ServiceAccess } from './service-access.js'
import { callDeadline } from './wait-and-report.js'

const PREFIX = 'approval:'
const ID = /^approval:([^:]{1,100}):/

const Answer = z.object({ action: z.string(), content: z.record(z.string(), z.unknown()).nullish() })

function toAnswer(message: JSONRPCMessage): FormAnswer | undefined {
  if (!('result' in message)) return undefined
  const { data } = Answer.safeParse(message.result)
  return data && { action: data.action, content: data.content ?? undefined }
}

/**
 * Answers to forms that went out on the stream of a call. Each comes as a request by itself, perhaps to another
 * process or after the call: then it is decided by the id that it answers, which names the approval.
 */
export class PostedAnswers {
  readonly #expected = new Map<string, { readonly callerId: string; settle(answer: FormAnswer | undefined): void }>()

  mintId(approvalId: string): string {
    return `${PREFIX}${approvalId}:${randomUUID()}`
  }

  /** undefined: the signal aborted, or the client answered with an error. */
  expect(id: string, callerId: string, signal: AbortSignal): Promise<FormAnswer | undefined> {
    return new Promise((resolve) => {
      const settle = (answer: FormAnswer | undefined): void => {
        this.#expected.delete(id)
        signal.removeEventListener('abort', leave)
        resolve(answer)
      }
      const leave = (): void => settle(undefined)
      if (signal.aborted) return resolve(undefined)
      signal.addEventListener('abort', leave, { once: true })
      this.#expected.set(id, { callerId, settle })
    })
  }

  /** @throws ClientError, ExecutorError where its caller may not decide, or it is too late */
  async accept(message: JSONRPCMessage, callerId: string, access: ServiceAccess): Promise<void> {
    const id = 'id' in message && typeof message.id === 'string' ? message.id : ''
    const expected = this.#expected.get(id)
    const answer = toAnswer(message)
    if (expected) {
      if (expected.callerId === callerId) expected.settle(answer)
      return
    }
    const [, approvalId] = ID.exec(id) ?? []
    if (approvalId === undefined || answer === undefined) return
    const approval = await askService(access, callDeadline(), (service) => service.approval(approvalId))
    const decision = readAnswer(approval, answer)
    if (decision) await askService(access, callDeadline(), (service) => service.decide(approvalId, decision))
  }
}
