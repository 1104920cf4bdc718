import type OpenAI from 'openai'
import type { Config } from '../config.ts'
import { longFetch } from './long-fetch.ts'
import { ServiceClient } from './service-failure.ts'

export const serviceUrl = ({ baseUrl }: Config['openai']): string => baseUrl ?? 'https://api.openai.com/v1'

/** The client of the model service, whose own retries are off; `null`: neither a key nor an address is set. */
export function createServiceClient(settings: Config['openai']): OpenAI | null {
  const { apiKey, baseUrl } = settings
  if (apiKey === null && baseUrl === null) return null
  return new ServiceClient({
    // A self-hosted server may need no key, but the client does.
    apiKey: apiKey ?? 'none',
    baseURL: serviceUrl(settings),
    maxRetries: 0,
    fetch: longFetch,
    logLevel: 'off',
  })
}
