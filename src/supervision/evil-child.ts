/**
 * A program that wants to survive: it ignores every polite signal and leaves descendants in the ways which agents'
 * tools do by accident and malice. `$1` is a tag that each of them carries in its command line, where even `env -i`
 * leaves it. Each says `up <tag>` once it is there.
 */
export const EVIL_CHILD = String.raw`
trap '' TERM INT HUP
tag=$1
body='trap "" TERM INT HUP; echo "up $0"; exec -a "$0" sleep 600'
bash --norc -c "$body" "$tag" &
setsid nohup bash --norc -c "$body" "$tag" &
( ( bash --norc -c "$body" "$tag" & ) & )
( env -i setsid bash --norc -c "$body" "$tag" & )
( ( exec setsid bash --norc -c 'echo "up $0"; exec <&- >&- 2>&-; exec -a "$0" sleep 600' "$tag" & ) & )
echo "up $tag"
while :; do sleep 600 & wait; done
`
export const EVIL_COUNT = 6
