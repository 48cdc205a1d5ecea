// How each front of deployment/PROXIES.md is started in the foreground, on 127.0.0.1, with nothing outside its folder.
import { join } from 'node:path'

/** What is filled in. */
export interface Place {
  readonly folder: string
  readonly root: string
  readonly port: number
  readonly target: number
  readonly pem: string
  /** Of Apache: what the page's `a2enmod` names. */
  readonly modules: readonly string[]
}

export interface Front {
  /** The language of its block on the page. */
  readonly name: string
  readonly packages: readonly string[]
  readonly program: string
  readonly args: (config: string, place: Place) => readonly string[]
  /** What Debian's own files bring, or the test needs: around the block of the page. */
  readonly around?: (block: string, place: Place) => string
  readonly speaks: {
    readonly tls: boolean
    readonly webSocket: boolean
    readonly http2: boolean
    readonly gzip: boolean
  }
}

const EVERYTHING = { tls: true, webSocket: true, http2: true, gzip: true }
const isRoot = process.getuid?.() === 0

/** The page's addresses, ports and paths are those of the place. */
export function fillIn(block: string, { port, target, pem }: Place): string {
  return block
    .replaceAll('/etc/ssl/cc-executor.pem', pem)
    .replaceAll('executor.example', 'localhost')
    .replaceAll('8001', String(target))
    .replaceAll(/(\[\*\]|\*)?([:,]?)\b443\b/g, (_all, star: string | undefined, mark: string) =>
      star === '[*]' ? `[127.0.0.1]:${port}` : `127.0.0.1${mark || ':'}${port}`,
    )
}

export const FRONTS: readonly Front[] = [
  {
    name: 'nginx',
    packages: ['nginx'],
    program: 'usr/sbin/nginx',
    args: (config, { folder }) => ['-p', folder, '-c', config, '-e', 'stderr', '-g', 'daemon off;'],
    around: (block, { folder }) => {
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      const paths = temporary.map((name) => `${name}_temp_path ${join(folder, name)};`).join(' ')
      return (
        `${isRoot ? 'user root;' : ''} pid ${join(folder, 'pid')}; worker_processes 1; events {}\n` +
        `http { access_log off; ${paths}\n${block}}\n`
      )
    },
    speaks: EVERYTHING,
  },
  {
    name: 'haproxy',
    packages: ['haproxy'],
    program: 'usr/sbin/haproxy',
    args: (config) => ['-db', '-f', config],
    speaks: EVERYTHING,
  },
  {
    name: 'apache',
    packages: ['apache2-bin'],
    program: 'usr/sbin/apache2',
    args: (config, { folder }) => ['-DFOREGROUND', '-d', folder, '-f', config],
    around: (block, { folder, root, port, modules }) =>
      [
        ...['mpm_event', 'authz_core', 'filter', 'socache_shmcb', ...modules].map(
          (name) => `LoadModule ${name}_module ${root}/usr/lib/apache2/modules/mod_${name}.so`,
        ),
        `Listen 127.0.0.1:${port}`,
        `PidFile ${join(folder, 'pid')}`,
        `DefaultRuntimeDir ${folder}`,
        `ErrorLog ${join(folder, 'error.log')}`,
        'ServerName localhost',
        ...(isRoot ? ['User nobody', 'Group nogroup'] : []),
        block,
      ].join('\n'),
    speaks: EVERYTHING,
  },
  {
    name: 'caddy',
    packages: ['caddy'],
    program: 'usr/bin/caddy',
    args: (config) => ['run', '--adapter', 'caddyfile', '--config', config],
    // The page leaves the certificate to Caddy, which would ask for one on the internet.
    around: (block, { port, pem }) =>
      '{\n  admin off\n  auto_https off\n  storage file_system .\n}\n' +
      block.replace('localhost {', `https://localhost:${port} {\n  bind 127.0.0.1\n  tls ${pem} ${pem}`),
    speaks: EVERYTHING,
  },
  {
    name: 'lighttpd',
    packages: ['lighttpd', 'lighttpd-mod-openssl'],
    program: 'usr/sbin/lighttpd',
    args: (config, { root }) => ['-D', '-f', config, '-m', `${root}/usr/lib/lighttpd`],
    around: (block, { folder, port }) =>
      `server.document-root = "${folder}"\nserver.upload-dirs = ( "${folder}" )\nserver.bind = "127.0.0.1"\n` +
      block.replace(`server.port = 127.0.0.1:${port}`, `server.port = ${port}`),
    speaks: { ...EVERYTHING, gzip: false },
  },
  {
    name: 'vcl',
    packages: ['varnish'],
    program: 'usr/sbin/varnishd',
    args: (config, { folder, port }) => {
      const ours = ['-n', join(folder, 'varnish'), '-a', `127.0.0.1:${port}`, '-f', config]
      return ['-F', '-j', 'none', '-T', 'none', '-s', 'malloc,64m', ...ours]
    },
    speaks: { tls: false, webSocket: true, http2: false, gzip: true },
  },
  {
    name: 'squid',
    packages: ['squid'],
    program: 'usr/sbin/squid',
    args: (config) => ['-N', '-f', config],
    around: (block, { folder, root }) =>
      [
        block,
        `pid_filename none`,
        `cache_log /dev/null`,
        `access_log none`,
        'logfile_rotate 0',
        `coredump_dir ${folder}`,
        `mime_table ${root}/usr/share/squid/mime.conf`,
        `icon_directory ${root}/usr/share/squid/icons`,
        `error_directory ${root}/usr/share/squid/errors/templates`,
        `unlinkd_program ${root}/usr/lib/squid/unlinkd`,
        'pinger_enable off',
        'shutdown_lifetime 0 seconds',
        'visible_hostname localhost',
        ...(isRoot ? ['cache_effective_user nobody', 'cache_effective_group nogroup'] : []),
      ].join('\n') + '\n',
    speaks: { ...EVERYTHING, http2: false, gzip: false },
  },
  {
    name: 'hitch',
    packages: ['hitch'],
    program: 'usr/sbin/hitch',
    args: (config) => ['--config', config],
    around: (block) => `${block}workers = 1\ndaemon = off\n${isRoot ? 'user = "nobody"\ngroup = "nogroup"\n' : ''}`,
    speaks: { ...EVERYTHING, http2: false, gzip: false },
  },
  {
    name: 'nghttpx',
    packages: ['nghttp2-proxy'],
    program: 'usr/sbin/nghttpx',
    args: (config) => ['--conf', config, '--workers=1'],
    speaks: { ...EVERYTHING, gzip: false },
  },
]
