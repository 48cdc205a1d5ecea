// The sources of the program, and what each of them imports.
import { existsSync, readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import ts from 'typescript-6'
import { ROOT } from './paths.js'

export const TOP = ['src', 'plugins', 'routes', 'workers', 'openapi']

export interface Import {
  readonly from: string
  /** A path below the root, or a package's name. */
  readonly to: string
  readonly isType: boolean
  readonly isPackage: boolean
}

export async function listSources(folder: string): Promise<string[]> {
  const entries = await readdir(join(ROOT, folder), { withFileTypes: true })
  const nested = await Promise.all(
    entries.map(async (entry) => {
      const path = `${folder}/${entry.name}`
      if (entry.isDirectory()) return listSources(path)
      return /\.(?:tsx?|mjs|js|lua)$/.test(entry.name) ? [path] : []
    }),
  )
  return nested.flat()
}

/** What an import names is the output: of a file with elements, too. */
const toSource = (path: string): string => {
  const source = path.replace(/\.js$/, '.ts')
  return existsSync(join(ROOT, source)) || !existsSync(join(ROOT, `${source}x`)) ? source : `${source}x`
}

export const roomOf = (path: string): string =>
  path.startsWith('src/') ? path.split('/').slice(0, 2).join('/') : (path.split('/')[0] ?? path)

/**
 * Every import and re-export of a file: static, dynamic, and in types; of Lua what it includes, and the constants that
 * it is given.
 */
export function readImports(from: string): Import[] {
  if (from.endsWith('.lua')) return readIncludes(from)
  const found: Import[] = []
  const add = (specifier: ts.Node | undefined, isType: boolean): void => {
    if (!specifier || !ts.isStringLiteralLike(specifier)) return
    const { text } = specifier
    const isPackage = !text.startsWith('.')
    const name = text
      .split('/')
      .slice(0, text.startsWith('@') ? 2 : 1)
      .join('/')
    found.push({
      from,
      isType,
      isPackage,
      to: isPackage ? name : toSource(relative(ROOT, join(ROOT, dirname(from), text))),
    })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      const { importClause } = node
      const named = importClause?.namedBindings
      const onlyTypes =
        named !== undefined &&
        ts.isNamedImports(named) &&
        importClause?.name === undefined &&
        named.elements.length > 0 &&
        named.elements.every((element) => element.isTypeOnly)
      add(node.moduleSpecifier, importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword || onlyTypes)
    } else if (ts.isExportDeclaration(node)) {
      add(node.moduleSpecifier, node.isTypeOnly)
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0], false)
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      add(node.argument.literal, true)
    }
    ts.forEachChild(node, visit)
  }
  visit(parse(from))
  return found
}

const parsed = new Map<string, ts.SourceFile>()
/** Each file once for all tests. */
export function parse(file: string): ts.SourceFile {
  const known = parsed.get(file)
  if (known) return known
  const text = readFileSync(join(ROOT, file), 'utf8')
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  parsed.set(file, source)
  return source
}

function readIncludes(from: string): Import[] {
  const uses = readFileSync(join(ROOT, from), 'utf8').matchAll(/^--- @(?:include|constant \w+) "([^"]+)"$/gm)
  return [...uses].map(([, path = '']) => ({
    from,
    to: relative(ROOT, join(ROOT, dirname(from), path)),
    isType: false,
    isPackage: false,
  }))
}

export const sources = (
  await Promise.all(TOP.filter((folder) => existsSync(join(ROOT, folder))).map(listSources))
).flat()
