import type { Redis } from 'ioredis'

/** ioredis gives each command a second method, whose name ends in Buffer and whose answer is bytes. */
type NameOf<Method> = Method extends `${infer Name}Buffer` ? Name : Method

/**
 * Arguments of a script as one JSON object; what is undefined is not there. Half of a character, which no decoder
 * takes, becomes U+FFFD.
 */
export const toScriptArguments = (values: object): string =>
  JSON.stringify(values, (_name, value: unknown) => (typeof value === 'string' ? value.toWellFormed() : value))

/**
 * Makes each script a command of the connection, sent by its digest, and as a whole only where Redis does not know it.
 * All keys are below the root, the one key that a script is given. ioredis has no types for commands that are added at
 * run time: the caller names them.
 */
export function defineScripts<Commands>(
  redis: Redis,
  scripts: Record<string & NameOf<keyof Commands>, string>,
): Commands {
  for (const [name, lua] of Object.entries<string>(scripts)) redis.defineCommand(name, { numberOfKeys: 1, lua })
  // Safe: defineCommand has added them.
  return redis as unknown as Commands
}
