import express, { type RequestHandler } from 'express'
import { noSuchPath } from '../admin/problems.ts'
import { trustedProxies } from '../admin/trusted-proxies.ts'
import { type Config, ConfigError } from '../config.ts'
import { type HttpListener, listenHttp } from '../telemetry/http-listener.ts'
import type { Logger } from '../telemetry/logger.ts'

interface PortHandlers {
  /** `/healthz` and `/readyz`, on every port. */
  health: RequestHandler
  metrics: RequestHandler
}

/** The routers of the API once it runs. */
export interface ApiHandlers {
  callbacks: RequestHandler
  admin: RequestHandler
}

export interface ServicePorts {
  /** Twilio's callbacks, or of a process without the API its health and metrics. */
  port: number
  /** The admin API, console, metrics and OpenAPI; `port` unless `ADMIN_PORT` names another. */
  adminPort: number
  /** Takes callbacks before the API runs. */
  serveCallbacks(handler: RequestHandler): void
  /** Until it is called, other requests to the API get 503. */
  serveApi(handlers: ApiHandlers): void
  shedConnections(): void
  stop(): Promise<void>
}

const starting: RequestHandler = (_request, response) => {
  const detail = 'this process has just started and is not ready; try again later'
  response.status(503).set('retry-after', '1').type('application/problem+json')
  response.send(JSON.stringify({ type: 'about:blank', title: 'Service Unavailable', status: 503, detail }))
}

const callbacksStarting: RequestHandler = (request, response, next) => {
  if (request.path.startsWith('/webhook/')) starting(request, response, next)
  else next()
}

/**
 * Listens on the ports of the process: one, or two where `ADMIN_PORT` keeps operators apart from Twilio.
 *
 * @throws {ConfigError} for a port that is not available.
 */
export async function openPorts(
  config: Config,
  hasApi: boolean,
  { health, metrics }: PortHandlers,
  log: Logger,
): Promise<ServicePorts> {
  let api: ApiHandlers = { callbacks: callbacksStarting, admin: starting }
  const callbacks: RequestHandler = (request, response, next) => api.callbacks(request, response, next)
  const admin: RequestHandler = (request, response, next) => api.admin(request, response, next)
  const makeApp = (...handlers: RequestHandler[]): express.Express => {
    const app = express().disable('x-powered-by').disable('etag')
    app.set('trust proxy', trustedProxies(config.trustedProxies))
    for (const handler of [health, ...handlers]) app.use(handler)
    return app.use(noSuchPath(log))
  }
  const listeners: HttpListener[] = []
  const listen = async (app: express.Express, variable: string, port: number): Promise<number> => {
    const listener = await listenHttp(app, port).catch((error: unknown) => {
      const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
      throw new ConfigError(`${variable}: got ${port}; expected a port that is free (${code}), or 0 for any`)
    })
    listeners.push(listener)
    return listener.port
  }
  const stop = async (): Promise<void> => {
    await Promise.all(listeners.map((listener) => listener.stop()))
  }
  try {
    let port: number
    let adminPort: number
    if (hasApi && config.adminPort !== null) {
      port = await listen(makeApp(callbacks), 'PORT', config.port)
      adminPort = await listen(makeApp(metrics, admin), 'ADMIN_PORT', config.adminPort)
    } else if (hasApi) {
      port = adminPort = await listen(makeApp(metrics, callbacks, admin), 'PORT', config.port)
    } else {
      port = adminPort = await listen(makeApp(metrics), 'METRICS_PORT', config.metricsPort)
    }
    return {
      port,
      adminPort,
      serveCallbacks(handler) {
        api = { ...api, callbacks: handler }
      },
      serveApi(handlers) {
        api = handlers
      },
      shedConnections() {
        for (const listener of listeners) listener.shedConnections()
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}
