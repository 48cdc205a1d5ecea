import * as z from 'zod'

export const PermissionMode = z
  .enum(['default', 'manual', 'acceptEdits', 'plan', 'dontAsk', 'auto', 'bypassPermissions'])
  .meta({ id: 'PermissionMode' })
export type PermissionMode = z.infer<typeof PermissionMode>
