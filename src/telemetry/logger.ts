import { pino } from 'pino'
import pretty from 'pino-pretty'

export type Logger = pino.Logger

/** `+972501234567` becomes `+9725***67`: enough to tell two numbers apart, too little to call one. */
export function maskPhone(text: string): string {
  return text.replace(/\+\d{7,15}/g, (number) => `${number.slice(0, 5)}***${number.slice(-2)}`)
}

/** What of an error may be logged: no detail, since PostgreSQL puts the row's values there. */
export function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: maskPhone(String(error)) }
  const code = 'code' in error ? { code: error.code } : {}
  const cause = error.cause === undefined ? {} : { cause: describeError(error.cause) }
  return { type: error.name, message: maskPhone(error.message), ...code, stack: maskPhone(error.stack ?? ''), ...cause }
}

/** One line an event, its name in `event`. Readable in a terminal, JSON elsewhere. */
export function createLogger(level: string, name: string): Logger {
  const options = {
    level,
    base: { name },
    serializers: { err: describeError },
    timestamp: pino.stdTimeFunctions.isoTime,
  }
  if (!process.stdout.isTTY) return pino(options, pino.destination({ dest: 1, sync: true }))
  return pino(
    options,
    pretty({ sync: true, singleLine: true, ignore: 'pid,hostname,name', translateTime: 'SYS:HH:MM:ss.l' }),
  )
}
