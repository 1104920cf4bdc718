import type { Response } from 'express'
import type { ChangedBusiness } from '../../schemas/business.ts'
import { type Html, html } from '../html.ts'
import { notice } from '../notice.ts'
import { sendPage } from '../page.ts'
import { time } from '../values.ts'

/** The one page that shows a signing secret: the answer to the order that made it. */
export function sendSecretPage(response: Response, business: ChangedBusiness, said: string): void {
  const { business_id: id, signing_secret: secret } = business
  sendPage(response, {
    title: `Signing secret of business ${id}`,
    place: 'businesses',
    body: html`${notice('done', said)}
<section class="card stack"><h2>Its signing secret</h2>
<p><strong>It is shown here once, and never again.</strong> Put it into the receiver now, which verifies every POST with it.</p>
<p class="row"><code class="secret" id="secret">${secret}</code><button type="button" class="primary" data-copy="#secret">Copy</button></p>
${former(business)}
</section>
<p><a class="button" href="/console/businesses/${id}">Go on to business ${id}</a></p>`,
  })
}

function former({ previous_secret_until: until }: ChangedBusiness): Html {
  if (until === null) return html``
  return html`<p>The former one signs too, until ${time(until)}: the receiver may change over at any time before.</p>`
}
