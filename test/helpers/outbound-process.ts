/** One request as Callbox makes it, with what `cli.ts` sets before: `outbound-process.ts <twilio|openai|proxy|fetch|http> <url>`. */
import { request } from 'node:http'
import { fetchCall } from '../../src/calls/twilio-api.ts'
import { AddressGuard } from '../../src/dispatcher/sending/address-guard.ts'
import { Poster } from '../../src/dispatcher/sending/post.ts'
import { allowSlowHandshakes } from '../../src/lib/outbound-connections.ts'
import { longFetch } from '../../src/pipeline/long-fetch.ts'

const [kind, url = ''] = process.argv.slice(2)
allowSlowHandshakes()
if (kind === 'twilio') {
  const settings = { accountSid: `AC${'0'.repeat(32)}`, authTokens: ['token'], apiUrl: url, recordingHosts: [] }
  await fetchCall({ settings, accountSid: settings.accountSid }, `CA${'0'.repeat(32)}`)
} else if (kind === 'openai') await longFetch(`${url}/v1/models`)
else if (kind === 'proxy') {
  const poster = new Poster(new AddressGuard({ allowedNetworks: [] }), 15_000, url, () => null)
  await poster.post({ url: 'http://n8n.example/', headers: [], body: Buffer.from('{}') })
} else if (kind === 'fetch') await fetch(url)
else request(url).end()
