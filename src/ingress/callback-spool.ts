import { createHash, randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { DirectorySync } from '../lib/directory-sync.ts'

const spooled = z.object({
  kind: z.enum(['call_status', 'recording_status']),
  query: z.string(),
  body: z.string(),
  receivedAt: z.iso.datetime().transform((text) => new Date(text)),
})

/** A signed callback that waits for the database. */
export type SpooledCallback = z.infer<typeof spooled>

/** A file that {@link CallbackSpool.append} did not write in this form; the message quotes no content. */
export class DamagedEntry extends Error {
  override name = 'DamagedEntry'
}

export class SpoolFull extends Error {
  override name = 'SpoolFull'
}

/**
 * What Twilio sends in 15 minutes of 100 callbacks a second. A callback has about 1 KB and occupies a block of 4 KB;
 * the second limit is for callers that send the maximum of 64 KB.
 */
const maxEntries = 100_000
const maxBytes = 256 * 1024 * 1024

/** From this age on an unfinished file belongs to a process that has died, in milliseconds. */
const abandonedMs = 60_000

const entryName = /^\d{16}-[0-9a-f]{8}\.callback$/
const header = 'callbox callback 1 '

/**
 * Callbacks on disk, one file each, in order of arrival. A file appears under its name only when it is completely written
 * and synced, and {@link append} resolves when its directory entry is synced too, so acknowledged callbacks survive
 * `kill -9` and a power cut. Several processes may share the directory: names never collide, and a file that another
 * process removed is gone for this one as well.
 *
 * Files have mode 0600: callbacks hold phone numbers.
 */
export class CallbackSpool {
  readonly directory: string
  readonly #damagedDirectory: string
  readonly #sync: DirectorySync
  /** Names with sizes, including files being written. Written only by append, refresh and #forget. */
  readonly #entries = new Map<string, number>()
  /** Names in {@link #entries} that are not on disk yet. */
  readonly #writing = new Set<string>()
  #bytes = 0
  #damaged = 0
  #lastMicros = 0

  constructor(home: string) {
    this.directory = join(home, 'spool')
    this.#damagedDirectory = join(this.directory, 'damaged')
    this.#sync = new DirectorySync(this.directory)
  }

  /** Waiting entries, and those set aside. */
  get waiting(): number {
    return this.#entries.size
  }

  /** Entries that can be read now. */
  get ready(): number {
    return this.#entries.size - this.#writing.size
  }

  get damaged(): number {
    return this.#damaged
  }

  /** Names of the entries on disk, oldest first. */
  names(): string[] {
    return [...this.#entries.keys()].filter((name) => !this.#writing.has(name)).sort()
  }

  /** When the oldest entry arrived, in milliseconds since the epoch; `null`: none waits. */
  oldestAt(): number | null {
    let oldest: string | null = null
    for (const name of this.#entries.keys()) if (oldest === null || name < oldest) oldest = name
    return oldest === null ? null : microsOf(oldest) / 1000
  }

  /** Creates the directory and reads what an earlier process left. @throws Error of Node when it cannot be used. */
  async prepare(): Promise<void> {
    await mkdir(this.#damagedDirectory, { recursive: true, mode: 0o700 })
    for (const directory of [this.directory, dirname(this.directory)]) await new DirectorySync(directory).sync()
    for (const name of await readdir(this.directory)) {
      if (name.endsWith('.tmp')) await this.#removeAbandoned(join(this.directory, name))
    }
    await this.refresh()
  }

  /** Whether an entry could be written. @throws SpoolFull; Error of Node, such as ENOSPC. */
  async tryOut(): Promise<void> {
    await mkdir(this.#damagedDirectory, { recursive: true, mode: 0o700 })
    this.#refuseIfFull(0)
    const path = join(this.directory, `${randomBytes(4).toString('hex')}.tmp`)
    try {
      await writeSynced(path, Buffer.alloc(4_096))
    } finally {
      await rm(path, { force: true })
    }
  }

  /** Checks which files other processes have added or removed. */
  async refresh(): Promise<void> {
    const before = new Set(this.#entries.keys())
    const onDisk = new Set((await readdir(this.directory)).filter((name) => entryName.test(name)))
    for (const name of before) if (!onDisk.has(name) && !this.#writing.has(name)) this.#forget(name)
    for (const name of onDisk) {
      if (before.has(name)) continue
      const size = await stat(join(this.directory, name)).then(
        (file) => file.size,
        () => null,
      )
      if (size !== null) this.#remember(name, size)
    }
    this.#damaged = (await readdir(this.#damagedDirectory).catch(() => [])).length
  }

  /** A name for a new callback: names sort in the order of their creation. */
  newName(): string {
    this.#lastMicros = Math.max(Date.now() * 1000, this.#lastMicros + 1)
    return `${String(this.#lastMicros).padStart(16, '0')}-${randomBytes(4).toString('hex')}.callback`
  }

  /**
   * Resolves when the entry is on disk for good.
   *
   * @throws SpoolFull; Error of Node, such as ENOSPC.
   */
  async append(name: string, callback: SpooledCallback): Promise<void> {
    const content = JSON.stringify(callback)
    const bytes = Buffer.from(`${header}${checksumOf(content)}\n${content}`)
    this.#refuseIfFull(bytes.length)
    this.#remember(name, bytes.length)
    this.#writing.add(name)
    const unfinished = join(this.directory, `${name}.tmp`)
    try {
      await writeSynced(unfinished, bytes)
      await rename(unfinished, join(this.directory, name))
      await this.#sync.sync()
    } catch (error) {
      this.#forget(name)
      await rm(unfinished, { force: true }).catch(() => undefined)
      throw error
    } finally {
      this.#writing.delete(name)
    }
  }

  /** `null`: another process has replayed it. @throws DamagedEntry; Error of Node. */
  async read(name: string): Promise<SpooledCallback | null> {
    const text = await readFile(join(this.directory, name), 'utf8').catch((error: unknown) => {
      if (isMissing(error)) return null
      throw error
    })
    if (text === null) {
      this.#forget(name)
      return null
    }
    const end = text.indexOf('\n')
    const content = text.slice(end + 1)
    if (text.slice(0, Math.max(end, 0)) !== `${header}${checksumOf(content)}`)
      throw new DamagedEntry('its checksum is wrong')
    const parsed = spooled.safeParse(JSON.parse(content))
    if (!parsed.success) throw new DamagedEntry('it has another form')
    return parsed.data
  }

  /** Removes a replayed entry. Not synced: an entry that reappears is a repeated callback, which changes nothing. */
  async remove(name: string): Promise<void> {
    await rm(join(this.directory, name), { force: true })
    this.#forget(name)
  }

  /** Moves an entry that can never be stored out of the way of the others. */
  async setAside(name: string): Promise<void> {
    await rename(join(this.directory, name), join(this.#damagedDirectory, name)).catch((error: unknown) => {
      if (!isMissing(error)) throw error
    })
    this.#forget(name)
    this.#damaged += 1
  }

  #refuseIfFull(bytes: number): void {
    if (this.#entries.size < maxEntries && this.#bytes + bytes <= maxBytes) return
    const limits = `expected at most ${maxEntries} and ${maxBytes} bytes`
    throw new SpoolFull(`${this.#entries.size} callbacks wait on disk; ${limits}`)
  }

  #remember(name: string, size: number): void {
    if (this.#entries.has(name)) return
    this.#lastMicros = Math.max(this.#lastMicros, microsOf(name))
    this.#entries.set(name, size)
    this.#bytes += size
  }

  #forget(name: string): void {
    this.#bytes -= this.#entries.get(name) ?? 0
    this.#entries.delete(name)
  }

  async #removeAbandoned(path: string): Promise<void> {
    const age = await stat(path).then(
      (file) => Date.now() - file.mtimeMs,
      () => 0,
    )
    if (age > abandonedMs) await rm(path, { force: true })
  }
}

async function writeSynced(path: string, bytes: Buffer): Promise<void> {
  let file: FileHandle | null = null
  try {
    file = await open(path, 'wx', 0o600)
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file?.close()
  }
}

/** When it arrived, in microseconds since the epoch. */
const microsOf = (name: string): number => Number(name.slice(0, 16))

const checksumOf = (content: string): string => createHash('sha256').update(content).digest('hex')

const isMissing = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT'
