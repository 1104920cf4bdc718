import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { ConfigError } from '../config.ts'

const generatedSecrets = z.object({
  adminToken: z.string().min(16),
  secretsKey: z.base64(),
  databasePassword: z.string().min(8),
})

export type GeneratedSecrets = z.infer<typeof generatedSecrets>

/**
 * The secrets of an installation on the embedded database: made once, kept in `secrets.json` (mode 0600) below `home`.
 *
 * @throws {ConfigError} when the file is there but cannot be used; it is left as it is, since it alone opens the data.
 */
export function keepGeneratedSecrets(home: string): GeneratedSecrets {
  const file = join(home, 'secrets.json')
  mkdirSync(home, { recursive: true })
  try {
    const made: GeneratedSecrets = {
      adminToken: randomBytes(24).toString('base64url'),
      secretsKey: randomBytes(32).toString('base64'),
      databasePassword: randomBytes(24).toString('base64url'),
    }
    writeFileSync(file, `${JSON.stringify(made, null, 2)}\n`, { mode: 0o600, flag: 'wx', flush: true })
    return made
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
  chmodSync(file, 0o600)
  const parsed = generatedSecrets.safeParse(parseJson(readFileSync(file, 'utf8')))
  if (!parsed.success) {
    throw new ConfigError(`CALLBOX_HOME: ${file} is damaged; restore it, or remove ${home} to start from nothing`)
  }
  return parsed.data
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
