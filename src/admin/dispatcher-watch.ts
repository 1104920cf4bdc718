import type { Knex } from 'knex'
import { LivingDispatchers } from './living-dispatchers.ts'

interface Beat {
  id: string
  beat: string
}

const everyMs = 1_000

/**
 * Watches the beats of dispatchers, so that whoever asks once learns whether they move. Until it has watched for 3 s it
 * takes a dead one for alive; so it does after the database was away, when nobody's beat could move.
 */
export class DispatcherWatch {
  readonly #knex: Knex
  #living = new LivingDispatchers(() => performance.now())
  #timer: NodeJS.Timeout | null = null
  #stopped = false

  constructor(knex: Knex) {
    this.#knex = knex
  }

  start(): void {
    void this.#look()
  }

  stop(): void {
    this.#stopped = true
    if (this.#timer) clearTimeout(this.#timer)
  }

  /** The ids of those that live. @param beats what all rows have now. */
  living(beats: readonly Beat[]): Set<string> {
    return this.#living.living(beats)
  }

  async #look(): Promise<void> {
    try {
      this.living(await this.#knex('callbox.dispatchers').select<Beat[]>('id', this.#knex.raw('beat::text')))
    } catch {
      this.#living = new LivingDispatchers(() => performance.now())
    }
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#look(), everyMs)
  }
}
