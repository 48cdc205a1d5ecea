// What a hostile agent tries, as its Bash tool would: the table that is run, and that the manual shows.

/**
 * What comes of an attempt: `root` where it depends on whether the worker is root, `any` where it depends on the
 * machine.
 */
export type Expected = 'no' | 'yes' | 'root' | 'any'

export interface Attempt {
  readonly name: string
  /** Exits with 0 where it was done. Leaves nothing behind, as at the level host it may well succeed. */
  readonly script: string
  readonly host: Expected
  readonly workspace: Expected
  readonly locked: Expected
}

const row = (
  name: string,
  script: string,
  host: Expected,
  workspace: Expected = 'no',
  locked: Expected = workspace,
): Attempt => ({ name, script, host, workspace, locked })
const canMake = (folder: string): string => `f="${folder}/cce-attempt-$$" && : >"$f" && rm "$f"`
/** perl, as bash knows neither unix sockets nor system calls. */
const connects = (path: string): string =>
  `perl -e 'socket(my $s,1,1,0)||exit 1; exit(connect($s,pack("S a*",1,$ARGV[0]))?0:1)' "${path}"`
const opensSocket = (family: number): string => `perl -e 'exit(socket(my $s,${family},1,0)?0:1)'`
const calls = (number: number, ...args: number[]): string =>
  `perl -e 'exit(syscall(${[number, ...args].join(',')})>=0?0:1)'`
const reaches = (port: string): string => `exec 9<>"/dev/tcp/127.0.0.1/${port}" && exec 9>&-`

