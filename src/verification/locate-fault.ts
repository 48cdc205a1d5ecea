const TOKEN =
  /[ \t\r\n]*("(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[{}[\],:])/uy

interface Level {
  readonly isObject: boolean
  name: string
  expects: 'name' | 'colon' | 'value'
}

/**
 * The path, in dots, of the member in or after which a text stops being JSON; '' where none has begun. Only for telling
 * people: JSON.parse decides.
 */
export function locateFault(text: string): string {
  const levels: Level[] = []
  const token = new RegExp(TOKEN)
  for (let match = token.exec(text); match; match = token.exec(text)) {
    const [, found = ''] = match
    const level = levels.at(-1)
    if (level?.expects === 'colon') {
      if (found !== ':') {
        // It was no name: something else has become this object's beginning.
        level.name = ''
        break
      }
      level.expects = 'value'
    } else if (found === '{' || found === '[')
      levels.push({ isObject: found === '{', name: '', expects: found === '{' ? 'name' : 'value' })
    else if (found === '}' || found === ']') {
      if (level?.isObject !== (found === '}')) break
      levels.pop()
    } else if (level?.isObject && found === ',') level.expects = 'name'
    else if (level?.expects === 'name' && found.startsWith('"')) {
      level.name = found.slice(1, -1)
      level.expects = 'colon'
    }
    // What stands here is no name.
    else if (level?.expects === 'name') break
  }
  return levels.flatMap(({ name }) => (name === '' ? [] : name)).join('.')
}
