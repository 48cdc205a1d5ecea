import { arch, endianness } from 'node:os'

interface Architecture {
  /** As the kernel's audit code names it. */
  readonly audit: number
  readonly calls: Readonly<Record<string, number>>
}

/** Numbers of system calls that are the same on every architecture. */
const COMMON = {
  io_uring_setup: 425,
  io_uring_enter: 426,
  io_uring_register: 427,
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  fspick: 433,
  clone3: 435,
  mount_setattr: 442,
  open_tree_attr: 467,
}

const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  x64: {
    audit: 0xc000003e,
    calls: {
      ...COMMON,
      clone: 56,
      unshare: 272,
      socket: 41,
      mount: 165,
      umount2: 166,
      pivot_root: 155,
      setns: 308,
      bpf: 321,
      userfaultfd: 323,
      add_key: 248,
      request_key: 249,
      keyctl: 250,
      kexec_load: 246,
      kexec_file_load: 320,
      init_module: 175,
      finit_module: 313,
      delete_module: 176,
      perf_event_open: 298,
      open_by_handle_at: 304,
      swapon: 167,
      swapoff: 168,
      reboot: 169,
      acct: 163,
      quotactl: 179,
    },
  },
  arm64: {
    audit: 0xc00000b7,
    calls: {
      ...COMMON,
      clone: 220,
      unshare: 97,
      socket: 198,
      mount: 40,
      umount2: 39,
      pivot_root: 41,
      setns: 268,
      bpf: 280,
      userfaultfd: 282,
      add_key: 217,
      request_key: 218,
      keyctl: 219,
      kexec_load: 104,
      kexec_file_load: 294,
      init_module: 105,
      finit_module: 273,
      delete_module: 106,
      perf_event_open: 241,
      open_by_handle_at: 265,
      swapon: 224,
      swapoff: 225,
      reboot: 142,
      acct: 89,
      quotactl: 60,
    },
  },
}

const ALLOW = 0x7fff0000
const KILL = 0x80000000
const EPERM = 1
const ENOSYS = 38
const EAFNOSUPPORT = 97
const errno = (number: number): number => 0x00050000 | number

/** A user namespace would give back capabilities, a mount namespace the mounts. */
const NAMESPACES = 0x10000000 | 0x00020000
/** Sockets that lead around the network namespace or deep into the kernel: ALG, BLUETOOTH, PACKET, VSOCK, XDP. */
const FAMILIES = [38, 31, 17, 40, 44]
/** The x32 way of calling, under which every number is another one. */
const X32 = 0x40000000

/** Offsets in the kernel's `struct seccomp_data`, little endian. */
const NUMBER = 0
const AUDIT = 4
const FIRST_ARGUMENT = 16

type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, value: number]
const load = (offset: number): Instruction => [0x20, 0, 0, offset]
const give = (action: number): Instruction => [0x06, 0, 0, action]
const unlessEqual = (value: number, skipped: number): Instruction => [0x15, 0, skipped, value]

function toProgram({ audit, calls }: Architecture): Instruction[] {
  const { clone, unshare, socket, clone3, ...refused } = calls
  const namespaces = (call: number | undefined): Instruction[] =>
    call === undefined
      ? []
      : [unlessEqual(call, 4), load(FIRST_ARGUMENT), [0x45, 0, 1, NAMESPACES], give(errno(EPERM)), give(ALLOW)]
  return [
    load(AUDIT),
    unlessEqual(audit, 1),
    [0x05, 0, 0, 1],
    give(KILL),
    load(NUMBER),
    [0x35, 0, 1, X32],
    give(errno(ENOSYS)),
    // Its flags lie in memory, out of sight; told that it does not exist, the C library takes clone.
    unlessEqual(clone3 ?? COMMON.clone3, 1),
    give(errno(ENOSYS)),
    ...namespaces(clone),
    ...namespaces(unshare),
    ...(socket === undefined
      ? []
      : [
          unlessEqual(socket, 2 + 2 * FAMILIES.length),
          load(FIRST_ARGUMENT),
          ...FAMILIES.flatMap((family): Instruction[] => [unlessEqual(family, 1), give(errno(EAFNOSUPPORT))]),
          give(ALLOW),
        ]),
    ...Object.values(refused).flatMap((call): Instruction[] => [unlessEqual(call, 1), give(errno(EPERM))]),
    give(ALLOW),
  ]
}

/** The filter of system calls as bubblewrap takes it, for this machine; undefined where its numbers are not known. */
export function seccompFilter(): Buffer | undefined {
  const architecture = ARCHITECTURES[arch()]
  if (architecture === undefined || endianness() !== 'LE') return undefined
  return Buffer.concat(
    toProgram(architecture).map(([code, jumpTrue, jumpFalse, value]) => {
      const bytes = Buffer.alloc(8)
      bytes.writeUInt16LE(code, 0)
      bytes.writeUInt8(jumpTrue, 2)
      bytes.writeUInt8(jumpFalse, 3)
      bytes.writeUInt32LE(value >>> 0, 4)
      return bytes
    }),
  )
}
