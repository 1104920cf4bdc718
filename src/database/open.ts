import { join } from 'node:path'
import { type AdminToken, type Config, ConfigError } from '../config.ts'
import { type EmbeddedDatabase, startEmbeddedDatabase } from './embedded.ts'
import { embeddedSettings } from './embedded-settings.ts'
import { keepGeneratedSecrets } from './generated-secrets.ts'

export interface OpenedDatabase {
  url: string
  adminTokens: AdminToken[]
  secretsKey: Buffer | null
  /** `null`: `DATABASE_URL` names a server that somebody else runs. */
  embedded: EmbeddedDatabase | null
}

/**
 * The database that the settings name: the given server, or the embedded one, started, migrated and with the secrets
 * that were not given generated.
 *
 * @param alone whether this process runs all roles; the embedded database is for one process.
 * @throws {ConfigError} when it is not.
 */
export async function openDatabase(config: Config, alone: boolean): Promise<OpenedDatabase> {
  if (config.databaseUrl !== null) {
    const { databaseUrl: url, adminTokens, secretsKey } = config
    return { url, adminTokens, secretsKey, embedded: null }
  }
  if (!alone) {
    throw new ConfigError(
      'DATABASE_URL: got nothing; roles that run apart share a PostgreSQL, postgres://user:password@host:port/database',
    )
  }
  const secrets = keepGeneratedSecrets(config.home)
  const embedded = await startEmbeddedDatabase({
    directory: join(config.home, 'postgres'),
    port: 0,
    password: secrets.databasePassword,
    settings: embeddedSettings(),
  })
  try {
    // With pg-boss behind it: a process that does not migrate is spared it.
    const { migrate } = await import('./migrate.ts')
    await migrate(embedded.url, config.databaseSchema)
  } catch (error) {
    await embedded.stop()
    throw error
  }
  return {
    url: embedded.url,
    adminTokens: config.adminTokens.length > 0 ? config.adminTokens : [{ name: 'admin', token: secrets.adminToken }],
    secretsKey: config.secretsKey ?? Buffer.from(secrets.secretsKey, 'base64'),
    embedded,
  }
}
