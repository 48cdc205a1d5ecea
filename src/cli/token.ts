import { parseArgs } from 'node:util'
import { ConfigError, readConfig } from '../platform/config.js'
import { EXIT_CODES, type Command } from './command.js'
import { readLocalToken } from './find-service.js'

export const token: Command = {
  summary: ['token', 'prints the token that clients send'],
  usage: `Usage: cc-executor token

Prints the token of the data folder (CC_EXECUTOR_DATA_DIR), which clients send as Authorization: Bearer; created at the first start.`,
  async run(args) {
    parseArgs({ args })
    const config = readConfig()
    const found = await readLocalToken(config)
    if (found === undefined) {
      throw new ConfigError(
        config.tokens === undefined
          ? `There is no token yet (${config.tokenFile}): the first start creates one.`
          : 'The tokens are configured by CC_EXECUTOR_TOKENS; take one from there.',
      )
    }
    process.stdout.write(`${found}\n`)
    return EXIT_CODES.succeeded
  },
}
