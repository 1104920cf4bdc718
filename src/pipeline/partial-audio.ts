import { randomUUID } from 'node:crypto'
import { rename, rm } from 'node:fs/promises'
import { PartSink } from './part-sink.ts'

/** The downloaded part of a recording, and what is known about the complete file. */
export class PartialAudio {
  readonly #file: string
  #bytes = 0
  #validator: string | null = null
  #total: number | null = null
  #doubtedBytes: number | null = null
  #sink: PartSink | null = null

  /** @param path of the complete file; the part's name is derived from it. */
  constructor(path: string) {
    this.#file = `${path}.${randomUUID()}.part`
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Of the complete file; `null`: unknown. */
  get total(): number | null {
    return this.#total
  }

  /** What an `If-Range` header takes: `ETag` or `Last-Modified` of the whole; `null`: neither is known. */
  get validator(): string | null {
    return this.#validator
  }

  /** Whether all of it is here, as far as that is known. */
  get isWhole(): boolean {
    return this.#total === null ? this.#bytes > 0 : this.#bytes === this.#total
  }

  get file(): string {
    return this.#file
  }

  /** Begins from zero, with another answer. */
  restart(validator: string | null, total: number | null): void {
    this.#bytes = 0
    this.#validator = validator
    this.#total = total
  }

  /** A later answer says how much there is. */
  learnTotal(total: number): void {
    this.#total = total
  }

  /** Marks the file as suspect. @returns `false` if it had this size before: then it is complete. */
  doubt(): boolean {
    if (this.#doubtedBytes === this.#bytes) return false
    this.#doubtedBytes = this.#bytes
    return true
  }

  /** The sink for the next bytes; call its `settle` however the transfer ends. */
  sink(maxBytes: number): PartSink {
    this.#sink = new PartSink(this.#file, this.#bytes, maxBytes)
    return this.#sink
  }

  /** @throws Error when the file cannot be written or no longer exists. */
  async settle(): Promise<void> {
    const sink = this.#sink
    if (sink === null) return
    this.#sink = null
    this.#bytes = 0
    this.#bytes = await sink.settle()
  }

  /** Renames it to the complete file. */
  async finish(path: string): Promise<void> {
    await rename(this.#file, path)
  }

  async remove(): Promise<void> {
    await rm(this.#file, { force: true })
  }
}
