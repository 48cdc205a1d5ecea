import luaparse from 'luaparse'

/** What Redis gives to a script, as far as it is used. */
const REDIS_GLOBALS =
  'redis cjson KEYS ARGV string table math tonumber tostring ipairs pairs next unpack type pcall'.split(' ')

interface Local {
  readonly name: string
  readonly line: number
  isRead: boolean
}

type Scope = Map<string, Local>

export interface LuaLint {
  /** In words, with their line. */
  readonly findings: readonly string[]
  /** Names that the text does not declare and that are none of Redis's own. */
  readonly free: ReadonlySet<string>
  /** Locals of the chunk itself: what a file gives to those that include it. */
  readonly declared: readonly string[]
  /** Those of them that nothing reads. */
  readonly unread: readonly string[]
}

/**
 * Reads a chunk of Lua 5.1: what it declares and does not read, what it reads and does not declare. @throws SyntaxError
 * of the parser
 */
export function lintLua(text: string): LuaLint {
  const chunk = luaparse.parse(text, { luaVersion: '5.1', locations: true, comments: false })
  const findings: string[] = []
  const free = new Set<string>()

  const declare = (scopes: readonly Scope[], { name, loc }: luaparse.Identifier): Local => {
    const line = loc?.start.line ?? 0
    const scope = scopes.at(-1)
    if (scope?.has(name)) findings.push(`line ${line}: ${name} is declared twice`)
    const local = { name, line, isRead: name.startsWith('_') }
    scope?.set(name, local)
    return local
  }
  const read = (scopes: readonly Scope[], { name }: luaparse.Identifier): void => {
    const local = scopes.findLast((scope) => scope.has(name))?.get(name)
    if (local) local.isRead = true
    else if (!REDIS_GLOBALS.includes(name)) free.add(name)
  }
  const within = (scopes: readonly Scope[], work: (inner: readonly Scope[]) => void): void => {
    const own: Scope = new Map()
    work([...scopes, own])
    for (const { name, line, isRead } of own.values()) if (!isRead) findings.push(`line ${line}: ${name} is not read`)
  }
  const visitAll = (nodes: readonly luaparse.Node[], scopes: readonly Scope[]): void =>
    nodes.forEach((node) => visit(node, scopes))
  const visitFunction = (node: luaparse.FunctionDeclaration, scopes: readonly Scope[]): void =>
    within(scopes, (inner) => {
      for (const parameter of node.parameters) if (parameter.type === 'Identifier') declare(inner, parameter)
      visitAll(node.body, inner)
    })

  function visit(node: luaparse.Node, scopes: readonly Scope[]): void {
    switch (node.type) {
      case 'Identifier':
        return read(scopes, node)
      case 'LocalStatement':
        visitAll(node.init, scopes)
        node.variables.forEach((variable) => declare(scopes, variable))
        return
      case 'AssignmentStatement':
        visitAll(node.init, scopes)
        for (const target of node.variables) {
          if (target.type !== 'Identifier') visit(target, scopes)
          else if (!scopes.some((scope) => scope.has(target.name))) free.add(target.name)
        }
        return
      case 'FunctionDeclaration': {
        // Its own name counts inside, but a call of itself is no use of it.
        const { identifier } = node
        if (identifier?.type === 'Identifier' && node.isLocal) {
          const local = declare(scopes, identifier)
          visitFunction(node, scopes)
          local.isRead = false
        } else {
          if (identifier) findings.push(`line ${node.loc?.start.line}: a function that is not local`)
          visitFunction(node, scopes)
        }
        return
      }
      case 'ForNumericStatement':
        visitAll([node.start, node.end, ...(node.step ? [node.step] : [])], scopes)
        return within(scopes, (inner) => {
          declare(inner, node.variable)
          visitAll(node.body, inner)
        })
      case 'ForGenericStatement':
        visitAll(node.iterators, scopes)
        return within(scopes, (inner) => {
          node.variables.forEach((variable) => declare(inner, variable))
          visitAll(node.body, inner)
        })
      case 'IfStatement':
        for (const clause of node.clauses) {
          if (clause.type !== 'ElseClause') visit(clause.condition, scopes)
          within(scopes, (inner) => visitAll(clause.body, inner))
        }
        return
      case 'WhileStatement':
        visit(node.condition, scopes)
        return within(scopes, (inner) => visitAll(node.body, inner))
      case 'RepeatStatement':
        return within(scopes, (inner) => visitAll([...node.body, node.condition], inner))
      case 'DoStatement':
        return within(scopes, (inner) => visitAll(node.body, inner))
      case 'MemberExpression':
        return visit(node.base, scopes)
      case 'TableKeyString':
        return visit(node.value, scopes)
      default:
        // Of the rest every child is an expression that is read.
        for (const child of Object.values(node)) {
          if (Array.isArray(child)) visitAll(child.filter(isNode), scopes)
          else if (isNode(child)) visit(child, scopes)
        }
    }
  }

  const top: Scope = new Map()
  visitAll(chunk.body, [top])
  const locals = [...top.values()]
  return {
    findings,
    free,
    declared: locals.map(({ name }) => name),
    unread: locals.filter(({ isRead }) => !isRead).map(({ name }) => name),
  }
}

const isNode = (value: unknown): value is luaparse.Node =>
  typeof value === 'object' && value !== null && 'type' in value
