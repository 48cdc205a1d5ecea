import { access, constants } from 'node:fs/promises'
import { ConfigError, type Config } from '../../platform/config.js'
import { makeFolder } from '../../platform/make-folder.js'
import { listLeadingFiles, requireOwnFolders } from '../../platform/own-places.js'
import { requireNotRunWritable } from '../../platform/run-writable.js'

/** Makes the data folder, of which no run may see anything. @throws ConfigError naming the setting */
export async function openDataFolder(config: Config): Promise<void> {
  const { dataDir } = config
  requireOwnFolders(config)
  requireNotRunWritable(listLeadingFiles(config), config)
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
