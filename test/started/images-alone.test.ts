// What deployment/publish.mjs prints, alone in an empty folder, with the images of npm run test:images.
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { makeFolder } from '../support/processes.js'
import { DEADLINE_MS, skip, startProject } from './images-project.js'
import { ask } from './scene.js'

void t.test(
  'one file in an empty folder starts it from published images',
  { skip, timeout: DEADLINE_MS },
  async (t) => {
    const folder = await makeFolder(t)
    const { stdout } = await promisify(execFile)(process.execPath, ['deployment/publish.mjs'])
    await writeFile(join(folder, 'compose.yaml'), stdout)
    const { project, url } = await startProject(t, { name: 'alone', folder, files: ['compose.yaml'] })
    t.same(project.services, ['redis', 'api', 'worker'])
    // podman gives the log on the two channels that it came from.
    const { stderr } = await promisify(execFile)('podman', ['logs', project.name('api')])
    t.match(stderr, 'its token, made now, is in /data/token; to print it: docker compose exec api cc-executor token')
    const token = await project.exec('api', 'cc-executor', 'token')
    t.notMatch(stderr, token)
    const authorization = `Bearer ${token}`
    t.equal((await ask(url, { method: 'GET', path: '/executions', headers: { authorization } })).status, 200)
    const { workers } = (await ask(url, { method: 'GET', path: '/health/ready' })).body as Record<string, unknown>
    t.match(
      workers,
      [{ containment: { strong: true, sandboxes: ['workspace', 'locked'] }, authentication: { method: 'none' } }],
      'its runs are contained without a filter of system calls beside the file, and want an account',
    )
  },
)
