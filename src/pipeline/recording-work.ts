import type { Knex } from 'knex'
import type { RecordingJob } from '../calls/recording-queue.ts'
import { storeRecordingBytes, storeTranscript, type UsableRecording } from '../calls/recordings.ts'
import type { Config } from '../config.ts'
import type { Logger } from '../telemetry/logger.ts'
import { type FetchedAudio, fetchAudio } from './audio.ts'
import type { AudioFiles } from './audio-files.ts'
import { type CallInWork, insist } from './call-steps.ts'
import type { OpenAiService } from './openai-service.ts'
import { done, type Outcome } from './outcome.ts'
import type { Pause } from './pause.ts'
import { retryQuickly } from './quick-retry.ts'
import { noteRejectedLanguage } from './rejected-language.ts'
import type { PipelineTimings } from './timings.ts'
import { joinTranscripts, transcribe } from './transcript.ts'

interface Dependencies {
  knex: Knex
  config: Config
  openai: OpenAiService
  audioFiles: AudioFiles
  log: Logger
  pause: Pause
  timings: PipelineTimings
}

/** The recordings of a call in one run: each is fetched and transcribed, unless that has been done. */
export class RecordingWork {
  readonly #parts: Dependencies
  readonly #job: RecordingJob
  readonly #call: CallInWork
  readonly #aborted: AbortSignal
  /** The audio that this run fetched, by recording. */
  readonly #fetchedBytes = new Map<string, number>()
  #current: string | null = null

  constructor(parts: Dependencies, job: RecordingJob, call: CallInWork, aborted: AbortSignal) {
    this.#parts = parts
    this.#job = job
    this.#call = call
    this.#aborted = aborted
  }

  /** The recording that a setback is about; `null` once all of them are done. */
  get current(): string | null {
    return this.#current
  }

  async fetchAll(): Promise<Outcome<FetchedAudio>> {
    let total = 0
    for (const recording of this.#call.recordings) {
      if (recording.transcript !== null) continue
      const audio = await this.#fetch(recording)
      if (!audio.ok) return audio
      total += audio.value.bytes
    }
    return done({ bytes: total })
  }

  /** The transcripts of all recordings. Each is stored before the next one starts, so none is paid for twice. */
  async transcribeAll(): Promise<Outcome<string>> {
    const transcripts: string[] = []
    for (const recording of this.#call.recordings) {
      const transcript = recording.transcript === null ? await this.#transcribe(recording) : done(recording.transcript)
      if (!transcript.ok) return transcript
      transcripts.push(transcript.value)
    }
    return done(joinTranscripts(transcripts))
  }

  /** Another machine may have fetched it, and this one may have lost it in a crash. */
  async #fetch(recording: UsableRecording): Promise<Outcome<FetchedAudio>> {
    const { knex, config, audioFiles, pause, timings } = this.#parts
    const { recordingSid } = recording
    const bytes = this.#fetchedBytes.get(recordingSid) ?? recording.bytes
    if (bytes !== null && (await audioFiles.has(this.#job, recordingSid, bytes))) return done({ bytes })
    this.#current = recordingSid
    const path = audioFiles.path(this.#job, recordingSid)
    const fetchOnce = () => fetchAudio(config.twilio, recording, path, audioFiles.parts, this.#aborted)
    const startedAt = performance.now()
    const audio = await retryQuickly(fetchOnce, timings.quickRetryMs, this.#aborted)
    if (!audio.ok) return audio
    pause.answered('audio', startedAt)
    this.#fetchedBytes.set(recordingSid, audio.value.bytes)
    await storeRecordingBytes(knex, this.#job, recordingSid, audio.value.bytes)
    this.#current = null
    return audio
  }

  async #transcribe(recording: UsableRecording): Promise<Outcome<string>> {
    const { knex, openai, audioFiles } = this.#parts
    const audio = await this.#fetch(recording)
    if (!audio.ok) return audio
    const { recordingSid } = recording
    this.#current = recordingSid
    const path = audioFiles.path(this.#job, recordingSid)
    const onHint = (isTaken: boolean) => this.#noteHint(isTaken)
    const text = await transcribe(openai, path, this.#call.language, onHint, this.#aborted)
    if (!text.ok) {
      // The next run downloads it again.
      if (text.setback.kind === 'unreadable') await audioFiles.remove(this.#job, recordingSid)
      return text
    }
    const stored = await insist(() => storeTranscript(knex, this.#job, recordingSid, text.value))
    this.#current = null
    return done(stored)
  }

  async #noteHint(isTaken: boolean): Promise<void> {
    const { knex, log } = this.#parts
    const { language, rejectedLanguage } = this.#call
    if (isTaken === (rejectedLanguage !== language)) return
    await noteRejectedLanguage(knex, log, this.#job.businessId, isTaken ? '' : language)
  }
}
