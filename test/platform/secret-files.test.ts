// Secrets that stand in files: read into the settings, and never shown.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { readConfig } from '../../src/platform/config.js'
import { describeConfig } from '../../src/platform/describe-config.js'
import { SECRET_NAMES } from '../../src/platform/secret-files.js'

void t.test('each secret may stand in a file', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'cce-secrets-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'secret')
  await writeFile(path, 'name=secret-0123456789abcdef\n')
  for (const name of SECRET_NAMES) {
    const config = readConfig({ HOME: folder, [`${name}_FILE`]: path })
    t.equal(config.environment[name], 'name=secret-0123456789abcdef', name)
    t.same(config.secretFiles, [{ path, setting: `${name}_FILE` }])
    t.notMatch(JSON.stringify(describeConfig(config)), 'secret-0123456789abcdef')
    for (const [wrong, message] of [
      [{ [`${name}_FILE`]: path, [name]: 'x' }, new RegExp(`^${name}_FILE: ${name} is set as well`)],
      [{ [`${name}_FILE`]: 'secret' }, new RegExp(`^${name}_FILE: expected an absolute path`)],
      [{ [`${name}_FILE`]: folder }, new RegExp(`^${name}_FILE: .* cannot be read \\(EISDIR\\)`)],
    ] as const)
      t.throws(() => readConfig({ HOME: folder, ...wrong }), { name: 'ConfigError', message })
  }
  t.same(readConfig({ HOME: folder }).secretFiles, [])
})
