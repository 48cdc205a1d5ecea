import type { ClaudeAuthentication, Readiness } from '../../protocol/service-state.js'

type Status = Readiness['parts']['redis']['status']

/** Texts that were written for the operator name paths, hosts and workers: none of them is passed on. */
const say = ({ status }: { readonly status: Status }) => ({
  status,
  message: status === 'ok' ? 'in order' : 'not ready; with a token of the read scope the reason is shown',
})

const sayAuthentication = ({ method, source, billed }: ClaudeAuthentication): ClaudeAuthentication => ({
  method,
  // Of a login it is the file; else a variable.
  source: method === 'login' ? 'login' : source,
  billed,
  message: method === 'none' ? 'There is no credential.' : `A credential of type ${method} is used.`,
})

/** What a probe without a token is told: the state of each part, and nothing that names something of this place. */
export function toReadinessForStrangers({ status, parts }: Readiness): Readiness {
  const { redis, queue, workers, claude, containment } = parts
  const { authentication, account: _account, credentials: _credentials, ...known } = claude
  return {
    status,
    parts: {
      redis: say(redis),
      queue: { ...queue, ...say(queue) },
      workers: { ...say(workers), count: workers.count },
      claude: {
        ...known,
        ...say(claude),
        authentication: authentication && sayAuthentication(authentication),
      },
      containment: { ...containment, ...say(containment) },
    },
  }
}
