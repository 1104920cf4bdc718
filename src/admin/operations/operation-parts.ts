import type { Knex } from 'knex'
import type { RecordingSender } from '../../calls/recording-queue.ts'
import type { HintSender } from '../../database/hints.ts'
import type { Sealer } from '../../database/sealing.ts'
import type { Logger } from '../../telemetry/logger.ts'

/**
 * What operators' changes are made with. Each operation takes what it needs of it, the name of the operator's token and
 * input that has been parsed; makes its change in one transaction, and hints and logs after the commit. The API and the
 * console make every change by these.
 */
export interface OperationParts {
  knex: Knex
  sealer: Sealer
  queue: RecordingSender
  hints: HintSender
  log: Logger
}
