import type { KeyObject } from 'node:crypto'
import type pg from 'pg'
import { z } from 'zod'
import { SealError, type Sealer, sealedPlace } from '../../database/sealing.ts'
import type { WebhookUrls } from '../../outbox/routing.ts'
import { readEndpoints } from './read-endpoints.ts'
import { SigningKeys, signingKey } from './signature.ts'

export interface Endpoint {
  revision: number
  urls: WebhookUrls
  /** The business's custom headers: names and values alternately. */
  headers: string[]
  /** Whether `User-Agent` is among them, which then replaces ours. */
  hasUserAgent: boolean
  /** Newest first; two while a secret rotates. */
  readonly signingKeys: readonly KeyObject[]
  maxConcurrency: number | null
  ratePerSecond: number | null
  /** Why nothing can be signed; the secrets are then absent. */
  sealError: string | null
}

interface EndpointRow {
  business_id: string
  revision: number
  inbound_webhook_url: string | null
  outbound_webhook_url: string | null
  generic_webhook_url: string | null
  headers_sealed: Buffer | null
  signing_secret_sealed: Buffer
  previous_signing_secret_sealed: Buffer | null
  /** What is left of its time, in milliseconds. */
  previous_secret_ms: number | null
  max_concurrency: number | null
  rate_per_second: number | null
}

/** No business has it. */
const noRevision = -1

/** The settings of the businesses that this dispatcher sends for, read again when their revision has changed. */
export class Endpoints {
  readonly #pool: pg.Pool
  readonly #sealer: Sealer
  readonly #known = new Map<string, Endpoint>()

  constructor(pool: pg.Pool, sealer: Sealer) {
    this.#pool = pool
    this.#sealer = sealer
  }

  /** `null`: no such business. */
  get(businessId: string): Endpoint | null {
    return this.#known.get(businessId) ?? null
  }

  /**
   * @param revisions of businesses as a read found them; `null`: no such business.
   * @param unseen businesses that the read brought nothing of, though something of theirs waits to be sent.
   * @returns whether anything was new.
   */
  async refresh(revisions: ReadonlyMap<string, number | null>, unseen: ReadonlySet<string>): Promise<boolean> {
    const asked = new Set<string>()
    for (const [businessId, revision] of revisions) {
      if (revision === null) this.#known.delete(businessId)
      else if (this.#known.get(businessId)?.revision !== revision) asked.add(businessId)
    }
    for (const businessId of unseen) if (!revisions.has(businessId)) asked.add(businessId)
    if (asked.size === 0) return false
    // No null: `array_nulls` decides what that means in an array.
    const known = [...asked].map((businessId) => this.#known.get(businessId)?.revision ?? noRevision)
    const { rows } = await this.#pool.query<EndpointRow>(readEndpoints, [[...asked], known])
    for (const row of rows) this.#known.set(row.business_id, this.#open(row))
    return rows.length > 0
  }

  /** Forgets businesses that this dispatcher no longer sends for. */
  keepOnly(owned: (businessId: string) => boolean): void {
    for (const businessId of this.#known.keys()) if (!owned(businessId)) this.#known.delete(businessId)
  }

  #open(row: EndpointRow): Endpoint {
    let keys: SigningKeys | null = null
    const endpoint: Endpoint = {
      revision: row.revision,
      urls: { inbound: row.inbound_webhook_url, outbound: row.outbound_webhook_url, generic: row.generic_webhook_url },
      headers: [],
      hasUserAgent: false,
      // Looked at by each attempt: a former secret's time ends though nothing of the business changes.
      get signingKeys() {
        return keys?.at(performance.now()) ?? []
      },
      maxConcurrency: row.max_concurrency,
      ratePerSecond: row.rate_per_second,
      sealError: null,
    }
    try {
      const opened = this.#openKeys(row)
      if (row.headers_sealed) {
        const text = this.#sealer.open(row.headers_sealed, sealedPlace.headers(row.business_id))
        endpoint.headers = readHeaders(text)
        endpoint.hasUserAgent = endpoint.headers.some((part, n) => n % 2 === 0 && part.toLowerCase() === 'user-agent')
      }
      keys = opened
    } catch (error) {
      if (!(error instanceof SealError)) throw error
      endpoint.sealError = error.message
    }
    return endpoint
  }

  #openKeys(row: EndpointRow): SigningKeys {
    const { business_id: businessId, previous_signing_secret_sealed: sealedFormer, previous_secret_ms: leftMs } = row
    const newest = signingKey(this.#sealer.open(row.signing_secret_sealed, sealedPlace.signingSecret(businessId)))
    if (sealedFormer === null || leftMs === null || leftMs <= 0) return new SigningKeys(newest, null, 0)
    const former = signingKey(this.#sealer.open(sealedFormer, sealedPlace.previousSigningSecret(businessId)))
    return new SigningKeys(newest, former, performance.now() + leftMs)
  }
}

const ownHeaders = z.record(z.string(), z.string())

/** @throws {SealError} for what is no headers: the route is parked, and the others of the same read are not held up. */
function readHeaders(opened: string): string[] {
  try {
    return Object.entries(ownHeaders.parse(JSON.parse(opened))).flat()
  } catch {
    throw new SealError('the headers that were sealed are damaged')
  }
}
