import { measureDeadEndpoint } from './figures/dead-endpoint.ts'
import { measureHangingEndpoint } from './figures/hanging-endpoint.ts'
import { measureHeldSnapshot } from './figures/held-snapshot.ts'
import { measureKeptRows } from './figures/kept-rows.ts'
import { measureLatencyAt200, measureLatencyAtHalf } from './figures/latency.ts'
import { measureManyRoutes } from './figures/many-routes.ts'
import { measureProducers } from './figures/producers.ts'
import { measureRatio } from './figures/ratio.ts'
import { measureTwoDispatchers } from './figures/two-dispatchers.ts'
import type { Bench, Figure } from './harness/bench.ts'

/** What `npm run bench -- <name>` runs; in this order when none is named. */
export const figures: Record<string, (bench: Bench) => Promise<Figure[]>> = {
  ratio: measureRatio,
  'two-dispatchers': measureTwoDispatchers,
  latency: measureLatencyAt200,
  'latency-at-half': measureLatencyAtHalf,
  producers: measureProducers,
  'kept-rows': measureKeptRows,
  'held-snapshot': measureHeldSnapshot,
  'dead-endpoint': measureDeadEndpoint,
  'hanging-endpoint': measureHangingEndpoint,
  'many-routes': measureManyRoutes,
}
