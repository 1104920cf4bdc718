/** All waits of the pipeline in milliseconds; tests shorten them. */
export interface PipelineTimings {
  /** Between polls of an idle worker, of which a process has a few; pg-boss takes 500 at the least. */
  pollMs: number
  /** The first wait inside a step; it doubles. */
  quickRetryMs: number
  /** The first wait of a job between two runs; it doubles up to `longestBackoffMs`, and up to 20 % are added. */
  firstBackoffMs: number
  longestBackoffMs: number
  /** Between two looks for the call's final status callback. */
  statusPollMs: number
  /** Between two probes while a service refuses us. */
  probeMs: number
  /** Between two checks of the models. */
  modelCheckMs: number
  /** The same after a check that failed. */
  modelRecheckMs: number
  /** How long a stop waits for running steps to finish. */
  drainMs: number
}

export const pipelineTimings: PipelineTimings = {
  pollMs: 1_000,
  quickRetryMs: 1_000,
  firstBackoffMs: 5_000,
  longestBackoffMs: 600_000,
  statusPollMs: 2_000,
  probeMs: 30_000,
  modelCheckMs: 86_400_000,
  modelRecheckMs: 3_600_000,
  drainMs: 20_000,
}
