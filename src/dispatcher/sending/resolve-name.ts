import type { LookupAddress } from 'node:dns'
import { SystemLookup } from './system-lookup.ts'

/** Resolves a name to all its addresses. */
export interface NameLookup {
  lookup(name: string): Promise<LookupAddress[]>
  /** Call before the first lookup, to do slow work ahead. */
  prepare?(): void
  close(): void
}

/** Resolves names as the system does; callers that ask for a name while it is being looked up share one lookup. */
export class NameResolver {
  readonly #underWay = new Map<string, Promise<LookupAddress[]>>()
  readonly #names: NameLookup

  constructor(names: NameLookup = new SystemLookup()) {
    this.#names = names
  }

  /**
   * All addresses of a name, at least one.
   *
   * @throws Error with a code of getaddrinfo, such as ENOTFOUND or EAI_AGAIN.
   */
  resolve(name: string): Promise<LookupAddress[]> {
    let answer = this.#underWay.get(name)
    if (answer === undefined) {
      answer = this.#names.lookup(name).finally(() => this.#underWay.delete(name))
      this.#underWay.set(name, answer)
    }
    return answer
  }

  prepare(): void {
    this.#names.prepare?.()
  }

  isResolving(name: string): boolean {
    return this.#underWay.has(name)
  }

  close(): void {
    this.#names.close()
  }
}
