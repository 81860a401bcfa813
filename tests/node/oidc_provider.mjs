// A certified OpenID provider on a free loopback port, in a strict profile: pushed requests, PKCE,
// private_key_jwt, and the `iss` of an answer. It says its address in one line and ends with its input.
import { createServer } from 'node:http'
import { once } from 'node:events'
import process from 'node:process'
import { Provider } from 'oidc-provider'

const [clients, jwks] = [process.argv[2], process.argv[3]].map((text) => JSON.parse(text))
console.warn = console.info = () => {}

const server = createServer()
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const issuer = `http://127.0.0.1:${server.address().port}`

const provider = new Provider(issuer, {
  clients,
  jwks,
  acrValues: ['substantial', 'high'],
  claims: { openid: ['sub', 'pid', 'acr', 'auth_time', 'sid'] },
  conformIdTokenClaims: false,
  cookies: { keys: ['of the tests'] },
  enabledJWA: {
    idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'Ed25519', 'EdDSA'],
    clientAuthSigningAlgValues: ['ES256', 'Ed25519'],
  },
  features: {
    devInteractions: { enabled: false },
    pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
    rpInitiatedLogout: { enabled: true },
  },
  clientAuthMethods: ['private_key_jwt'],
  pkce: { required: () => true },
  interactions: { url: (_ctx, interaction) => `/as/${interaction.uid}` },
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id, pid: '31129956715' }) }),
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({
      clientId: ctx.oidc.client.clientId,
      accountId: ctx.oidc.session.accountId,
    })
    grant.addOIDCScope('openid')
    await grant.save()
    return grant
  },
  ttl: { AuthorizationCode: 60, IdToken: 300, Session: 600, Interaction: 600, Grant: 600, AccessToken: 60 },
})
// A person signs in here by an address: /as/<interaction>?who=<subject>&acr=<level>, or ?stop=1.
const callback = provider.callback()
server.on('request', async (request, response) => {
  const url = new URL(request.url, issuer)
  if (!url.pathname.startsWith('/as/') || !url.search) return callback(request, response)
  const login = { accountId: url.searchParams.get('who'), acr: url.searchParams.get('acr') ?? 'substantial' }
  const result = url.searchParams.has('stop') ? { error: 'access_denied' } : { login }
  try {
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
  } catch (error) {
    response.writeHead(400).end(String(error))
  }
})
console.log(issuer)
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
