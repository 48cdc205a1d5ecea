/**
 * What the self-test at a start tries from inside, each a line `<name> <answer>`; the answers are compared outside.
 * The arguments: a file that is not to be seen, a socket of the host that is not to be seen, a port of its loopback,
 * and the folder that is the run's HOME.
 */
export const SANDBOX_ATTEMPTS = String.raw`
secret=$1 socket=$2 port=$3 home=$4
say() { echo "$1 $2"; }
yes_no() { local name=$1; shift; if "$@" >/dev/null 2>&1; then say "$name" yes; else say "$name" no; fi; }
say uid "$(id -u)"
say capabilities "$(while read -r name value; do [[ $name == CapEff: || $name == CapBnd: ]] && printf %s "$value"; done </proc/self/status)"
say no_new_privs "$(while read -r name value; do [[ $name == NoNewPrivs: ]] && printf %s "$value"; done </proc/self/status)"
yes_no reads_secret cat "$secret"
yes_no sees_socket test -e "$socket"
yes_no reads_shadow cat /etc/shadow
yes_no writes_etc touch /etc/cc-executor-self-test
yes_no writes_usr touch /usr/cc-executor-self-test
yes_no writes_root touch /cc-executor-self-test
yes_no writes_kernel bash -c 'echo >>/proc/sys/kernel/core_pattern'
yes_no makes_namespace unshare --user true
yes_no writes_workspace bash -c 'echo here >made'
yes_no writes_home touch "$home/made"
yes_no writes_temporary touch /tmp/made
yes_no reaches_port bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"
yes_no reaches_proxy bash -c 'exec 3<>/dev/tcp/127.0.0.1/3128 && read -r -t 5 line <&3 && [[ $line == proxy ]]'
`

type Answers = Readonly<Record<string, string>>

const KEPT: Answers = {
  no_new_privs: '1',
  reads_secret: 'no',
  sees_socket: 'no',
  writes_etc: 'no',
  writes_usr: 'no',
  writes_root: 'no',
  writes_kernel: 'no',
  makes_namespace: 'no',
  writes_workspace: 'yes',
  writes_home: 'yes',
  writes_temporary: 'yes',
}
/** By level; the port of the host's loopback is reached where the run has the host's network. */
export const EXPECTED_ANSWERS: Readonly<Record<'workspace' | 'locked', Answers>> = {
  workspace: KEPT,
  locked: { ...KEPT, reaches_port: 'no', reaches_proxy: 'yes' },
}
/** Where the worker is root. */
export const EXPECTED_OF_ROOT: Answers = { reads_shadow: 'no' }
