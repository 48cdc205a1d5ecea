import { closeSync, constants, fstatSync, openSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'

/** Linux' O_PATH, which Node does not name: opens anything without reading it, sockets included. */
const O_PATH = 0x20_0000
const isLinux = process.platform === 'linux'

/**
 * Where a folder is, as one text that does not depend on the name, link or bind mount that led to it: its device and
 * the path in that file system. What lies in the folder has a place that begins with it.
 */
export type Place = string

export const isWithin = (place: string, folder: string): boolean =>
  place === folder || place.startsWith(folder.endsWith(sep) ? folder : folder + sep)

interface Mount {
  readonly id: string
  readonly device: string
  /** What of the file system is mounted. */
  readonly root: string
  readonly point: string
}

const unescape = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_escape, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))

/** The mounts of this process, in their order; none where the system does not tell. */
export function readMounts(): readonly Mount[] {
  try {
    return readFileSync('/proc/self/mountinfo', 'latin1')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [id = '', , device = '', root = '', point = ''] = line.split(' ')
        const utf8 = (escaped: string): string => Buffer.from(unescape(escaped), 'latin1').toString()
        return { id, device, root: utf8(root), point: utf8(point) }
      })
  } catch {
    return []
  }
}

const toPlace = (device: string, path: string): Place => `${device}${path === sep ? '' : path}`

function placeIn({ device, root, point }: Mount, path: string): Place {
  return toPlace(device, join(root, relative(point, path)))
}

function mountOf(fd: number): string | undefined {
  try {
    return /^mnt_id:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1]
  } catch {
    return undefined
  }
}

/** Where an open folder is; `path` is what the kernel calls it now. */
export function placeOf(fd: number, path: string, mounts: readonly Mount[]): Place {
  const mountId = mountOf(fd)
  const mount = mounts.find(({ id, point }) => id === mountId && isWithin(path, point))
  return mount ? placeIn(mount, path) : toPlace(String(fstatSync(fd).dev), path)
}

/** What the kernel calls an open folder now; undefined where it does not tell, or where the folder is gone. */
export function pathOf(fd: number): string | undefined {
  if (!isLinux) return undefined
  const path = readlinkSync(`/proc/self/fd/${fd}`)
  return path.endsWith(' (deleted)') ? undefined : path
}

/** Where a path leads, links resolved; of one that does not exist, where it would be made. */
export function findPlace(path: string, mounts: readonly Mount[]): Place {
  const missing: string[] = []
  for (let nearest = resolve(path); ; nearest = dirname(nearest)) {
    try {
      if (!isLinux) return toPlace(String(statSync(nearest).dev), join(realpathSync(nearest), ...missing))
      const fd = openSync(nearest, O_PATH)
      try {
        return join(placeOf(fd, pathOf(fd) ?? nearest, mounts), ...missing)
      } finally {
        closeSync(fd)
      }
    } catch (error) {
      // Also what may not be entered has a place below the last that may.
      if (nearest === dirname(nearest)) throw error
      missing.unshift(basename(nearest))
    }
  }
}

/** The places of what is mounted below a folder: they are in it, wherever they lie. */
export const placesMountedBelow = (path: string, mounts: readonly Mount[]): Place[] =>
  mounts.filter(({ point }) => point !== path && isWithin(point, path)).map(({ device, root }) => toPlace(device, root))

let machine: string | undefined
/** The same for all processes of this kernel, in whatever container: devices have their numbers from it. */
export function machineId(): string {
  try {
    machine ??= readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  } catch {
    machine = hostname()
  }
  return machine
}

export const OPEN_FOLDER_FLAGS = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
