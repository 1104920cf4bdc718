export interface EventStream {
  status: number
  headers: Headers
  /** All that has come so far. */
  text(): string
  /** Resolves with all that has come, once it matches. @throws Error when the stream ends before. */
  until(pattern: RegExp): Promise<string>
  /** Resolves with all that came, when the other side has ended the stream. */
  ended(): Promise<string>
  leave(): void
}

/** Opens a stream of server-sent events, as `EventSource` does. */
export async function openEventStream(url: string, headers: Record<string, string>): Promise<EventStream> {
  const leaving = new AbortController()
  const response = await fetch(url, {
    headers: { accept: 'text/event-stream', ...headers },
    redirect: 'manual',
    signal: leaving.signal,
  })
  let text = ''
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  const more = async (): Promise<boolean> => {
    const part = await reader?.read()
    text += part?.value ?? ''
    return part?.done === false
  }
  return {
    status: response.status,
    headers: response.headers,
    text: () => text,
    async until(pattern) {
      while (!pattern.test(text)) {
        if (!(await more())) throw new Error(`the stream ended without ${pattern}: ${text}`)
      }
      return text
    },
    async ended() {
      while (await more());
      return text
    },
    leave: () => leaving.abort(),
  }
}
