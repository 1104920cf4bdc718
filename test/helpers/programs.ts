import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

const directories = (process.env['PATH'] ?? '').split(delimiter)

const isInstalled = (program: string): boolean =>
  directories.some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })

/**
 * For `describe.skipIf`: whether a program that comes with a Debian package is missing. Then it is said, in a line of
 * the test run's output, what is not tested and how to have it tested.
 */
export function isMissing(program: string, debianPackage: string): boolean {
  if (isInstalled(program)) return false
  process.stderr.write(
    `skipped, because ${program} is not installed (apt-get install --no-install-recommends ${debianPackage})\n`,
  )
  return true
}
