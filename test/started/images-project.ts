// The images that npm run test:images has built, started by the compose files.
import { execFile } from 'node:child_process'
import { createServer } from 'node:net'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { podman, up, type Project } from './compose.js'
import { once, until } from '../support/deadlines.js'

const images = process.env['CC_EXECUTOR_TEST_IMAGES']
export const skip = images === undefined ? 'only in npm run test:images, which builds them' : false
export const DEADLINE_MS = 15 * 60_000
const START_DEADLINE_MS = 5 * 60_000
// By such a comment a file of tests gets more time than tap's settings give to each.
if (skip === false) t.comment(`timeout=${DEADLINE_MS}`)

async function freePort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return String(typeof address === 'object' && address !== null ? address.port : 0)
}

const healthy = async (project: Project, service: string): Promise<boolean> =>
  podman('healthcheck', 'run', project.name(service)).then(
    () => true,
    () => false,
  )

/** Safe: run-images.mjs writes it. */
export const named = JSON.parse(images ?? '{}') as Record<string, string>

/** `up -d --wait`, with ports of its own. @returns where it is published */
export async function startProject(
  t: Test,
  options: Pick<Parameters<typeof up>[0], 'files' | 'folder'> & { name: string; variables?: Record<string, string> },
): Promise<{ project: Project; url: string }> {
  const { name, variables, ...where } = options
  const [port, original] = [await freePort(), await freePort()]
  const project = await up({
    ...where,
    project: `cce-${process.pid}-${name}`,
    variables: { ...named, PUBLISH_PORT: port, PUBLISH_ORIGINAL_PORT: original, ...variables },
  })
  t.teardown(() => project.down())
  for (const service of project.services)
    await until(() => healthy(project, service), `${service} is healthy`, START_DEADLINE_MS).catch(
      async (error: unknown) => {
        // On the two channels that it came from.
        const { stdout, stderr } = await promisify(execFile)('podman', ['logs', '--tail=20', project.name(service)])
        throw new Error(`${String(error)}: ${stdout}${stderr}`)
      },
    )
  return { project, url: `http://127.0.0.1:${port}` }
}
