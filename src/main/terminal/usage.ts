import { describeCommands } from '../../cli/commands.js'
import { VERSION } from '../../platform/version.js'

export const readUsage = async (): Promise<string> => `cc-executor ${VERSION}: runs Claude Code in the background.

Usage: cc-executor <command>

  start [--simulate] [--open] [--root DIR]...   API, worker and, without REDIS_URL, a private Redis
  api                                           an API process; requires REDIS_URL
  worker                                        a worker process; requires REDIS_URL
  mcp [--simulate] [--print-config]             tools for an MCP client, on standard input and output
  config                                        every setting, its value and where it comes from
  doctor [--simulate] [--json]                  checks this machine and suggests fixes

${await describeCommands()}

Every command accepts --help. Settings are environment variables; cc-executor config lists them.`

/** The whole of it for the processes; the other commands bring their own. */
export const PROCESS_USAGE: Readonly<Record<string, string>> = {
  start: `Usage: cc-executor start [flags]                (npm start -- [flags])

Runs API, worker and, without REDIS_URL, a private Redis, until Ctrl-C; running executions then get CC_EXECUTOR_DRAIN_SECONDS.
Reads .env in the current folder.

  --simulate                      a scripted model answers, not Claude: costs nothing, needs no account
                                  it plays "Write hello.py", or the script of a prompt (src/simulator/README.md)
  --open                          no token is required, on this machine only (CC_EXECUTOR_AUTH=open)
  --root DIR                      a folder in which a request may name an absolute workspace (repeatable)
  --on-demand                     exits after CC_EXECUTOR_IDLE_SECONDS without use; mcp starts it this way`,
  api: `Usage: cc-executor api

An API process: REST, WebSocket and event streams. It shares only Redis (REDIS_URL, required) with other API
processes and with workers. Settings are environment variables; cc-executor config lists them.`,
  worker: `Usage: cc-executor worker

A worker process: runs the executions. It shares only Redis (REDIS_URL, required) with the API and other workers.
Settings are environment variables; cc-executor config lists them.`,
  mcp: `Usage: cc-executor mcp [flags]

An MCP server on standard input and output, for Claude Desktop, Claude Code and others. It uses the running service
(CC_EXECUTOR_URL, else the one of the data folder), or starts one, which exits when idle.

  --simulate                      the service that it starts uses a scripted model
  --print-config                  prints the configuration for a client, and exits`,
  config: `Usage: cc-executor config

Every setting, its value and where it comes from. Tokens and passwords are not shown.`,
  doctor: `Usage: cc-executor doctor [flags]

Checks this machine and prints one line per check, with a fix for each problem. Exit code: 0, or 1 if a check
failed; a warning is not a failure.

  --simulate                      no credentials are required
  --json                          {ok, findings} for programs`,
}
