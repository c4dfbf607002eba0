// Verifies with the public library of Standard Webhooks what stands on each line of the input; prints true or false.
const { createInterface } = require('node:readline')
const { Webhook, WebhookVerificationError } = require(require.resolve('standardwebhooks', { paths: [process.env.RECEIVERS_NODE] }))

createInterface({ input: process.stdin }).on('line', line => {
  const { secret, headers, body } = JSON.parse(line)
  try {
    new Webhook(secret).verify(body, headers, { jsonParse: false })
    console.log('true')
  } catch (err) {
    if (!(err instanceof WebhookVerificationError)) throw err
    console.log('false')
  }
})
