import type { RecordedTimes } from './recordings.ts'

/** The known times of a call: from its row in `calls` and from its recordings. */
export interface KnownTimes extends RecordedTimes {
  started_at: Date | null
  ended_at: Date | null
  duration_sec: number | null
}

/** Start, end and length in whole seconds. Times that Twilio did not report come from the recordings. */
export function callTimes(known: KnownTimes): { startedAt: Date; endedAt: Date; durationSec: number } {
  const start = known.started_at ?? known.recording_started_at
  const durationSec = known.duration_sec ?? secondsBetween(start, known.ended_at) ?? known.recording_duration_sec ?? 0
  const endedAt = known.ended_at ?? later(start, durationSec) ?? known.recorded_at
  return { startedAt: start ?? new Date(endedAt.getTime() - durationSec * 1000), endedAt, durationSec }
}

function secondsBetween(start: Date | null, end: Date | null): number | null {
  if (start === null || end === null) return null
  return Math.max(0, Math.round((end.getTime() - start.getTime()) / 1000))
}

const later = (time: Date | null, seconds: number): Date | null => time && new Date(time.getTime() + seconds * 1000)