export const ATTEMPTS: Readonly<Record<string, readonly Attempt[]>> = {
  'The service’s own': [
    row('list the data folder', 'test -n "$(ls -A "$DATA/keep")"', 'no'),
    row('read the token file', 'grep -q . "$DATA/token"', 'no'),
    row('read the key that signs receipts', 'grep -q . "$DATA/receipt-keys/signing-key.pem"', 'no'),
    row('read a hooks file that lies elsewhere', 'grep -q . "$HOOKS"', 'no'),
    row('write that hooks file', ': >>"$HOOKS"', 'no'),
    row('write the hooks’ folder', canMake('$HOOKS_FOLDER'), 'no'),
    row('read another workspace', 'grep -q . "$OTHER/secret"', 'no'),
    row('write into another workspace', canMake('$OTHER'), 'no'),
    row('read it by a symbolic link', 'ln -sfn "$OTHER" link && grep -q . link/secret', 'no'),
    row('read it by a hard link', 'rm -f hard; ln "$OTHER/secret" hard && grep -q . hard', 'no'),
    row('list the workspaces', 'ls -A "$OTHER/.." | grep -q other', 'no'),
    row('read another session’s transcript', 'grep -rq . "$SESSION"', 'no'),
    row('write into another session’s HOME', canMake('$SESSION'), 'no'),
    row('connect to the socket of its Redis', connects('$DATA/redis/redis.sock'), 'no'),
    row('change the service’s program', 'test -w "$DIST/src/main/cli.js"', 'no'),
    row('change bubblewrap in the cache', 'test -w "$TOOLS/bwrap"', 'no'),
    row('change redis-server in the cache', 'test -w "$TOOLS/redis-server"', 'no'),
    row('replace the CLI', 'mv "$CLAUDE" "$CLAUDE.x" && mv "$CLAUDE.x" "$CLAUDE"', 'any'),
    row('change the CLI', 'test -w "$CLAUDE"', 'no'),
  ],
  'The operator’s': [
    row('list the home', 'ls -A "$OPERATOR" | grep -q ssh', 'yes'),
    row('read ~/.ssh', 'grep -q . "$OPERATOR/.ssh/id"', 'yes'),
    row('read ~/.npmrc', 'grep -q . "$OPERATOR/.npmrc"', 'yes'),
    row('read ~/.config/gh', 'grep -q . "$OPERATOR/.config/gh/hosts.yml"', 'yes'),
    row('write ~/.profile', ': >>"$OPERATOR/.profile"', 'yes'),
    row('write into ~/.ssh', canMake('$OPERATOR/.ssh'), 'yes'),
    row('list /root', 'test -n "$(ls -A /root | grep -v cache)"', 'root'),
    row('write into /root', canMake('/root'), 'root'),
    row('connect to a daemon’s socket', connects('$DAEMON'), 'yes'),
    row('see the host’s /tmp', 'test -e "$IN_TMP"', 'yes'),
    row('see the host’s /dev/shm', 'test -e "$IN_SHM"', 'yes'),
    row(
      'the credential of Claude in the environment',
      'test "$(printf %s "$ANTHROPIC_API_KEY" | sha256sum | cut -c1-16)" = "$CREDENTIAL_SUM"',
      'yes',
      'yes',
      'no',
    ),
  ],
  'The system': [
    row('be root', 'test "$(id -u)" = 0', 'root'),
    row('have a capability', 'grep -Eq "^CapEff:.*[1-9a-f]" /proc/self/status', 'root'),
    row('become root', 'setpriv --reuid 0 true', 'root'),
    row('read /etc/shadow', 'grep -q . /etc/shadow', 'root'),
    row('write /etc/passwd', 'test -w /etc/passwd && : >>/etc/passwd', 'root'),
    row('write into /etc', canMake('/etc'), 'root'),
    row('write into /etc/cron.d', canMake('/etc/cron.d'), 'any'),
    row('write a crontab', canMake('/var/spool/cron'), 'any'),
    row('write into /usr/bin', canMake('/usr/bin'), 'root'),
    row('write into /usr/local/bin', canMake('/usr/local/bin'), 'root'),
    row('write into /opt', canMake('/opt'), 'root'),
    row('write into /', canMake('/'), 'root'),
    row('write a kernel setting', '(: >>/proc/sys/kernel/core_pattern)', 'root'),
    row('reach sysrq', '(exec 9>/proc/sysrq-trigger)', 'any'),
    row('read the kernel’s memory', 'head -c 1 /proc/kcore | grep -q . || head -c 1 /dev/mem >/dev/null', 'any'),
    row('find a block device', 'test -n "$(find /dev -type b 2>/dev/null)"', 'any'),
    row('make a device', 'rm -f dev; mknod dev b 7 0; test -b dev && rm dev', 'any'),
    row('mount', 'mkdir -p mnt && mount -t tmpfs none mnt && umount mnt', 'no'),
    row('unmount', 'umount -l /proc', 'no'),
    row('make a user namespace', 'unshare --user true', 'any'),
    row('make a mount namespace within one', 'unshare --user --map-root-user --mount true', 'any'),
    row('change the host’s name', 'hostname cce-attempt && hostname "$HOST_NAME"', 'no'),
    row('the name of the host', 'test "$(hostname)" = "$HOST_NAME"', 'yes'),
    row(
      'an open descriptor of somebody else’s',
      'for f in /proc/self/fd/*; do test -d "$f" && test "$(readlink "$f")" != "/proc/self/fd" && [[ ' +
        '$(readlink -f "$f") != /proc/*/fd ]] && exit 0; done; exit 1',
      'no',
    ),
    row('a socket to the hypervisor (vsock)', opensSocket(40), 'any'),
    row('a socket for raw packets', "perl -e 'exit(socket(my $s,17,3,0)?0:1)'", 'any'),
    row('the kernel’s cryptography (AF_ALG)', "perl -e 'exit(socket(my $s,38,5,0)?0:1)'", 'any'),
    row('keyrings', calls(250, 0, -3, 1), 'any'),
    row('io_uring', 'perl -e \'my $p="\\0"x120; exit(syscall(425,1,$p)>=0?0:1)\'', 'any'),
  ],
  'Other processes': [
    row(
      'see the worker',
      'test -e "/proc/$WORKER/cmdline" && tr "\\0" " " <"/proc/$WORKER/cmdline" | grep -q "$WORKER_NAME"',
      'no',
    ),
    row('read its environment', 'tr "\\0" "\\n" <"/proc/$WORKER/environ" | grep -q CC_EXECUTOR_', 'no'),
    row(
      'signal it',
      'test -e "/proc/$WORKER" && tr "\\0" " " <"/proc/$WORKER/cmdline" | grep -q "$WORKER_NAME" && kill -0 "$WORKER"',
      'no',
    ),
    row('see any process but its own', 'test "$(ls /proc | grep -c "^[0-9]")" -gt 30', 'no'),
    row(
      'the service’s settings by /proc/1',
      'tr "\\0" "\\n" </proc/1/environ | grep -q "^REDIS_URL\\|^CC_EXECUTOR_TOKENS"',
      'no',
    ),
    row('the host’s files by /proc/1/root', 'grep -q . "/proc/1/root$OPERATOR/.ssh/id"', 'any'),
    row('a higher priority', 'test "$(nice -n -5 nice)" -lt "$(nice)"', 'any'),
    row('be spared when memory is short', '(echo -900 >/proc/self/oom_score_adj)', 'any'),
  ],
  'The network': [
    row('a port of the host’s loopback', reaches('$PORT'), 'yes', 'yes', 'no'),
    row('the API of the service (it asks for a token)', reaches('$API'), 'yes', 'yes', 'no'),
    row(
      'an abstract socket of the host',
      `perl -e 'socket(my $s,1,1,0)||exit 1; exit(connect($s,pack("S a108",1,"\\0".$ARGV[0]))?0:1)' "$ABSTRACT"`,
      'yes',
      'yes',
      'no',
    ),
    row('a name by DNS', 'getent ahosts example.com', 'any', 'any', 'no'),
    row(
      'a host that is opened, by the proxy',
      'test "$(curl -s --noproxy "" -m 10 "http://127.0.0.1:$PORT/")" = web',
      'yes',
      'yes',
      'yes',
    ),
    row(
      'the same without the proxy',
      'test "$(curl -s --noproxy "*" -m 5 "http://127.0.0.1:$PORT/")" = web',
      'yes',
      'yes',
      'no',
    ),
    row(
      'a host that is not opened',
      'test "$(curl -s --noproxy "" -m 10 "http://127.0.0.1:$CLOSED/")" = web',
      'yes',
      'yes',
      'no',
    ),
    row(
      'a name that leads to the loopback',
      'test "$(curl -s --noproxy "" -m 10 "http://localhost:$INNER/")" = web',
      'yes',
      'yes',
      'no',
    ),
    row(
      'other paths of Claude’s API with the operator’s credential',
      'c=$(curl -s -m 10 -o /dev/null -w "%{http_code}" "$ANTHROPIC_BASE_URL/v1/files") && test "$c" != 403',
      'yes',
      'yes',
      'no',
    ),
  ],
}

