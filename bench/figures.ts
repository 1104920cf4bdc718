import { measureBulkRequeue } from './figures/bulk-requeue.ts'
import { measureDeadEndpoint } from './figures/dead-endpoint.ts'
import { measureFormerVersion } from './figures/former-version.ts'
import { measureHangingEndpoint } from './figures/hanging-endpoint.ts'
import { measureHeldSnapshot } from './figures/held-snapshot.ts'
import { measureKeptRows } from './figures/kept-rows.ts'
import { measureLargePayloads } from './figures/large-payloads.ts'
import { measureLatencyAt200, measureLatencyAtHalf } from './figures/latency.ts'
import { measureLists } from './figures/lists.ts'
import { measureManyRoutes } from './figures/many-routes.ts'
import { measureProducers } from './figures/producers.ts'
import { measureRatio } from './figures/ratio.ts'
import { measureSlowEndpoints } from './figures/slow-endpoints.ts'
import { measureTwoDispatchers } from './figures/two-dispatchers.ts'
import type { Bench, Figure } from './harness/bench.ts'

export interface Row {
  /** For `--help`. */
  measures: string
  measure: (bench: Bench) => Promise<Figure[]>
  /** Filling its tables takes minutes: with `--quick` it runs only when it is named. */
  isLong?: true
}

/** What `npm run bench -- <name>` runs; in this order when none is named. */
export const figures: Record<string, Row> = {
  ratio: { measures: 'throughput and CPU against undici, graphile-worker and pg-boss', measure: measureRatio },
  'former-version': { measures: 'PostgreSQL CPU and WAL against commit 138c1f9', measure: measureFormerVersion },
  'slow-endpoints': { measures: 'endpoints that answer after 1 s, both windows', measure: measureSlowEndpoints },
  'two-dispatchers': { measures: 'two dispatchers against one at 50 ms an answer', measure: measureTwoDispatchers },
  'large-payloads': { measures: 'memory with payloads of 1 MiB to a stalling receiver', measure: measureLargePayloads },
  latency: { measures: 'commit to first byte at 200/s', measure: measureLatencyAt200 },
  'latency-at-half': { measures: 'the same at half of the maximum', measure: measureLatencyAtHalf },
  producers: { measures: 'callbox_enqueue against bare inserts', measure: measureProducers },
  'kept-rows': { measures: 'throughput with 2 million kept rows', measure: measureKeptRows },
  'held-snapshot': { measures: 'throughput while a snapshot is held', measure: measureHeldSnapshot },
  'dead-endpoint': { measures: 'a million rows for one dead endpoint', measure: measureDeadEndpoint },
  'hanging-endpoint': { measures: 'one endpoint that hangs until the timeout', measure: measureHangingEndpoint },
  'many-routes': { measures: '10,000 routes against 100', measure: measureManyRoutes },
  lists: { measures: 'lists of 50 with 10 million events', measure: measureLists, isLong: true },
  'bulk-requeue': { measures: 'a million dead letters requeued', measure: measureBulkRequeue, isLong: true },
}
