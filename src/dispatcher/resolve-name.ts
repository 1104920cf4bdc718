import type { LookupAddress } from 'node:dns'
import { lookup, Resolver } from 'node:dns/promises'
import { isIPv4 } from 'node:net'

/** How many of libuv's four threads may look up names that only the system knows. */
const mostSystemLookups = 2

/** DNS has no such name, or there is no DNS: a hosts file or a search domain may still have it. */
const notInDns = new Set(['ENOTFOUND', 'ENODATA', 'ECONNREFUSED'])

/**
 * Resolves names by Node's own DNS client, which takes no thread. `dns.lookup` alone would hold one of libuv's four
 * until the system gives up on a server that does not answer, and a tenant may choose such a server: 4 such lookups
 * kept every other name waiting for 20 s, 16 of them for 80 s, our own connections to the database among them.
 *
 * What DNS does not have is asked of the system, two at a time: hosts files, search domains, names without a dot.
 */
export class NameResolver {
  readonly #underWay = new Map<string, Promise<LookupAddress[]>>()
  readonly #waiting: (() => void)[] = []
  readonly #servers: readonly string[] | null
  #dns: Resolver
  #systemLookups = 0

  /** @param servers addresses with ports; `null`: those of the system, read again whenever none of them answers. */
  constructor(servers: readonly string[] | null = null) {
    this.#servers = servers
    this.#dns = this.#newClient()
  }

  /**
   * All addresses of a name, at least one. Those who ask while it is under way get the same answer.
   *
   * @throws Error with the code ENOTFOUND or EAI_AGAIN.
   */
  resolve(name: string): Promise<LookupAddress[]> {
    let answer = this.#underWay.get(name)
    if (answer === undefined) {
      answer = this.#resolve(name).finally(() => this.#underWay.delete(name))
      this.#underWay.set(name, answer)
    }
    return answer
  }

  async #resolve(name: string): Promise<LookupAddress[]> {
    if (!name.replace(/\.$/, '').includes('.')) return this.#askSystem(name)
    const dns = this.#dns
    const answers = await Promise.allSettled([dns.resolve4(name), dns.resolve6(name)])
    const addresses = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
    if (addresses.length > 0) return addresses.map((address) => ({ address, family: isIPv4(address) ? 4 : 6 }))
    const codes = answers.map((answer) => (answer.status === 'rejected' ? String(answer.reason.code) : 'ENODATA'))
    const code = codes.find((each) => !notInDns.has(each))
    if (code === undefined) return this.#askSystem(name)
    if (dns === this.#dns) this.#dns = this.#newClient()
    throw Object.assign(new Error(`the name could not be resolved: ${code}`), { code: 'EAI_AGAIN' })
  }

  /** What the former one was asked it still answers. */
  #newClient(): Resolver {
    const client = new Resolver()
    if (this.#servers) client.setServers(this.#servers)
    return client
  }

  async #askSystem(name: string): Promise<LookupAddress[]> {
    if (this.#systemLookups >= mostSystemLookups) await new Promise<void>((go) => this.#waiting.push(go))
    else this.#systemLookups += 1
    try {
      return await lookup(name, { all: true })
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#systemLookups -= 1
    }
  }
}
