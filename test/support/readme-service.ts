import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { testEnvironment } from './environment.js'
import { ROOT } from './paths.js'
import { eventually } from './deadlines.js'

/** A service with the scripted model and an empty home, as `npm start -- --simulate` starts it, and what it printed. */
export async function openReadmeService(t: { teardown(release: () => Promise<void>): void }) {
  const home = await mkdtemp(join(tmpdir(), 'cce-readme-'))
  const { CC_EXECUTOR_DATA_DIR: _default, ...environment } = testEnvironment(home)
  const env = {
    ...environment,
    npm_config_offline: 'true',
    npm_config_progress: 'false',
    npm_config_update_notifier: 'false',
    XDG_CACHE_HOME: join(process.env['HOME'] ?? '/root', '.cache'),
    HOME: home,
  }
  const service = spawn(process.execPath, ['dist/src/main/cli.js', 'start', '--simulate'], {
    cwd: ROOT,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = eventually(service, 'exit')
  t.teardown(async () => {
    service.kill('SIGTERM')
    await exited
    await rm(home, { recursive: true, force: true })
  })
  let banner = ''
  for await (const line of createInterface({ input: service.stdout })) {
    banner += `${line}\n`
    if (line.includes('Ctrl-C')) break
  }
  const address = /address\s+http:\/\/(\S+)/.exec(banner)?.[1] ?? ''
  // The command line finds the service by its port, which is 8001 for the reader.
  return { home, banner, address, env: { ...env, CC_EXECUTOR_PORT: new URL(`http://${address}`).port } }
}
