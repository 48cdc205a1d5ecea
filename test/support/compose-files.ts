// What deployment/ holds: the Compose files as they are where nothing is set but what has to be, and the Dockerfile.
import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { interpolate } from '../started/compose.js'

export interface Service {
  image: string
  build?: { context: string; dockerfile: string; target: string; args?: Record<string, string> }
  user?: string
  environment?: Record<string, string | null>
  ports?: string[]
  volumes?: (string | { type: string; source: string; target: string; bind?: { create_host_path?: boolean } })[]
  networks?: string[]
  network_mode?: string
  ulimits?: Record<string, number>
  entrypoint?: string[]
  command?: string[]
  security_opt?: string[]
  cap_drop?: string[]
  cap_add?: string[]
  privileged?: boolean
  container_name?: string
  read_only?: boolean
  init?: boolean
  mem_limit?: string
  pids_limit?: number
  stop_grace_period?: string
  healthcheck?: unknown
  restart?: string
  depends_on?: Record<string, { condition: string; required?: boolean }>
}

export interface Compose {
  name?: string
  services: Record<string, Service>
  networks?: Record<string, { internal?: boolean; driver_opts?: Record<string, string> } | null>
  volumes?: Record<string, { driver_opts?: Record<string, string> } | null>
}

export const folder = 'deployment'
export const read = (name: string): Promise<string> => readFile(`${folder}/${name}`, 'utf8')
export const overlays = ['compose.open.yaml', 'compose.claude-home.yaml', 'compose.simulate.yaml', 'compose.tls.yaml']
export const files = ['compose.yaml', 'compose.published.yaml', ...overlays]
/** What has to be set where it is used. */
export const REQUIRED = {
  CLAUDE_UID: '1234',
  CLAUDE_GID: '1234',
  PUBLIC_NAME: 'agents.example.org',
  PUBLIC_TLS: 'internal',
  CC_IMAGE: 'cc-executor',
}
const wanted = (text: string): Record<string, string> =>
  Object.fromEntries(Object.entries(REQUIRED).filter(([name]) => text.includes(`\${${name}:?`)))
export const texts = new Map(await Promise.all(files.map(async (file) => [file, await read(file)] as const)))
// Safe: the shape is what the tests below look at; test/telemetry/monitoring.test.ts checks Compose's own schema.
// As they are where nothing is set but what has to be.
export const composes = new Map(
  [...texts].map(([file, text]) => [
    file,
    parse(
      text,
      (_key, value: unknown) =>
        typeof value === 'string' ? interpolate(value, { HOME: '${HOME}', ...wanted(text) }) : value,
      {
        merge: true,
      },
    ) as Compose,
  ]),
)
export const composeOf = (file: string): Compose => {
  const compose = composes.get(file)
  if (!compose) throw new Error(`there is no ${file}`)
  return compose
}
export const base = composeOf('compose.yaml')
export const serviceOf = (name: string, file = 'compose.yaml'): Service => {
  const service = composeOf(file).services[name]
  if (!service) throw new Error(`${file} has no service ${name}`)
  return service
}
export const [redis, api, worker] = ['redis', 'api', 'worker'].map((name) => serviceOf(name)) as [
  Service,
  Service,
  Service,
]
export const dockerfile = await read('Dockerfile')
