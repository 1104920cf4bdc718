import type { Knex } from 'knex'
import { codeOf, sessionFaults } from './errors.ts'
import { poolOf } from './knex.ts'
import { missingPrivileges } from './privileges.ts'
import { missingMigrations } from './schema-version.ts'
import { describeTrouble } from './unusable.ts'

/** `null` when the database has the schema of this version, and its user may work on it; else a sentence. */
export const whatIsMissing = async (knex: Knex): Promise<string | null> =>
  (await missingMigrations(knex)) ?? (await missingPrivileges(knex))

/** How long `/readyz` waits for the database, in milliseconds. */
const maxAnswerMs = 4_000
/** An exhausted pool that has answered within this time is merely busy, in milliseconds. */
const busyMs = 5_000

/**
 * Checks, on the connections that the work uses, whether the database can be written to and has the schema of this
 * version. Concurrent callers share one check.
 */
export class DatabaseReadiness {
  readonly #knex: Knex
  #asking: Promise<string | null> | null = null

  constructor(knex: Knex) {
    this.#knex = knex
  }

  /** What is wrong, in one line without names and addresses; `null`: nothing. */
  check(): Promise<string | null> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null
    })
    return this.#asking
  }

  async #ask(): Promise<string | null> {
    const late = Promise.withResolvers<string>()
    const timer = setTimeout(
      () => late.resolve(`the database does not answer within ${maxAnswerMs / 1000} s`),
      maxAnswerMs,
    )
    try {
      return await Promise.race([late.promise, this.#missing()])
    } catch (error) {
      const isBusy = codeOf(error) === sessionFaults.poolFull && poolOf(this.#knex).answeredWithin(busyMs)
      return isBusy ? null : describeTrouble(error)
    } finally {
      clearTimeout(timer)
    }
  }

  async #missing(): Promise<string | null> {
    await poolOf(this.#knex).probe()
    return await whatIsMissing(this.#knex)
  }
}
