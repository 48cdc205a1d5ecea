import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isConsoleBuilt } from '../../../routes/console.js'
import { findClaude } from '../../claude/install/find-claude.js'
import { ownCommand } from '../../platform/own-command.js'
import { quoteForShell } from '../../platform/shell-quote.js'
import { findFileLack, readLimits } from '../lifecycle/open-files.js'
import { tellSandboxes } from '../lifecycle/require-containment.js'
import type { Started } from '../lifecycle/started.js'

const row = (name: string, text: string): string => `  ${name.padEnd(12)}${text}\n`

/** The first thing to read where nothing can run: one command that works on this machine. */
async function toLack({ config, worker: { authentication } }: Started): Promise<string> {
  if (authentication.method !== 'none') return ''
  const { claudeBin: explicit, cacheBin, environment } = config
  const claude = await findClaude({
    explicit,
    path: environment['PATH'] ?? '',
    cacheBin: join(cacheBin, 'claude'),
  })
  const remedy =
    claude === undefined
      ? (authentication.remedy ?? '')
      : `Run:\n\n  ${quoteForShell(claude)} setup-token\n\nand start again with CLAUDE_CODE_OAUTH_TOKEN set to what it prints, or with ANTHROPIC_API_KEY.`
  return `\nClaude has no credentials, so every execution fails. ${remedy}\n`
}

/** What a person needs to know after a start: where it is, how to call it, who pays, what a run may do. */
export async function describeStart(
  started: Started,
  limits = readLimits(),
  hasConsole = isConsoleBuilt(),
): Promise<string> {
  const { config, api, worker, redis } = started
  const command = ownCommand(config.environment)
  const { hooks } = worker
  const isOpen = config.auth === 'open'
  // Tokens of CC_EXECUTOR_TOKENS are in no file, and are not shown.
  const isInFile = existsSync(config.tokenFile)
  const header = isOpen
    ? ''
    : ` -H "Authorization: Bearer ${isInFile ? `$(cat ${quoteForShell(config.tokenFile)})` : '$TOKEN'}"`
  const { authentication, claude, containment } = worker
  const admitted = [
    ...(config.allowBypassPermissions ? ['bypassPermissions'] : []),
    ...(config.allowAutoPermissions ? ['auto'] : []),
  ]
  const lack = findFileLack(config, limits)
  return [
    await toLack(started),
    '\nCC Executor is running.\n\n',
    row('address', api.url),
    row('console', hasConsole ? `${api.url}/console` : 'not built here; npm run build makes it'),
    row('docs', `${api.url}/docs`),
    row(
      'try it',
      `curl -N ${api.url}/execute${header} -H 'Content-Type: application/json' -H 'Accept: text/event-stream' -d '{"prompt":"Say hello"}'`,
    ),
    row('command', `${command} help`),
    row(
      'token',
      isOpen
        ? 'none needed (open, on this machine only)'
        : isInFile
          ? `in ${config.tokenFile}`
          : 'one of CC_EXECUTOR_TOKENS',
    ),
    row('claude', claude.message),
    row(
      'credentials',
      `${authentication.message}${authentication.remedy === undefined ? '' : ` ${authentication.remedy}`}`,
    ),
    row(
      'permissions',
      [
        worker.permissionMode,
        ...(config.allowedTools.length > 0 ? [`and ${config.allowedTools.join(', ')}`] : []),
      ].join(', ') + (admitted.length > 0 ? ` (admitted: ${admitted.join(', ')})` : ''),
    ),
    row('containment', `${containment.level}: ${containment.detail}`),
    row('sandbox', tellSandboxes(containment.sandboxes ?? [])),
    row('workspaces', [config.workspaceRoot, ...config.allowedRoots].join(', ')),
    row(
      'projects',
      config.trustWorkspaces
        ? 'trusted: their settings, hooks, MCP servers, skills, commands and agents count'
        : 'their CLAUDE.md reaches the model; their skills, commands, agents, hooks and MCP servers do not',
    ),
    row(
      'hooks',
      hooks === undefined || hooks.configured.length === 0
        ? `none (${config.hooksFile} does not exist)`
        : `${hooks.configured.join(', ')} (${hooks.path})`,
    ),
    row('mcp', `${command} mcp --print-config prints the configuration for Claude Desktop, Claude Code and others`),
    row('redis', redis === 'embedded' ? `private, in ${config.dataDir}/redis` : 'REDIS_URL'),
    ...(lack === undefined ? [] : [row('open files', `${lack.message}; ${lack.remedy}`)]),
    ...(authentication.method === 'simulated' ? ['\n  simulated: a scripted model answers, not Claude.\n'] : []),
    '\n  Ctrl-C stops it.\n\n',
  ].join('')
}

export async function printBanner(started: Started): Promise<void> {
  process.stdout.write(await describeStart(started))
  // Shown once, and only to a person: a log file is no place for it.
  if (started.api.tokenCreated && process.stdout.isTTY)
    process.stdout.write(row('first token', (await readFile(started.config.tokenFile, 'utf8')).trim()))
}
