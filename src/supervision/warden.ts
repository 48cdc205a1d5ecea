/** The warden's text travels in this variable, so that `ps` shows one short line; the program does not get it. */
export const WARDEN_VARIABLE = 'CC_EXECUTOR_WARDEN'

/**
 * The warden stands between the worker and the program, inside the containment.
 *
 *   fd 0-2  belong to the program        fd 3  worker → warden: BEAT, TERM
 *   fd 5 worker → gate: GO fd 4 warden → worker: READY <program> <warden> <reader>, what `jobs` says, EXIT <status>
 *
 * States: gated (the program's pid exists, waiting at fd 5) → running (exec) → reported (EXIT) → ended.
 * End of file on fd 5 before GO: the program never ran. End of file or silence on fd 3: everything is killed.
 *
 * Arguments: silence allowed in seconds, scope (`namespace`, `subreaper` or `tree`), path of `env`, then env's
 * arguments, which end with the program. Every name begins with cc_w_, because an assignment to a name that the
 * caller's environment exports would change what the program sees.
 */
export const WARDEN = String.raw`
set -m
cc_w_silence=$1 cc_w_scope=$2
shift 2
cc_w_gate() {
  # -t: a TMOUT in the environment would otherwise be the deadline
  IFS= read -r -t 86400 cc_w_go <&5 && [[ $cc_w_go == GO ]] || exit 125
  exec 3<&- 4>&- 5<&-
  exec "$@"
}
cc_w_gate "$@" <&0 &
cc_w_program=$!
exec 5<&- </dev/null >/dev/null 2>&1

cc_w_is_marked() {
  local entry
  while IFS= read -r -d '' entry; do
    [[ $entry == "CC_EXECUTOR_ATTEMPT=$CC_EXECUTOR_ATTEMPT" ]] && return 0
  done <"/proc/$1/environ"
  return 1
}

cc_w_walk() { # kills once what belongs to this run; fails when nothing was left
  local path text found=1 changed=1 pid state
  local -A parent=() living=() mine=([$cc_w_root]=1)
  for path in /proc/[0-9]*; do
    text=
    IFS= read -r -d '' text <"$path/stat"
    [[ $text ]] || continue
    pid=${'$'}{path#/proc/} text=${'$'}{text##*) }
    state=${'$'}{text%% *} text=${'$'}{text#* }
    parent[$pid]=${'$'}{text%% *}
    [[ $state == [ZX] ]] || living[$pid]=1
    [[ $cc_w_scope == tree ]] && cc_w_is_marked "$pid" && mine[$pid]=1
  done
  while ((changed)); do
    changed=0
    for pid in "${'$'}{!parent[@]}"; do
      [[ ${'$'}{mine[$pid]} || ! ${'$'}{mine[${'$'}{parent[$pid]}]} ]] || { mine[$pid]=1; changed=1; }
    done
  done
  for pid in "${'$'}{!mine[@]}"; do
    [[ $pid == "$cc_w_root" || $pid == $$ || $pid == "$BASHPID" || ! ${'$'}{living[$pid]} ]] && continue
    kill -KILL "$pid" && found=0
  done
  return $found
}

cc_w_end() {
  if [[ $cc_w_scope == namespace ]]; then
    # The end of the warden takes the namespace with it; as PID 1 it cannot be killed and ends when the reader is gone.
    # Never kill -1 here: were there no namespace after all, it would end everything on the machine.
    [[ $BASHPID == $$ ]] || kill -KILL $$
  else
    kill -KILL -- "-$cc_w_program" # all that can be done where there is no /proc
    # A reaper's orphans come to it, so the walk starts there. It carries the marker; the worker, which would be the
    # parent if the reaper had not stayed, does not, and its other runs must not be walked.
    cc_w_root=$$
    [[ $cc_w_scope == subreaper ]] && cc_w_is_marked "$PPID" && cc_w_root=$PPID
    local empty=0 walks=0
    while ((empty < 2 && walks++ < 2000)); do cc_w_walk && empty=0 || empty=$((empty + 1)); done
    [[ $BASHPID == $$ ]] || kill -KILL $$
  fi
  exit
}

(
  trap '' TERM INT HUP
  while IFS= read -r -t "$cc_w_silence" cc_w_line; do
    [[ $cc_w_line == TERM ]] && kill -TERM "$cc_w_program"
  done
  cc_w_end
) <&3 &
cc_w_reader=$!
exec 3<&-

cc_w_look() {
  if kill -0 "$cc_w_program"; then
    kill -0 "$cc_w_reader" || cc_w_end
    return
  fi
  # bash's $? is 143 both for exit(143) and for SIGTERM; only jobs tells them apart, and only before wait
  LC_ALL=C
  jobs -l %1 >&4
  wait -f "$cc_w_program"
  echo "EXIT $?" >&4
  cc_w_end
}
trap cc_w_look CHLD
# PIPE: a worker that is dead already must not end the warden before it has ended the rest
trap '' TERM INT HUP PIPE
echo "READY $cc_w_program $$ $cc_w_reader" >&4
while :; do
  cc_w_look
  wait -f -n "$cc_w_program" "$cc_w_reader"
done
`
