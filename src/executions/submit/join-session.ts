import { resolve } from 'node:path'
import type { Config } from '../../platform/config.js'
import { ExecutorError, toInvalidRequest } from '../../protocol/errors.js'
import type { SessionRequest } from '../../protocol/session.js'
import type { SessionRefusal, WantedSession } from '../store/transitions.js'
import { fromWorkspaceRoot, normalizeWorkspace } from '../workspaces/workspace-name.js'

/** `workspace` beside a session is not needed; where it is given it must be the session's own. */
export function toWantedSession(
  { resume, fork = false }: SessionRequest,
  workspace: string | undefined,
  config: Pick<Config, 'workspaceRoot'>,
): WantedSession {
  return {
    reference: resume,
    fork,
    workspaceRoot: resolve(config.workspaceRoot),
    workspace: workspace === undefined ? undefined : fromWorkspaceRoot(normalizeWorkspace(workspace), config),
  }
}

/** What a scripted model has said is nothing for Claude to go on with, nor the other way round. */
export const otherModel = (simulated: boolean): string =>
  simulated
    ? 'this conversation was held with Claude itself, but here a scripted model answers (--simulate), ' +
      'which does not know the conversation.'
    : 'this conversation was held with a scripted model (--simulate), but here Claude itself answers; ' +
      'submit the whole task without session.'

/** Nobody is told more of what is another token's than that it is not theirs. */
export const notOwned = (workspace: string): ExecutorError =>
  new ExecutorError('WORKSPACE_NOT_FOUND', {
    detail:
      `workspace: ${JSON.stringify(workspace.slice(0, 200))} is, contains or is inside a workspace of ` +
      'another token; choose another name, or ask the operator to share it (CC_EXECUTOR_SHARED_WORKSPACES).',
    errors: [{ path: 'workspace', message: 'belongs to another token' }],
  })

/** Why a session could not be joined. */
export function toSessionError({ why, detail }: SessionRefusal, { reference, fork }: WantedSession): ExecutorError {
  const named = reference.slice(0, 100)
  switch (why) {
    case 'unknown':
      return new ExecutorError('SESSION_NOT_FOUND', {
        detail: `session.resume: there is no execution or Claude session ${named}, or it was deleted.`,
      })
    case 'unstarted':
      return new ExecutorError('SESSION_NOT_FOUND', {
        detail: `session.resume: the execution ${named} ended before it was started, so it has no session.`,
      })
    case 'list':
      return new ExecutorError('SESSION_NOT_FOUND', {
        detail:
          `session.resume: ${named} is a task list, which has no session; each of its tasks has one: give the ` +
          'id of a task.',
      })
    case 'other_model':
      return new ExecutorError('SESSION_NOT_FOUND', { detail: `session.resume: ${otherModel(detail === '1')}` })
    case 'busy':
      return new ExecutorError('SESSION_BUSY', {
        detail:
          `session.resume: ${fork ? 'this session can be forked' : 'this session can continue'} when the ` +
          `execution ${detail} ` +
          `${fork ? 'has ended' : 'has ended (or, where that one is a fork of it, has begun)'}; wait for ` +
          'it, or cancel it.',
      })
    case 'not_owned':
      return notOwned(detail)
    case 'elsewhere':
      return toInvalidRequest([
        {
          path: 'workspace',
          message: `the session continues in its workspace, ${JSON.stringify(detail)}; omit workspace`,
        },
      ])
  }
}
