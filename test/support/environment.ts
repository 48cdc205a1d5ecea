// Apart from service.ts: who starts processes need not load the whole service.
import { delimiter, join } from 'node:path'
import { FIXTURES } from './paths.js'

/** The cached CLI where none is on PATH, as set-up leaves it. */
export function testEnvironment(directory: string): NodeJS.ProcessEnv {
  const cacheBin = join(process.env['HOME'] ?? '/root', '.cache', 'cc-executor', 'bin')
  return {
    PATH: `${process.env['PATH'] ?? ''}${delimiter}${cacheBin}`,
    HOME: process.env['HOME'],
    ...(process.env['CC_EXECUTOR_CLAUDE_BIN'] && { CC_EXECUTOR_CLAUDE_BIN: process.env['CC_EXECUTOR_CLAUDE_BIN'] }),
    CC_EXECUTOR_DATA_DIR: join(directory, 'data'),
    // Scripted CLIs and tools of tests speak to their test by files beside the data folder.
    CC_EXECUTOR_SANDBOX_WRITE: directory,
    CC_EXECUTOR_SANDBOX_READ: FIXTURES,
    CC_EXECUTOR_HOST: '127.0.0.1',
    CC_EXECUTOR_PORT: '0',
    CC_EXECUTOR_DRAIN_SECONDS: '0',
    // A process beside those of its runs is for the tests that are about it.
    CC_EXECUTOR_STANDBY: '0',
    LOG_LEVEL: process.env['TEST_LOG_LEVEL'] ?? 'silent',
  }
}

/**
 * A command of the Bash tool that lasts until it is ended: the CLI refuses a bare `sleep` (2.1.332). The number, of any
 * digits, tells whose it is.
 */
export const lasting = (number: string | number = 300): string => `tail -f -s ${number} /dev/null`

/** A prompt that brings its own script for the simulated model. */
export const scripted = (...steps: unknown[]): string =>
  `Do as the script says.\n\n\`\`\`simulate\n${JSON.stringify(steps)}\n\`\`\`\n`
