import type { RequestHandler } from 'express'
import helmet from 'helmet'

/**
 * No script, style or connection but our own, and none inline; in nobody's frame. Over https the proxy decides about
 * HSTS, since it may serve other names too. The referrer goes to ourselves alone: without any, browsers send
 * `Origin: null` with our own forms.
 */
export const securityHeaders: RequestHandler = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      imgSrc: ["'self'", 'data:'],
      connectSrc: ["'self'"],
      formAction: ["'self'"],
      frameAncestors: ["'none'"],
      baseUri: ["'none'"],
    },
  },
  referrerPolicy: { policy: 'same-origin' },
  strictTransportSecurity: false,
  xFrameOptions: { action: 'deny' },
})

/** Pages show what is secret to others who use the same browser. */
export const notStored: RequestHandler = (_request, response, next) => {
  response.set('Cache-Control', 'no-store')
  next()
}
