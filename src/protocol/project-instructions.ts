import * as z from 'zod'

/** What of a workspace's own words to Claude counts in a run. */
export const ProjectInstructions = z
  .object({
    read: z.array(z.string()).meta({ description: 'Files that reached the model as text.' }),
    notRead: z.array(z.string()).meta({
      description:
        'What the workspace has besides, and the run does not obey: skills, commands, agents, rules, settings with ' +
        'their hooks, and MCP servers (CC_EXECUTOR_TRUST_WORKSPACES); CLAUDE.md with `projectInstructions: false`.',
    }),
  })
  .meta({ id: 'ProjectInstructions' })
export type ProjectInstructions = z.infer<typeof ProjectInstructions>
