# Verifies with the public library of Standard Webhooks what stands on each line of the input; prints true or false.
import json, sys
from standardwebhooks import Webhook, WebhookVerificationError

for line in sys.stdin:
    case = json.loads(line)
    try:
        Webhook(case["secret"]).verify(case["body"], case["headers"], json_parse=False)
        print("true")
    except WebhookVerificationError:
        print("false")
