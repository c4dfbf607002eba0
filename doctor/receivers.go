package doctor

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"vigil/campaign"
	"vigil/config"
	"vigil/config/endpoints"
	"vigil/sink/egress"
)

const (
	probesAtATime = 8
	expiresSoon   = 14 * 24 * time.Hour // of a certificate
)

func (c *Checkup) loadCampaigns() {
	dir := c.Config.Campaigns
	if dir == config.CampaignsTopic {
		c.note("campaigns", Fail, "campaigns: this version reads a folder, not the topic", "set campaigns to the folder")
		return
	}
	if _, err := os.Stat(dir); err != nil {
		c.note("campaigns", Fail, "campaigns: "+err.Error(), "mkdir -p "+dir+", or set campaigns to the folder")
		return
	}
	all, problems := campaign.Load(dir)
	c.campaigns = all
	switch {
	case campaign.Failed(problems):
		c.note("campaigns", Fail, fmt.Sprintf("the campaigns in %s cannot be used", dir), "vigil lint "+dir)
	case len(problems) > 0:
		c.note("campaigns", Warn, fmt.Sprintf("%s in %s, %s", counted(len(all), "campaign"), dir, counted(len(problems), "warning")), "vigil lint "+dir)
	default:
		c.ok("campaigns", "%s in %s", counted(len(all), "campaign"), dir)
	}
}

func (c *Checkup) loadEndpoints() {
	list, problems, err := endpoints.Load(c.Config.Endpoints)
	c.endpoints = list
	switch {
	case err != nil:
		c.note("endpoints", Fail, err.Error(), "make the files of "+c.Config.Endpoints+" readable for the user that vigil runs as")
	case campaign.Failed(problems):
		for _, p := range problems {
			c.note("endpoints", Fail, p.String(), "mend the file; `vigil schema endpoint` helps an editor to")
		}
	}
}

// checkEndpoints asks for every name that campaigns use, and probes every receiver.
func (c *Checkup) checkEndpoints(ctx context.Context) {
	known := map[string]bool{}
	for _, e := range c.endpoints {
		known[e.Name] = true
	}
	policy := c.Policy
	if _, err := egress.NewEndpoints(&policy, nil); err != nil { // no sink begins with these
		c.note("endpoints", Fail, err.Error(), probeFix(egress.CodeSettings, endpoints.Endpoint{}))
	}
	all := slices.Clone(c.endpoints)
	for _, one := range c.campaigns {
		w := &one.Webhook
		switch {
		case w.Endpoint != "" && !known[w.Endpoint]:
			c.note("endpoints", Fail, fmt.Sprintf("campaign %s sends to endpoint %q, which no file has: its webhooks become dead letters", one.ID, w.Endpoint),
				"add it to a file in "+c.Config.Endpoints)
		case w.URL != "" && !known[origin(w.URL)]:
			known[origin(w.URL)] = true
			all = append(all, endpoints.Endpoint{Name: origin(w.URL), URL: origin(w.URL), Secrets: c.Config.Sink.DefaultSecrets})
		}
	}
	results := make([]Finding, len(all))
	places := make(chan struct{}, probesAtATime)
	var probing sync.WaitGroup
	for i, e := range all {
		probing.Go(func() {
			places <- struct{}{}
			results[i] = c.probe(ctx, e)
			<-places
		})
	}
	probing.Wait()
	c.findings = append(c.findings, results...)
}

// origin is scheme://host of a URL whose path may hold templates.
func origin(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return scheme + "://" + rest
}

func (c *Checkup) probe(ctx context.Context, e endpoints.Endpoint) Finding {
	found, err := c.Policy.Probe(ctx, e)
	f := Finding{Check: "endpoints", Level: Fail}
	switch soon := found.Expires.Sub(c.Now); {
	case err != nil:
		f.Text, f.Fix = fmt.Sprintf("%s: %v", e.Name, err), probeFix(found.Code, e)
	case !found.Expires.IsZero() && soon < expiresSoon:
		f.Level, f.Text = Warn, fmt.Sprintf("%s: the certificate expires in %s", e.Name, spell(soon.Truncate(time.Hour)))
		f.Fix = "have the receiver renew it before " + found.Expires.UTC().Format(time.DateOnly)
	case !found.Signed:
		f.Level, f.Text = Warn, fmt.Sprintf("%s: reachable at %s; webhooks to it are not signed", e.Name, found.Remote)
		f.Fix = "give it secrets: [env:NAME] in its endpoints file (sink.default_secrets for a URL of a campaign)"
	default:
		f.Level, f.Text = OK, fmt.Sprintf("%s: reachable at %s", e.Name, found.Remote)
	}
	return f
}

// probeFix is what to do about what stood in the way.
func probeFix(code string, e endpoints.Endpoint) string {
	host := strings.TrimPrefix(strings.TrimPrefix(origin(e.URL), "https://"), "http://")
	switch code {
	case "blocked":
		return "if this receiver is meant, give its endpoints file the setting named (allow_private: true, allow_http: true); a port that is refused must change"
	case egress.CodeSettings:
		return "set the variable, or make the file readable, in the environment of the sink; mend the header"
	case "dns_not_found", "dns_failure":
		return "check the host name in its url: nslookup " + host
	case "proxy":
		return "check sink.proxy and sink.proxy_auth, and that the proxy runs"
	case "dns_unreachable":
		return "mend the resolver of this machine (/etc/resolv.conf)"
	case "tls":
		return "have the receiver show a valid certificate for its name: openssl s_client -connect " + withPort(host)
	case "timeout", "unreachable", "refused", "reset", "eof":
		return "start the receiver, or open the way to it: curl -v " + origin(e.URL)
	}
	return "mend its url"
}

func withPort(host string) string {
	if strings.Contains(host, ":") {
		return host
	}
	return host + ":443"
}
