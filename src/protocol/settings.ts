import * as z from 'zod'

export const Setting = z
  .object({
    name: z.string().meta({ description: 'The environment variable.', examples: ['CC_EXECUTOR_PORT'] }),
    value: z.string().nullable().meta({
      description: 'As it would be written; null: not set, and without a default. Of an address without its user.',
    }),
    isMasked: z.boolean().meta({ description: 'It is a secret: `value` is `***`.' }),
    origin: z.enum(['default', 'environment', 'file']).meta({
      description: '`file`: the one that `<name>_FILE` names. What `.env` says counts as `environment`.',
    }),
    description: z.string(),
  })
  .meta({ id: 'Setting' })
export type Setting = z.infer<typeof Setting>

export const Settings = z.object({ settings: z.array(Setting) }).meta({ id: 'Settings' })
export type Settings = z.infer<typeof Settings>
