const TOKEN = /[ \t\r\n]*("(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[{}[\],:])/uy

interface Level {
  readonly isObject: boolean
  name: string
  expectsName: boolean
}

/** The path, in dots, of the member in or after which a text stops being JSON; '' where none has begun. Only for telling people: JSON.parse decides. */
export function locateFault(text: string): string {
  const levels: Level[] = []
  const token = new RegExp(TOKEN)
  for (let match = token.exec(text); match; match = token.exec(text)) {
    const [, found = ''] = match
    const level = levels.at(-1)
    if (found === '{' || found === '[') levels.push({ isObject: found === '{', name: '', expectsName: found === '{' })
    else if (found === '}' || found === ']') {
      if (level?.isObject !== (found === '}')) break
      levels.pop()
    }
    else if (level?.isObject && found === ',') level.expectsName = true
    else if (level?.expectsName && found.startsWith('"')) {
      level.name = found.slice(1, -1)
      level.expectsName = false
    }
    // What stands here is no name.
    else if (level?.expectsName) break
  }
  return levels.flatMap(({ name }) => (name === '' ? [] : name)).join('.')
}
