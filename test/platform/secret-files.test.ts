// Secrets that stand in files: read into the settings, and never shown.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { describeMcpConfig } from '../../src/main/terminal/print-mcp-config.js'
import { readConfig } from '../../src/platform/config.js'
import { describeConfig } from '../../src/platform/describe-config.js'
import { SECRET_NAMES, withSecretFiles } from '../../src/platform/secret-files.js'

void t.test('each secret may stand in a file', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'cce-secrets-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'secret')
  const empty = join(folder, 'empty')
  await writeFile(empty, '\n')
  for (const name of SECRET_NAMES) {
    const secret = name === 'REDIS_URL' ? 'redis://u:secret-0123456789abcdef@host' : 'name=secret-0123456789abcdef'
    await writeFile(path, `${secret}\n`)
    const config = readConfig({ HOME: folder, [`${name}_FILE`]: path })
    t.equal(config.environment[name], secret, name)
    t.notOk(config.environment[`${name}_FILE`], 'and no run is told where')
    t.same(config.secretFiles, [{ path, setting: `${name}_FILE` }])
    t.same(withSecretFiles(config), { HOME: folder, [`${name}_FILE`]: path }, 'a service of its own reads it itself')
    const { text, notes } = describeMcpConfig(withSecretFiles(config), [])
    t.match(text, `"${name}_FILE": ${JSON.stringify(path)}`, 'as one does that an MCP client starts')
    t.same(notes, [])
    const settings = describeConfig(config)
    t.notMatch(JSON.stringify(settings), 'secret-0123456789abcdef')
    for (const setting of settings) t.equal(setting.origin, setting.name === name ? 'file' : 'default', setting.name)
    for (const [wrong, message] of [
      [{ [`${name}_FILE`]: path, [name]: 'x' }, new RegExp(`^${name}_FILE: ${name} is set as well`)],
      [{ [`${name}_FILE`]: 'secret' }, new RegExp(`^${name}_FILE: expected an absolute path`)],
      [{ [`${name}_FILE`]: empty }, new RegExp(`^${name}_FILE: .* is empty`)],
      [{ [`${name}_FILE`]: folder }, new RegExp(`^${name}_FILE: .* cannot be read \\(EISDIR\\)`)],
    ] as const)
      t.throws(() => readConfig({ HOME: folder, ...wrong }), { name: 'ConfigError', message })
  }
  t.same(readConfig({ HOME: folder }).secretFiles, [])
})

void t.test('whatever is a secret by its name, and is passed on to a container, has a file', async (t) => {
  const { services } = parse(await readFile('deployment/compose.yaml', 'utf8'), { merge: true }) as {
    services: Record<string, { environment?: Record<string, string | null> }>
  }
  const passed = Object.values(services).flatMap(({ environment = {} }) => Object.keys(environment))
  const secrets = passed.filter((name) => /(?:KEY|TOKENS?|SECRET|PASSWORD|HEADERS|_URL|_PROXY)$/.test(name))
  // What is asked for without proof, and files by nature.
  const others =
    /^(?:ANTHROPIC_BASE_URL|CC_EXECUTOR_LOGIN_TOKEN_URL|CC_EXECUTOR_REDIS_KEY|CC_EXECUTOR_MAX_BUDGET_TOKENS|CC_EXECUTOR_DAILY_BUDGET_TOKENS|CC_EXECUTOR_MAX_TOKENS|CC_EXECUTOR_MAX_SCHEDULES_PER_TOKEN|NO_PROXY)$/
  t.same(
    secrets.filter((name) => !others.test(name) && !(SECRET_NAMES as readonly string[]).includes(name)),
    [],
  )
  t.same(
    [...new Set(passed.filter((name) => name.endsWith('_FILE')))].sort(),
    // The address of Redis is the file's own: whoever has another one says so in an override.
    [
      ...SECRET_NAMES.filter((name) => name !== 'REDIS_URL'),
      'CC_EXECUTOR_REDIS_PASSWORD',
      'CC_EXECUTOR_CREDENTIALS',
      'CC_EXECUTOR_GIT_CREDENTIALS',
    ]
      .map((name) => `${name}_FILE`)
      .sort(),
  )
})
