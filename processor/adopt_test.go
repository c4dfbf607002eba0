package processor_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"vigil/campaign"
)

const (
	onSee = `
id: see
trigger: {type: single_action, did: see}
webhook: {url: "https://example.com/hook"}
`
	slowCart = `
id: cart
trigger: {type: inaction_within_time, did: add, did_not: buy, within: 1m}
webhook: {url: "https://example.com/hook"}
`
)

// catalog is one of campaigns that are not the stage's.
func catalog(t *testing.T, campaigns ...string) *campaign.Catalog {
	t.Helper()
	var all []*campaign.Campaign
	for _, text := range campaigns {
		c, problems := campaign.Parse("c.yaml", []byte(text))
		if campaign.Failed(problems) {
			t.Fatal(problems)
		}
		all = append(all, c)
	}
	return campaign.NewCatalog(all)
}

// A timer that a paused campaign holds settles once the campaign is resumed, also where that happened while nobody ran
// (semantics 2.10).
func TestResumedWhileStopped(t *testing.T) {
	s := newStage(t, onSee, slowCart)
	now := time.Now()
	stop := s.start(s.config("a"))
	s.send("ada", "add", "e1", now)
	s.send("ada", "see", "e2", now)
	s.fires(1)
	stop()
	cfg := s.config("a")
	cfg.Catalog = catalog(t, onSee, slowCart+"status: paused\n")
	stop = s.start(cfg)
	s.send("ada", "see", "e3", now.Add(65*time.Second))
	s.fires(2)
	stop()
	s.start(s.config("a"))
	s.send("ada", "see", "e4", now.Add(2*time.Second))
	want := []string{
		fire("see", "ada", "e2", ""), fire("see", "ada", "e3", ""), fire("see", "ada", "e4", ""), fire("cart", "ada", "e1", "inaction"),
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, s.fires(len(want))); diff != "" {
		t.Error(diff)
	}
}

// Campaigns adopted by a transaction that aborts are adopted all the same: what it undid is done again.
func TestAbortKeepsAdoptedCampaigns(t *testing.T) {
	s := newStage(t, onSee, slowCart)
	reload := make(chan *campaign.Catalog, 1)
	cfg := s.config("a")
	cfg.Reload = reload
	s.start(cfg)
	now := time.Now()
	s.send("ada", "add", "e1", now)
	s.send("ada", "see", "e2", now)
	s.fires(1)
	reload <- catalog(t, onSee, slowCart+"status: paused\n")
	s.adoptions(2 * partitions)
	s.send("ada", "see", "e3", now.Add(65*time.Second))
	s.fires(2)
	storm := s.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.RebalanceInProgress, Count: 1})
	reload <- s.catalog
	s.adoptions(3 * partitions)
	s.send("ada", "see", "e4", now.Add(2*time.Second))
	want := []string{
		fire("see", "ada", "e2", ""), fire("see", "ada", "e3", ""), fire("see", "ada", "e4", ""), fire("cart", "ada", "e1", "inaction"),
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, s.fires(len(want))); diff != "" {
		t.Error(diff)
	}
	if storm.Hits() != 1 {
		t.Errorf("%d transactions aborted, want 1", storm.Hits())
	}
}

// adoptions waits until the journal tells of so many adopted catalogs, one a partition each.
func (s *stage) adoptions(enough int) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("the journal does not tell of %d adopted catalogs", enough), func() bool {
		told := 0
		for _, r := range s.all("vigil.journal") {
			told += strings.Count(string(r.Value), `"catalog"`)
		}
		return told >= enough
	})
}
