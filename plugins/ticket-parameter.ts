/** A request of Node's, as far as it matters here; Fastify keeps the address that it came with beside its own. */
export interface WithUrl {
  url?: string | undefined
  originalUrl?: string | undefined
}

const taken = new WeakMap<object, string>()

const isTicket = (parameter: string): boolean => {
  const name = parameter.split('=', 1)[0] ?? ''
  try {
    return decodeURIComponent(name.replaceAll('+', ' ')) === 'ticket'
  } catch {
    return false
  }
}

/**
 * Takes `?ticket=` out of the address of a request, before anything sees it: no log, error, redirect or schema of a
 * query can repeat what was never there. One that is given several times counts as none.
 */
export function takeTicket(request: WithUrl): void {
  if (request.url?.includes('?') !== true) return
  const [path = '', ...rest] = request.url.split('?')
  const parameters = rest.join('?').split('&')
  const tickets = parameters.filter(isTicket)
  if (tickets.length === 0) return
  const [first = ''] = tickets
  if (tickets.length === 1) taken.set(request, first.slice(first.indexOf('=') + 1))
  const others = parameters.filter((parameter) => !isTicket(parameter))
  request.url = others.length === 0 ? path : `${path}?${others.join('&')}`
  request.originalUrl = request.url
}

/** What `takeTicket` took out of the address. */
export const ticketOf = (request: object): string | undefined => taken.get(request)
