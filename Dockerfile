# One image for every role: `docker run callbox start api`, `start worker`, `start dispatcher`, `migrate`, `reseal`.
FROM node:24-slim

ENV NODE_ENV=production \
    CALLBOX_HOME=/var/lib/callbox
WORKDIR /app

# The image has Node 24: the one that npm brings for machines without it is left out.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev \
 && rm -rf node_modules/node-linux-* node_modules/.bin/node \
 && npm cache clean --force \
 && install -d -o node -g node "$CALLBOX_HOME"

COPY LICENSE ./
COPY migrations ./migrations
COPY src ./src

USER node
VOLUME /var/lib/callbox
EXPOSE 8080 9464

# A container runs either the API on PORT or other roles on METRICS_PORT.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
  CMD ["node", "-e", "Promise.any([process.env.PORT || 8080, process.env.METRICS_PORT || 9464].map(async (port) => { if (!(await fetch(`http://127.0.0.1:${port}/healthz`)).ok) throw new Error() })).then(() => process.exit(0), () => process.exit(1))"]

ENTRYPOINT ["node", "src/cli.ts"]
CMD ["start"]
