import type { Redis } from 'ioredis'

type ScriptArgument = string | number | Buffer | object | undefined

/** The scripts of a room as signatures: their arguments without the root, and their answer as Redis gives it. */
type Signatures<Scripts> = { [Name in keyof Scripts]: (...args: never[]) => unknown }
type ArgumentsOf<Script> = Script extends (...args: infer Arguments) => unknown ? Arguments : never
type AnswerOf<Script> = Script extends (...args: never[]) => infer Answer ? Answer : never

/** ioredis gives each command a second method, whose name ends in Buffer and whose answer is bytes. */
type FileOf<Name> = Name extends `${infer File}Buffer` ? File : Name

export type RunScript<Scripts> = <Name extends keyof Scripts>(
  name: Name,
  ...args: ArgumentsOf<Scripts[Name]>
) => Promise<AnswerOf<Scripts[Name]>>

/**
 * An object travels as one JSON text; what is undefined is not there. Half of a character, which no decoder takes,
 * becomes U+FFFD.
 */
function toArgument(value: ScriptArgument): string | number | Buffer {
  if (value === undefined) return ''
  if (typeof value !== 'object' || Buffer.isBuffer(value)) return value
  const text = JSON.stringify(value)
  // As JSON says half of a character; to call a function for each member takes several times as long.
  if (!text.includes('\\ud')) return text
  return JSON.stringify(value, (_name, member: unknown) =>
    typeof member === 'string' ? member.toWellFormed() : member,
  )
}

/**
 * Makes each script a command of the connection, sent by its digest, and as a whole only where Redis does not know it.
 * All keys are below the root, the one key that a script is given.
 */
export function openScripts<Scripts extends Signatures<Scripts>>(
  redis: Redis,
  root: string,
  lua: Record<string & FileOf<keyof Scripts>, string>,
): RunScript<Scripts> {
  for (const [name, text] of Object.entries<string>(lua)) redis.defineCommand(name, { numberOfKeys: 1, lua: text })
  // Safe: defineCommand has added them, and each answers as its Lua file says; ioredis has no types for either.
  const commands = redis as unknown as Record<keyof Scripts, (...args: unknown[]) => Promise<never>>
  return (name, ...args: ScriptArgument[]) => commands[name](root, ...args.map(toArgument))
}
