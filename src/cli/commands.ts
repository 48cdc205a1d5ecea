import { toRunner, type Command } from './command.js'

/** Loaded by the one that is called: what some of them need takes longer to load than the others to answer. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  run: async () => (await import('./run.js')).run,
  tail: async () => (await import('./tail.js')).tail,
  list: async () => (await import('./list.js')).list,
  show: async () => (await import('./list.js')).show,
  result: async () => (await import('./result.js')).result,
  wait: async () => (await import('./wait.js')).wait,
  send: async () => (await import('./send.js')).send,
  cancel: async () => (await import('./steer.js')).cancel,
  pause: async () => (await import('./steer.js')).pause,
  resume: async () => (await import('./steer.js')).resume,
  approvals: async () => (await import('./approvals.js')).approvals,
  approve: async () => (await import('./approvals.js')).approve,
  deny: async () => (await import('./approvals.js')).deny,
  budget: async () => (await import('./budget.js')).budget,
  files: async () => (await import('./files.js')).files,
  patch: async () => (await import('./patch.js')).patch,
  undo: async () => (await import('./undo.js')).undo,
  worktrees: async () => (await import('./worktrees.js')).worktrees,
  workspaces: async () => (await import('./workspaces.js')).workspaces,
  receipt: async () => (await import('./receipt.js')).receipt,
  verify: async () => (await import('./verify.js')).verify,
  report: async () => (await import('./report.js')).report,
  schedule: async () => (await import('./schedule.js')).schedule,
  usage: async () => (await import('./usage.js')).usage,
  token: async () => (await import('./token.js')).token,
  tokens: async () => (await import('./tokens.js')).tokens,
  webhook: async () => (await import('./webhook.js')).webhook,
}
/** The column in which `cc-executor help` says what a command does. */
const COLUMN = 46

/** By name, for `src/main/program.ts`. */
export const CLI_COMMANDS: Readonly<Record<string, (args: string[]) => Promise<void>>> = Object.fromEntries(
  Object.entries(COMMANDS).map(([name, load]) => [name, async (args: string[]) => toRunner(await load())(args)]),
)

/** A line for each, as `cc-executor help` shows them. */
export async function describeCommands(): Promise<string> {
  const commands = await Promise.all(Object.values(COMMANDS).map((load) => load()))
  return commands.map(({ summary: [call, what] }) => `  ${call.padEnd(COLUMN)}${what}`).join('\n')
}