/** Of limits, where a run has some: at the level host it has none, and nobody tries. */
export const LIMIT_ATTEMPTS: readonly Attempt[] = [
  // Not by bash, which tries again for half a minute: so long the CLI itself could start no thread, and a newer one
  // aborts then.
  row(
    'more processes than the limit',
    `perl -e 'my @p; for (1..400) { my $p = fork; last unless defined $p; if (!$p) { sleep 5; exit } ` +
      `push @p, $p } kill 9, @p; waitpid $_, 0 for @p; exit(@p == 400 ? 0 : 1)'`,
    'any',
  ),
  row('more open files', 'ulimit -n 100000', 'any'),
  row(
    'a larger file',
    'head -c 40000000 /dev/zero >large; s=$(stat -c %s large); rm -f large; test "$s" -ge 40000000',
    'any',
  ),
  row('more memory', `perl -e '$x = "x" x 1500000000; exit 0'`, 'any'),
  row(
    'more of /tmp than it has',
    'for i in $(seq 60); do head -c 20000000 /dev/zero >/tmp/large$i || break; done; n=$(ls ' +
      '/tmp/large* | wc -l); rm -f /tmp/large*; test "$n" -ge 60',
    'any',
  ),
]
export const RUN_LIMITS = 'processes=200,memory=1GiB,files=4096,file_size=32MiB'

export const ALL_ATTEMPTS: readonly Attempt[] = [...Object.values(ATTEMPTS).flat(), ...LIMIT_ATTEMPTS]

const WORDS: Record<Expected, string> = { no: 'no', yes: '**yes**', root: 'as root', any: 'as the host has it' }

/** As the manual shows it. */
export function toTable(): string {
  const section = (title: string, attempts: readonly Attempt[]): string[] => [
    `| ${title} | \`host\` | \`workspace\` | \`locked\` |`,
    '|---|---|---|---|',
    ...attempts.map(
      ({ name, host, workspace, locked }) =>
        `| ${name} | ${[host, workspace, locked].map((expected) => WORDS[expected]).join(' | ')} |`,
    ),
    '',
  ]
  const limits = [
    `| More than the limits | \`host\` | \`workspace\` | \`locked\` |`,
    '|---|---|---|---|',
    ...LIMIT_ATTEMPTS.map(({ name }) => `| ${name} | no limits | no | no |`),
    '',
  ]
  return [...Object.entries(ATTEMPTS).flatMap(([title, attempts]) => section(title, attempts)), ...limits]
    .join('\n')
    .trimEnd()
}

/** One program that makes all attempts and says of each what came of it. */
export function toScript(attempts: readonly Attempt[], variables: Readonly<Record<string, string>>): string {
  const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`
  return [
    ...Object.entries(variables).map(([name, value]) => `export ${name}=${quote(value)}`),
    ...attempts.map(
      ({ script }, index) => `( ${script} ) >/dev/null 2>&1 </dev/null && echo "@${index} yes" || echo "@${index} no"`,
    ),
    '',
  ].join('\n')
}
