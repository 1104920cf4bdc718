import { existsSync, writeFileSync } from 'node:fs'
import type { ClockChange } from './plan.ts'

const places = ['x86_64', 'aarch64'].map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`)

/** The wall clock of one process, by libfaketime (Debian's package of that name). Its monotonic clock stays right. */
export class FakeClock {
  readonly environment: Record<string, string>
  readonly #file: string

  private constructor(library: string, file: string) {
    this.#file = file
    this.environment = {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      TZ: 'UTC',
    }
    this.set('right')
  }

  /** @returns `null` where the library is not installed. */
  static find(file: string): FakeClock | null {
    const library = places.find((place) => existsSync(place))
    return library === undefined ? null : new FakeClock(library, file)
  }

  set(clock: ClockChange['clock']): void {
    const now = new Date().toISOString().slice(0, 19).replace('T', ' ')
    const words = { right: '+0', 'an hour ahead': '+3600', 'an hour behind': '-3600', 'standing still': now }
    writeFileSync(this.#file, `${words[clock]}\n`)
  }
}
