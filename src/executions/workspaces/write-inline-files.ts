import { ConfinedPathError, writeConfined } from '../../platform/confined-folder.js'
import { toBytes, type InlineFile } from '../../protocol/inline-files.js'
import { WorkspaceError } from './prepare-workspace.js'

/**
 * Writes the files of a request; a regular file of that name is replaced, and no link is followed. @throws
 * WorkspaceError
 */
export async function writeInlineFiles(workspace: string, files: readonly InlineFile[]): Promise<void> {
  for (const [index, file] of files.entries()) {
    try {
      await writeConfined(workspace, file.path, toBytes(file), { replaces: true })
    } catch (error) {
      // Safe: whatever node:fs rejects with is an errno exception.
      const why =
        error instanceof ConfinedPathError
          ? error.message
          : `could not be written (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`
      throw new WorkspaceError(`files.${index}.path: ${JSON.stringify(file.path)} ${why}.`, { cause: error })
    }
  }
}
