// Small helps on top of pages that work without them.

// At phone width the navigation scrolls by itself: where we are is to be seen.
document.querySelector('.masthead [aria-current]')?.scrollIntoView({ inline: 'center', block: 'nearest' })

// A button with data-copy copies the text of the element that it names.
document.addEventListener('click', async (event) => {
  const button = event.target.closest('button[data-copy]')
  if (!button) return
  const text = document.querySelector(button.dataset.copy)?.textContent ?? ''
  const label = button.textContent
  try {
    await navigator.clipboard.writeText(text)
    button.textContent = 'Copied'
  } catch {
    button.textContent = 'Select it and copy it by hand'
  }
  button.setAttribute('aria-live', 'polite')
  setTimeout(() => {
    button.textContent = label
  }, 2_000)
})

// A select in a filter form takes effect at once.
document.addEventListener('change', (event) => {
  const form = event.target.closest('form.filters')
  if (form && event.target.matches('select')) form.requestSubmit()
})

// A form is sent once.
document.addEventListener('submit', (event) => {
  if (event.target.method !== 'post') return
  if (event.target.dataset.sent) event.preventDefault()
  event.target.dataset.sent = 'yes'
})
addEventListener('pageshow', () => {
  for (const form of document.forms) delete form.dataset.sent
})

// What is live says so. When the connection is lost, or nothing has come for a minute, the figures are not of this moment.
let silence
const live = (isLive) => {
  const sign = document.querySelector('#live')
  if (!sign) return
  const text = isLive ? 'Live' : 'Not live: the connection is lost'
  if (sign.textContent !== text) sign.textContent = text
  sign.toggleAttribute('data-lost', !isLive)
  clearTimeout(silence)
  if (isLive) silence = setTimeout(() => live(false), 60_000)
}
silence = setTimeout(() => live(false), 10_000)
document.addEventListener('htmx:sse:after:message', () => live(true))
const notLive = (status) => {
  if (status === 401) location.reload()
  live(false)
}
document.addEventListener('htmx:sse:error', (event) => notLive(event.detail.status))
// Until it has been live once, it is htmx itself that asks.
for (const name of ['htmx:response:error', 'htmx:error']) {
  document.addEventListener(name, ({ detail: { ctx } }) => {
    if (ctx?.sourceElement?.matches('[hx-sse\\:connect]')) notLive(ctx.response?.status)
  })
}
// The session is over: the page leads to the sign-in.
document.addEventListener('over', () => location.reload())
