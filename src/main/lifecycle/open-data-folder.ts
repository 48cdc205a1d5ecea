import { access, constants } from 'node:fs/promises'
import { ConfigError, type Config } from '../../platform/config.js'
import { makeFolder } from '../../platform/make-folder.js'

/** Makes the data folder. @throws ConfigError naming it */
export async function openDataFolder({ dataDir }: Config): Promise<void> {
  try {
    await makeFolder(dataDir, 0o700)
    await access(dataDir, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    // Safe: node:fs rejects with errno exceptions.
    const { code, message } = error as NodeJS.ErrnoException
    throw new ConfigError(
      `CC_EXECUTOR_DATA_DIR: ${dataDir} cannot be used (${code ?? message}); make it writable or choose another folder.`,
    )
  }
}
