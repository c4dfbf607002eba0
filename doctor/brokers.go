package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const dialWithin = 3 * time.Second // for one broker

// brokers asks every broker that the configuration names, and every one that those tell of: an advertised address that
// cannot be reached from here is the usual mistake. It tells whether any answers.
func (c *Checkup) brokers(ctx context.Context) bool {
	var answered []string
	seeds := c.Client.SeedBrokers()
	for i, b := range seeds {
		if err := ping(ctx, b); err != nil {
			c.note("brokers", Fail, fmt.Sprintf("%s does not answer: %v", c.seed(i), err), c.brokerFix(err))
			continue
		}
		answered = append(answered, c.seed(i))
	}
	switch {
	case len(answered) == 0:
		return false
	case len(answered) < len(seeds): // a question to one of the others would end as a fault of something else
		client, err := kgo.NewClient(append(c.Client.Opts(), kgo.SeedBrokers(answered...))...)
		if err != nil {
			c.asked("brokers", err)
			return false
		}
		c.live, c.adm = client, kadm.NewClient(client)
	}
	within, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	cluster, err := c.adm.BrokerMetadata(within)
	if err != nil {
		c.asked("brokers", fmt.Errorf("list brokers: %w", err))
		return false
	}
	c.advertised(ctx, cluster)
	c.auth()
	return true
}

func ping(ctx context.Context, b *kgo.Broker) error {
	within, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	_, err := b.Request(within, kmsg.NewPtrApiVersionsRequest())
	return err
}

// seed is the i-th broker of the configuration.
func (c *Checkup) seed(i int) string {
	if i < len(c.Config.Kafka.Brokers) {
		return c.Config.Kafka.Brokers[i]
	}
	return fmt.Sprintf("broker %d", i)
}

func (c *Checkup) advertised(ctx context.Context, cluster kadm.Metadata) {
	silent := 0
	for _, b := range cluster.Brokers {
		if err := ping(ctx, c.live.Broker(int(b.NodeID))); err != nil {
			silent++
			c.note("brokers", Fail, fmt.Sprintf("broker %d, advertised as %s:%d, does not answer: %v", b.NodeID, b.Host, b.Port, err),
				"make that address reachable from here, or set advertised.listeners of the broker to one that is")
		}
	}
	if silent == 0 {
		c.ok("brokers", "%s, all reachable", counted(len(cluster.Brokers), "broker"))
	}
	if len(cluster.Brokers) == 1 && !local(cluster.Brokers[0].Host) {
		c.note("brokers", Warn, "a single broker: its loss stops everything, and its disk holds the only copy", "run three, with replication factor 3 and min.insync.replicas 2")
	}
}

// brokerFix is what to do about a broker that does not answer.
func (c *Checkup) brokerFix(err error) string {
	text := err.Error()
	var dns *net.DNSError
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed), strings.Contains(text, "SASL"):
		return "check sasl.mechanism, sasl.username and sasl.password in kafka.properties"
	case strings.Contains(text, "x509"), strings.Contains(text, "tls"):
		return "set security.protocol to SSL or SASL_SSL, and ssl.ca.location to the CA of the brokers, in kafka.properties"
	case errors.As(err, &dns):
		return "check the name in kafka.brokers, and the DNS of this machine"
	case strings.Contains(text, "EOF"):
		return "the broker hangs up: check security.protocol in kafka.properties (TLS or SASL on the other side?)"
	case slices.Equal(c.Config.Kafka.Brokers, []string{"127.0.0.1:9092"}):
		return "start `vigil run` or `vigil broker`, or set kafka.brokers"
	}
	return "start the broker, or check kafka.brokers and the firewall"
}

// auth says how vigil is known to the brokers, which have accepted that by now.
func (c *Checkup) auth() {
	protocol := strings.ToUpper(c.Config.Kafka.Properties["security.protocol"])
	user := c.Config.Kafka.Properties["sasl.username"]
	switch {
	case strings.HasPrefix(protocol, "SASL") && protocol != "SASL_SSL":
		c.note("auth", Warn, "the password of "+user+" goes over the network without TLS, or can be guessed from what does", "set security.protocol to SASL_SSL")
	case protocol == "SASL_SSL":
		c.ok("auth", "user %s, over TLS", user)
	case protocol == "SSL":
		c.ok("auth", "TLS")
	case slices.ContainsFunc(c.Config.Kafka.Brokers, func(b string) bool { host, _, _ := net.SplitHostPort(b); return !local(host) }):
		c.note("auth", Warn, "no TLS and no user name: whoever reaches the brokers can read and write", "set security.protocol, sasl.mechanism, sasl.username and sasl.password in kafka.properties")
	default:
		c.ok("auth", "none, on this machine only")
	}
}

// local tells whether a host is this machine.
func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
