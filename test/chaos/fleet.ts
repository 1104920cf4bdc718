import { type ServiceProcess, spawnService } from '../helpers/service-process.ts'
import { startTcpProxy, type TcpProxy } from '../helpers/tcp-proxy.ts'

const longestStopMs = 20_000

/** One of the dispatchers: the process that is it now, and its own way to the database. */
export class FleetMember {
  readonly proxy: TcpProxy
  readonly #settings: Record<string, string>
  #process: ServiceProcess
  #stopped: Promise<number | NodeJS.Signals> | null = null

  private constructor(proxy: TcpProxy, settings: Record<string, string>) {
    this.proxy = proxy
    this.#settings = settings
    this.#process = spawnService(['dispatcher'], proxy.databaseUrl, settings)
  }

  static async start(databaseUrl: string, settings: Record<string, string>): Promise<FleetMember> {
    return new FleetMember(await startTcpProxy(databaseUrl), settings)
  }

  /** Its id in `dispatchers`, as it last said; `null` while it owns nothing. */
  get id(): string | null {
    const line = this.#process.log.findLast(({ event }) => event === 'lease.gained' || event === 'lease.lost')
    return typeof line?.['dispatcher'] === 'string' ? line['dispatcher'] : null
  }

  ready(): Promise<void> {
    return this.#process.ready()
  }

  signal(name: NodeJS.Signals): void {
    this.#process.signal(name)
  }

  exited(): Promise<number | NodeJS.Signals> {
    return this.#process.exited()
  }

  hasExited(): boolean {
    return this.#process.hasExited()
  }

  startAgain(): void {
    this.#process = spawnService(['dispatcher'], this.proxy.databaseUrl, this.#settings)
  }

  /** Lines of its log that tell of something that must not be. */
  errors(): string[] {
    return this.#process.log.filter(({ level }) => Number(level) >= 50).map((line) => JSON.stringify(line))
  }

  /** @returns how it ended: 0 for a clean stop. */
  stop(): Promise<number | NodeJS.Signals> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<number | NodeJS.Signals> {
    if (!this.hasExited()) this.signal('SIGTERM')
    const timer = setTimeout(() => this.signal('SIGKILL'), longestStopMs)
    const code = await this.exited()
    clearTimeout(timer)
    await this.proxy.close()
    return code
  }
}
