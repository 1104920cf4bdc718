import { createHash } from 'node:crypto'
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Knex } from 'knex'
import type { RecordingJob } from '../calls/recording-queue.ts'
import type { AudioParts } from './audio.ts'

const suffix = '.mp3'
/** A file this old, in milliseconds, belongs to no transfer that still runs. */
const leftOverAfterMs = 3_600_000

/** Recordings on their way to the transcription: a file each, for as long as their call is being worked on. */
export class AudioFiles {
  readonly #directory: string
  /** Interrupted downloads, by the path of the complete file. */
  readonly parts: AudioParts = new Map()

  /** @param home `CALLBOX_HOME`; the files are in `audio` below it. */
  constructor(home: string) {
    this.#directory = join(home, 'audio')
  }

  async prepare(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
  }

  path({ businessId, callSid }: RecordingJob, recordingSid: string): string {
    // A recording without a SID is named after its address, which may be too long for a file name.
    const name = /^RE\w{1,64}$/.test(recordingSid) ? recordingSid : hashOf(recordingSid)
    return join(this.#directory, `${businessId}.${encodeURIComponent(callSid)}.${name}${suffix}`)
  }

  /** Whether a recording's audio is here, whole. Another machine may have fetched it, or this one may have crashed. */
  async has(job: RecordingJob, recordingSid: string, bytes: number): Promise<boolean> {
    const found = await stat(this.path(job, recordingSid)).catch(() => null)
    return found?.size === bytes
  }

  /** Removes the audio of a recording, or of all of the call's. */
  async remove(job: RecordingJob, recordingSid?: string): Promise<void> {
    if (recordingSid !== undefined) return rm(this.path(job, recordingSid), { force: true })
    const prefix = `${job.businessId}.${encodeURIComponent(job.callSid)}.`
    for (const name of await readdir(this.#directory)) {
      if (name.startsWith(prefix)) await rm(join(this.#directory, name), { force: true })
    }
    for (const path of this.parts.keys()) {
      if (path.startsWith(join(this.#directory, prefix))) this.parts.delete(path)
    }
  }

  /** Removes files left behind by a `kill -9` or a run on another machine: those of calls that are not being worked on. */
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

const callSidOf = (fileName: string): string => decodeURIComponent(fileName.split('.')[1] ?? '')
const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex')
