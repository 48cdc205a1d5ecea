import { LoginError, type LoginKeeper } from '../../claude/install/login-keeper.js'
import { toRunLogin, type Login } from '../../claude/install/login-file.js'
import { writeConfined } from '../../platform/confined-folder.js'
import type { Logger } from '../../platform/logger.js'
import type { OtherLogin } from '../claim/run-reach.js'
import { CLAUDE_FOLDER } from '../workspaces/renew-home.js'

export const toOther = (error: unknown): OtherLogin =>
  error instanceof LoginError && error.isTransient ? { kind: 'unknown', why: error.message } : { kind: 'none' }

/** The access token of the operator's login in the hands of a run. */
export interface RunLogin {
  /** After the API has refused it. */
  findOther(): Promise<OtherLogin>
  close(): Promise<void>
}

/** By a path of the run's, so through no link that it, or one before it, has laid. */
export async function writeLogin(home: string, login: string): Promise<void> {
  const file = `${CLAUDE_FOLDER}/.credentials.json`
  await writeConfined(home, file, Buffer.from(login), { mode: 0o600, replaces: true })
}

/**
 * Gives a run the login's access token and, as long as it goes on, each newer one: both CLIs look whether the file has
 * changed before they ask the API, and after it has refused them (measured). @throws LoginError
 */
export async function lendLogin(keeper: LoginKeeper, home: string, logger: Logger): Promise<RunLogin> {
  const first = await keeper.current()
  await writeLogin(home, toRunLogin(first))
  let given = first
  let written = Promise.resolve()
  const follower = keeper.follow((login: Login) => {
    given = login
    written = written
      .then(() => writeLogin(home, toRunLogin(login)))
      .catch((error: unknown) => logger.warn({ err: error }, 'a run could not be given the renewed login'))
  })
  return {
    findOther: () =>
      keeper
        .current(given.accessToken)
        .then(({ accessToken }): OtherLogin => ({ kind: accessToken === first.accessToken ? 'none' : 'another' }))
        .catch(toOther),
    async close() {
      follower.release()
      await written
    },
  }
}
