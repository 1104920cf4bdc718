/** Says on standard error what is being measured, so that the table alone is on standard output. */
export class Progress {
  readonly #startedMs = performance.now()

  say(text: string): void {
    const seconds = Math.round((performance.now() - this.#startedMs) / 1000)
    const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
    process.stderr.write(`${time.padStart(6)}  ${text}\n`)
  }
}

export const perSecond = (value: number): string => `${Math.round(value).toLocaleString('en')}/s`
