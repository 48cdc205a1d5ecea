import { join } from 'node:path'

/**
 * The newer CLI listens at `<CLAUDE_CODE_TMPDIR>/cc-socks/<pid>.sock`. Where that path passes 103 bytes it takes
 * `/tmp/cc-socks-<uid>` instead (2.1.332), which is shared by all runs and which nobody clears.
 */
const SOCKET_PATH_BYTES = 103
const SOCKET_NAME = '/cc-socks/4194304.sock'

/**
 * The folder, where what is to lie below it leaves room for a socket's name; else /tmp, which has the shortest name and
 * is the same for all processes of the machine.
 */
export const folderWithSocketRoom = (folder: string, below: string): string =>
  Buffer.byteLength(join(folder, below) + SOCKET_NAME) <= SOCKET_PATH_BYTES ? folder : '/tmp'
