import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

/** `callbox check` as an operator runs it. */
export function runCheck(
  databaseUrl: string,
  ...options: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { PATH: process.env['PATH'], DATABASE_URL: databaseUrl }
  // Not the root, where a developer may have a `.env`.
  const cwd = fileURLToPath(new URL('.', import.meta.url))
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, 'check', ...options], { env, cwd }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}
