import { CLI_USAGE } from '../../cli/commands.js'
import { VERSION } from '../../platform/version.js'

export const USAGE = `cc-executor ${VERSION}: runs Claude Code for you while you look away.

Usage: cc-executor <command>

  start [--simulate] [--open] [--root DIR]...   API, worker and, without REDIS_URL, a private Redis
  api                                           an API process; requires REDIS_URL
  worker                                        a worker process; requires REDIS_URL
  mcp [--simulate] [--print-config]             tools for an MCP client, on standard input and output
  config                                        every setting, its value and where it comes from
  doctor [--simulate] [--json]                  what is wrong with this machine, and the remedy

${CLI_USAGE}

Every command accepts --help. Settings are environment variables; cc-executor config lists them.`

/** The whole of it for the processes; the other commands bring their own. */
export const PROCESS_USAGE: Readonly<Record<string, string>> = {
  start: `Usage: cc-executor start [flags]                (npm start -- [flags])

Runs API, worker and, without REDIS_URL, a private Redis, until Ctrl-C; what runs then gets CC_EXECUTOR_DRAIN_SECONDS.
Reads .env where it is started.

  --simulate                      a scripted model answers, not Claude: costs nothing, needs no account
                                  it plays "Write hello.py", or the script of a prompt (src/simulator/README.md)
  --open                          no token is needed, on this machine only (CC_EXECUTOR_AUTH=open)
  --root DIR                      a folder in which a request may name an absolute workspace (repeatable)
  --on-demand                     ends when nobody has been there for CC_EXECUTOR_IDLE_SECONDS, as mcp starts it`,
  api: `Usage: cc-executor api

An API process: REST, WebSocket and event streams. It shares only Redis (REDIS_URL, required) with others of its kind
and with workers. Settings are environment variables; cc-executor config lists them.`,
  worker: `Usage: cc-executor worker

A worker process: runs the executions. It shares only Redis (REDIS_URL, required) with the API and other workers.
Settings are environment variables; cc-executor config lists them.`,
  mcp: `Usage: cc-executor mcp [flags]

An MCP server on standard input and output, for Claude Desktop, Claude Code and others. It joins the service that runs
(CC_EXECUTOR_URL, else the one of the data folder), or starts one, which ends by itself when idle.

  --simulate                      the service that it starts has a scripted model
  --print-config                  prints what to write into a client, and ends`,
  config: `Usage: cc-executor config

Every setting, its value and where it comes from. Tokens and passwords are not shown.`,
  doctor: `Usage: cc-executor doctor [flags]

Looks at this machine and says in one line each what is well and what is not, with the remedy. Exit code: 0, or 1 when
something has failed; a warning is no failure.

  --simulate                      no credentials are wanted
  --json                          {ok, findings} for programs`,
}
