import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Knex } from 'knex'
import type { RecordingJob } from '../calls/recording-queue.ts'

const suffix = '.mp3'
/** A file this old, in milliseconds, belongs to no transfer that still runs. */
const leftOverAfterMs = 3_600_000

/** Recordings on their way to the transcription: one file a call, for as long as the call is being worked on. */
export class AudioFiles {
  readonly #directory: string

  /** @param home `CALLBOX_HOME`; the files are in `audio` below it. */
  constructor(home: string) {
    this.#directory = join(home, 'audio')
  }

  async prepare(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
  }

  path({ businessId, callSid }: RecordingJob): string {
    return join(this.#directory, `${businessId}.${encodeURIComponent(callSid)}${suffix}`)
  }

  /** Whether the call's audio is here, whole. Another machine may have fetched it, or this one may have crashed. */
  async has(job: RecordingJob, bytes: number): Promise<boolean> {
    const found = await stat(this.path(job)).catch(() => null)
    return found?.size === bytes
  }

  async remove(job: RecordingJob): Promise<void> {
    await rm(this.path(job), { force: true })
  }

  /** Removes what a `kill -9` or a run on another machine left behind: files of calls that nobody works on. */
  async sweep(knex: Knex): Promise<void> {
    const old: string[] = []
    for (const name of await readdir(this.#directory)) {
      const found = await stat(join(this.#directory, name)).catch(() => null)
      if (found && Date.now() - found.mtimeMs > leftOverAfterMs) old.push(name)
    }
    const sids = old.filter((name) => name.endsWith(suffix)).map(callSidOf)
    const inWork = await knex('callbox.calls')
      .whereIn('call_sid', sids)
      .whereIn('state', ['queued', 'processing'])
      .pluck('call_sid')
    for (const name of old) {
      if (!name.endsWith(suffix) || !inWork.includes(callSidOf(name))) {
        await rm(join(this.#directory, name), { force: true })
      }
    }
  }
}

const callSidOf = (fileName: string): string =>
  decodeURIComponent(fileName.slice(fileName.indexOf('.') + 1, -suffix.length))
