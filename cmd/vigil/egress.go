package main

import (
	"os"

	"vigil/config"
	"vigil/config/endpoints"
	"vigil/sink/egress"
)

// egressPolicy says where webhooks may go. The lists were checked when the configuration was loaded.
func egressPolicy(c config.Sink) egress.Policy {
	ports, _ := endpoints.Ports(c.AllowPorts)
	denied, _ := endpoints.Ranges(c.Deny)
	return egress.Policy{
		Version: build().Version, MaxInFlight: c.MaxInFlight, DefaultSecrets: c.DefaultSecrets, LookupEnv: os.LookupEnv,
		AllowPorts: ports, Deny: denied, NAT64: c.NAT64 == "allow", KeepResponses: c.Responses == "keep", Proxy: c.Proxy, ProxyAuth: c.ProxyAuth,
	}
}
