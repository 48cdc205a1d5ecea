import type { PermissionMode } from '../../protocol/permission-mode.js'
import { toRecords, toText } from '../json-shape.js'

/** A change of permissions, as the CLI suggests it and takes it. */
export type PermissionUpdate = Readonly<Record<string, unknown>>

/** What people have allowed for the rest of an execution: a later attempt knows it by its command line only. */
export interface ApprovedPermissions {
  readonly rules: readonly string[]
  readonly directories: readonly string[]
  /** In place of the request's. */
  readonly mode?: PermissionMode | undefined
}

export const NOTHING_APPROVED: ApprovedPermissions = { rules: [], directories: [] }

/** As the CLI writes a permission rule. */
export const toRule = ({ toolName, ruleContent }: Readonly<Record<string, unknown>>): string =>
  typeof ruleContent === 'string' ? `${toText(toolName) ?? ''}(${ruleContent})` : (toText(toolName) ?? '')

/** `mode`: of the last plan that was allowed. */
export function toApprovedPermissions(
  updates: readonly PermissionUpdate[],
  mode: PermissionMode | undefined,
): ApprovedPermissions {
  const of = (type: string): readonly PermissionUpdate[] => updates.filter((update) => update['type'] === type)
  return {
    rules: of('addRules').flatMap(({ rules }) => toRecords(rules).map(toRule)),
    directories: of('addDirectories').flatMap(({ directories }) =>
      Array.isArray(directories) ? directories.map(String) : [],
    ),
    mode: of('setMode').some((update) => update['mode'] === 'acceptEdits') ? 'acceptEdits' : mode,
  }
}
