import { isAbsolute } from 'node:path'
import type { TrustedFile } from '../platform/run-writable.js'
import { HOOK_STAGES } from '../protocol/hooks.js'
import type { Hooks } from './hooks-file.js'

/** Programs whose first argument is the program that counts. */
const INTERPRETER = /(?:^|\/)(?:env|(?:ba|da|k|z)?sh|node|deno|bun|perl|ruby|php|python[\d.]*)$/
const SHELL_BREAK = /[\s;&|<>()"'`]+/

/** What is executed first, and what an interpreter is given first: `env node --flag /script.js` is all three. */
function programsOf([program = '', ...args]: readonly string[]): string[] {
  const given = args.findIndex((arg) => !arg.startsWith('-') && !/^\w+=/.test(arg))
  return [program, ...(INTERPRETER.test(program) && given >= 0 ? programsOf(args.slice(given)) : [])]
}

const wordsOf = (line: string): string[] => line.split(SHELL_BREAK).filter((word) => word !== '')

/** Programs that the hooks name by absolute paths: whoever can write one is the worker, or in everybody's runs. */
export function listHookPrograms({ stages, claude }: Pick<Hooks, 'stages' | 'claude'>): TrustedFile[] {
  const own = HOOK_STAGES.flatMap((stage) => stages[stage]).map(({ name, argv }) => ({
    what: `the program of the hook ${name}`,
    // A line for the shell is its third word.
    words: argv[0] === '/bin/sh' && argv[1] === '-c' ? wordsOf(argv[2] ?? '') : argv,
  }))
  const claudes = Object.entries(claude).flatMap(([event, groups]) =>
    groups
      .flatMap(({ hooks }) => hooks)
      .flatMap(({ command }) => (typeof command === 'string' ? [wordsOf(command)] : []))
      .map((words) => ({ what: `the program of Claude's hook ${event}`, words })),
  )
  return [...own, ...claudes].flatMap(({ what, words }) =>
    programsOf(words)
      .filter((path) => isAbsolute(path))
      .map((path) => ({ path, setting: 'CC_EXECUTOR_HOOKS', what })),
  )
}
