/** express's setting `trust proxy`: a proxy on the same machine or in a private network is ours. */
export const trustedProxies = 'loopback, linklocal, uniquelocal'
