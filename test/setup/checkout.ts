// A checkout of which the set-up is tried.
import { execFile } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import type { Test } from 'tap'
import { ROOT } from '../support/paths.js'

export const LOCK = {
  packages: { '': { version: '0.1.0' }, 'node_modules/left': { version: '1.0.0', integrity: 'sha512-a' } },
}
/** Stands in for tsc, which takes two seconds a time; like tsc it emits nothing again that its build info knows. */
const COMPILER = `
  const { existsSync, mkdirSync, readdirSync, writeFileSync } = require('node:fs')
  if (process.argv.slice(2).join(' ') !== '-p tsconfig.build.json') process.exit(2)
  mkdirSync('dist/src', { recursive: true })
  if (!existsSync('dist/.tsbuildinfo')) {
    for (const name of readdirSync('src').filter((file) => file.endsWith('.ts'))) {
      const output = 'dist/src/' + name.replace(/ts$/, 'js')
      writeFileSync(output, '')
      writeFileSync(output + '.map', '')
    }
  }
  writeFileSync('dist/.tsbuildinfo', '{}')
`

/** Stands in for esbuild, of which the real one is tested in bundle.test.ts. */
const BUNDLER = `
  import { mkdirSync, writeFileSync } from 'node:fs'
  export async function build({ absWorkingDir, outdir }) {
    mkdirSync(absWorkingDir + '/' + outdir, { recursive: true })
    writeFileSync(absWorkingDir + '/' + outdir + '/program.js', '')
    return { metafile: { inputs: {} } }
  }
  export const stop = async () => undefined
`

interface Result {
  code: number
  stdout: string
  stderr: string
}

/**
 * A small checkout with its own copy of src/setup and a PATH on which there is only what the test puts there: so every
 * step can be seen without a network, and nothing of this machine's is found.
 */
export function checkout(t: Test) {
  const root = t.testdir({
    home: {},
    path: {},
    checkout: {
      node_modules: { '.package-lock.json': JSON.stringify(LOCK) },
      'package.json': '{"type":"module"}',
      'package-lock.json': JSON.stringify(LOCK),
      'tsconfig.json': JSON.stringify({
        compilerOptions: {
          target: 'ES2022',
          module: 'NodeNext',
          rootDir: '.',
          outDir: 'dist',
          types: [],
          skipLibCheck: true,
        },
      }),
      'tsconfig.build.json': JSON.stringify({
        extends: './tsconfig.json',
        compilerOptions: { incremental: true, tsBuildInfoFile: 'dist/.tsbuildinfo' },
        include: ['src/**/*.ts'],
      }),
      src: { 'one.ts': 'export const one: number = 1\n', 'two.ts': 'export const two = 2\n' },
    },
  })
  const directory = join(root, 'checkout')
  const path = join(root, 'path')
  cpSync(join(ROOT, 'src/setup'), join(directory, 'src/setup'), { recursive: true })
  mkdirSync(join(directory, 'node_modules/typescript/bin'), { recursive: true })
  writeFileSync(join(directory, 'node_modules/typescript/bin/tsc'), COMPILER)
  mkdirSync(join(directory, 'node_modules/esbuild'))
  writeFileSync(join(directory, 'node_modules/esbuild/package.json'), '{"type":"module","main":"main.js"}')
  writeFileSync(join(directory, 'node_modules/esbuild/main.js'), BUNDLER)
  symlinkSync(join(ROOT, 'node_modules/tap-parser'), join(directory, 'node_modules/tap-parser'))
  for (const name of [
    'sh',
    'bash',
    'mkdir',
    'cat',
    'cp',
    'chmod',
    'tee',
    'tail',
    'grep',
    'timeout',
    'mktemp',
    'rm',
    'dirname',
  ]) {
    const real = ['/usr/bin', '/bin'].map((folder) => join(folder, name)).find((file) => existsSync(file))
    if (real !== undefined) symlinkSync(real, join(path, name))
  }
  symlinkSync(process.execPath, join(path, 'node'))

  const put = (name: string, script: string) => {
    writeFileSync(join(path, name), script)
    chmodSync(join(path, name), 0o755)
  }
  const run = (command: string, args: string[], env: NodeJS.ProcessEnv = {}) =>
    new Promise<Result>((settle) => {
      const options = { cwd: directory, env: { PATH: path, HOME: join(root, 'home'), ...env }, timeout: 600_000 }
      execFile(command, args, options, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
        settle({ code, stdout, stderr })
      })
    })
  const setUp = (args: string[], env?: NodeJS.ProcessEnv) =>
    run(process.execPath, ['src/setup/set-up.mjs', ...args], env)
  return { directory, path, cache: join(root, 'home/.cache/cc-executor'), put, run, setUp }
}
