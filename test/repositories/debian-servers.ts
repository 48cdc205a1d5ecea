// Servers as they stand in the field, of Debian's packages, with configurations of their own on the loopback.
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findProgram } from '../../src/supervision/find-program.js'
import { until } from '../support/deadlines.js'
import { answers, end, freePort, type Teardown } from './git-servers.js'

const run = promisify(execFile)
const FOLDERS = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin', '/usr/local/sbin']

/** Those that are missing; where one is, a test says so. */
export async function findPrograms<Name extends string>(
  ...names: readonly Name[]
): Promise<{ readonly paths: Record<Name, string>; readonly missing: readonly Name[] }> {
  const found = await Promise.all(names.map(async (name) => [name, await findProgram(name, FOLDERS, '/')] as const))
  return {
    // Safe: whoever finds one missing uses none.
    paths: Object.fromEntries(found.map(([name, path]) => [name, path ?? ''])) as Record<Name, string>,
    missing: found.filter(([, path]) => path === undefined).map(([name]) => name),
  }
}

async function start(t: Teardown, file: string, args: readonly string[], log: string): Promise<ChildProcess> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: FOLDERS.join(':') } })
  const said: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => said.push(chunk))
  t.teardown(async () => {
    await end(child)
    await writeFile(log, Buffer.concat(said))
  })
  return child
}

export interface SshServer {
  readonly url: string
  /** Of the one who may come in. */
  readonly keyFile: string
  readonly knownHosts: string
  /** The host's key is another one there. */
  readonly wrongHosts: string
}

/** sshd that lets one key in, and nobody by a password. @param folder for its keys */
export async function openSshServer(t: Teardown, sshd: string, keygen: string, folder: string): Promise<SshServer> {
  const at = (name: string): string => join(folder, name)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  for (const name of ['host', 'other', 'user'])
    await run(keygen, ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', at(name)])
  const port = await freePort()
  const publicKey = async (name: string): Promise<string> => (await readFile(at(`${name}.pub`), 'utf8')).trim()
  await writeFile(at('authorized'), `${await publicKey('user')}\n`, { mode: 0o600 })
  await writeFile(at('known'), `[127.0.0.1]:${port} ${await publicKey('host')}\n`)
  await writeFile(at('wrong'), `[127.0.0.1]:${port} ${await publicKey('other')}\n`)
  const { username, uid } = userInfo()
  await writeFile(
    at('config'),
    [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${at('host')}`,
      `AuthorizedKeysFile ${at('authorized')}`,
      `AllowUsers ${username}`,
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PermitRootLogin prohibit-password',
      'UsePAM no',
      // The folder lies below one that everybody may write.
      'StrictModes no',
      'PidFile none',
      '',
    ].join('\n'),
  )
  if (uid === 0) await mkdir('/run/sshd', { recursive: true })
  const child = await start(t, sshd, ['-D', '-e', '-f', at('config')], at('log'))
  await until(() => child.exitCode !== null || answers(port), 'sshd listens')
  return {
    url: `ssh://${username}@127.0.0.1:${port}`,
    keyFile: at('user'),
    knownHosts: at('known'),
    wrongHosts: at('wrong'),
  }
}

export interface NginxOptions {
  readonly programs: Record<'nginx' | 'fcgiwrap', string>
  readonly folder: string
  /** Of the repositories. */
  readonly root: string
  readonly user: string
  readonly password: string
}

/** nginx before `git http-backend`, which fcgiwrap starts. */
export async function openNginx(t: Teardown, { programs, folder, root, user, password }: NginxOptions) {
  const at = (name: string): string => join(folder, name)
  await mkdir(folder, { recursive: true })
  const port = await freePort()
  const execPath = (await run('git', ['--exec-path'])).stdout.trim()
  await writeFile(at('users'), `${user}:{PLAIN}${password}\n`)
  const parameters = {
    SCRIPT_FILENAME: `${execPath}/git-http-backend`,
    GIT_PROJECT_ROOT: root,
    GIT_HTTP_EXPORT_ALL: '1',
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'safe.directory',
    GIT_CONFIG_VALUE_0: '*',
    GIT_PROTOCOL: '$http_git_protocol',
    PATH_INFO: '$uri',
    QUERY_STRING: '$query_string',
    REQUEST_METHOD: '$request_method',
    CONTENT_TYPE: '$content_type',
    CONTENT_LENGTH: '$content_length',
    REMOTE_USER: '$remote_user',
    REMOTE_ADDR: '$remote_addr',
    SERVER_PROTOCOL: '$server_protocol',
    GATEWAY_INTERFACE: 'CGI/1.1',
  }
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${at(kind)};`)
  await writeFile(
    at('nginx.conf'),
    `daemon off; pid ${at('pid')}; worker_processes 1; error_log ${at('errors')};
${userInfo().uid === 0 ? 'user root;' : ''}
events {}
http {
  access_log ${at('access')}; ${temporary.join(' ')}
  server {
    listen 127.0.0.1:${port};
    client_max_body_size 0;
    auth_basic "git";
    auth_basic_user_file ${at('users')};
    location / {
      fastcgi_pass unix:${at('fcgi.sock')};
      fastcgi_request_buffering off;
${Object.entries(parameters)
  .map(([name, value]) => `      fastcgi_param ${name} "${value}";\n`)
  .join('')}    }
  }
}
`,
  )
  await start(t, programs.fcgiwrap, ['-s', `unix:${at('fcgi.sock')}`], at('fcgi.log'))
  const child = await start(t, programs.nginx, ['-p', folder, '-e', at('errors'), '-c', at('nginx.conf')], at('log'))
  await until(() => child.exitCode !== null || answers(port), 'nginx listens')
  return { url: `http://127.0.0.1:${port}`, accesses: () => readFile(at('access'), 'utf8') }
}
