// A receiver of vigil's webhooks: it verifies, answers at once, does each thing once, and orders by `at`.
//
//   WEBHOOK_SECRETS="whsec_..." PORT=8080 node receiver.mjs
import { createHmac, createPublicKey, timingSafeEqual, verify } from 'node:crypto'
import { createServer } from 'node:http'

const keys = process.env.WEBHOOK_SECRETS.split(' ') // several while one is being replaced
const maxBody = 2 << 20, tolerance = 300, remember = 100_000, maxQueue = 1000
const spki = Buffer.from('302a300506032b6570032100', 'hex') // what stands before a raw ed25519 key in DER

function matches(key, signature, content) {
  const [kind, encoded] = key.split('_', 2)
  const [mark, given = ''] = signature.split(',', 2)
  const raw = Buffer.from(encoded, 'base64')
  if (kind === 'whsec' && mark === 'v1') {
    const want = createHmac('sha256', raw).update(content).digest()
    const got = Buffer.from(given, 'base64')
    return got.length === want.length && timingSafeEqual(got, want)
  }
  if (kind === 'whpk' && mark === 'v1a') {
    const key = createPublicKey({ key: Buffer.concat([spki, raw]), format: 'der', type: 'spki' })
    return verify(null, content, key, Buffer.from(given, 'base64'))
  }
  return false
}

function verified(headers, body) {
  const id = headers['webhook-id'], stamp = headers['webhook-timestamp'] ?? ''
  if (!id || !/^[0-9]+$/.test(stamp) || Math.abs(Date.now() / 1000 - Number(stamp)) > tolerance) return false
  const content = Buffer.concat([Buffer.from(`${id}.${stamp}.`), body]) // the raw bytes, not JSON written anew
  const signatures = (headers['webhook-signature'] ?? '').split(' ').slice(0, 16)
  return keys.some(key => signatures.some(signature => matches(key, signature, content)))
}

const seen = new Set(), queue = []

// take is true once the webhook is ours to do. A real receiver inserts into a table whose key is the id, before it answers.
function take(id, body) {
  if (seen.has(id)) return true
  if (queue.length >= maxQueue) return false
  seen.add(id)
  if (seen.size > remember) seen.delete(seen.values().next().value)
  queue.push([id, body])
  setImmediate(work)
  return true
}

const newest = new Map() // by user

function work() {
  const [id, body] = queue.shift()
  const hook = JSON.parse(body)
  if (hook.at < (newest.get(hook.user) ?? '')) { // RFC 3339 in UTC with ms: text compares as time
    console.log('late', id) // webhooks come in any order
    return
  }
  newest.set(hook.user, hook.at)
  console.log('done', id)
}

const server = createServer((req, res) => {
  const parts = []
  let size = 0
  const answer = (status, headers = {}) => res.writeHead(status, headers).end()
  req.on('data', part => {
    if ((size += part.length) <= maxBody) return parts.push(part)
    if (!res.headersSent) answer(413, { Connection: 'close' })
    req.resume()
  })
  req.on('end', () => {
    if (res.headersSent) return
    const body = Buffer.concat(parts)
    if (!verified(req.headers, body)) return answer(401)
    take(req.headers['webhook-id'], body) ? answer(204) : answer(503, { 'Retry-After': '10' })
  })
})
server.keepAliveTimeout = 60_000 // longer than vigil keeps a connection that is idle: 30 s
server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => console.log(`listening on 127.0.0.1:${server.address().port}`))
