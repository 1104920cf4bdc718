import { randomUUID } from 'node:crypto'
import { rename, rm } from 'node:fs/promises'
import { PartSink } from './part-sink.ts'

/** What is there of a recording that is being downloaded, and what is known of the whole. */
export class PartialAudio {
  readonly #file: string
  #bytes = 0
  #validator: string | null = null
  #total: number | null = null
  #doubtedBytes: number | null = null
  #sink: PartSink | null = null

  /** @param path of the whole, which a part has a name beside. */
  constructor(path: string) {
    this.#file = `${path}.${randomUUID()}.part`
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Of the whole; `null`: not known. */
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

  /** Doubts that the whole is here. @returns `false` if it came out at this size before: then that is all there is. */
  doubt(): boolean {
    if (this.#doubtedBytes === this.#bytes) return false
    this.#doubtedBytes = this.#bytes
    return true
  }

  /** Where what comes next goes; `settle` follows, whatever becomes of the transfer. */
  sink(maxBytes: number): PartSink {
    this.#sink = new PartSink(this.#file, this.#bytes, maxBytes)
    return this.#sink
  }

  /** @throws Error when the file cannot be written, or is not there any more. */
  async settle(): Promise<void> {
    const sink = this.#sink
    if (sink === null) return
    this.#sink = null
    this.#bytes = 0
    this.#bytes = await sink.settle()
  }

  /** Gives it the name of the whole. */
  async finish(path: string): Promise<void> {
    await rename(this.#file, path)
  }

  async remove(): Promise<void> {
    await rm(this.#file, { force: true })
  }
}
