// Package verify runs the past once more beside the live processors and compares it with what they fired: the oracle of
// the tests and the tool for an incident. It joins no group, writes nothing, and holds no rule and no order of its own:
// what it makes of a record and of the journal is the processor room's.
package verify

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"vigil/campaign"
	"vigil/kafka"
	"vigil/processor"
)

// Config says what Run looks at; fields without a comment must be set.
type Config struct {
	Client   *kgo.Client // its options are used; it stays the caller's
	Topics   kafka.Topics
	Group    string              // of the processors
	Catalogs []*campaign.Catalog // those that may have decided; the journal says which did where
	From, To int64               // ms; fires with From <= at < To are compared
	// Progress, where set, is told now and then how many input records are done, of how many. It has one caller at a time.
	Progress func(done, total int64)
}

// Run re-runs journal and inputs through the engine, partition by partition, and compares what that makes with what
// stands on the webhooks and shadow topics: ids, contents, and that each is there once (streaming 3.6). It runs from the
// beginning of what journal and inputs hold to what the group has committed by now, whatever the range; the processors
// may go on meanwhile. It joins no group and writes nothing. An error is one of Kafka or of the engine, never a
// difference.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	run := &verifier{Config: cfg, adm: kadm.NewClient(cfg.Client), catalogs: map[string]*campaign.Catalog{}}
	for _, cat := range cfg.Catalogs {
		run.catalogs[processor.Fingerprint(cat)] = cat
	}
	var err error
	if run.bounds, err = run.find(ctx); err != nil {
		return nil, err
	}
	run.total = run.bounds.size()
	var mu sync.Mutex
	report := newReport()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, id := range run.bounds.partitions() {
		group.Go(func() error {
			part, err := run.partition(ctx, id)
			if err != nil {
				return fmt.Errorf("verify partition %d: %w", id, err)
			}
			mu.Lock()
			defer mu.Unlock()
			report.add(part)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	report.sort()
	return report, nil
}

// verifier is one run.
type verifier struct {
	Config
	adm      *kadm.Client
	catalogs map[string]*campaign.Catalog // by fingerprint
	bounds   *bounds

	mu          sync.Mutex
	done, total int64 // guarded by mu
}

// progressEvery is how many records are done between two calls of Progress.
const progressEvery = 4096

// advance counts input records that are done.
func (v *verifier) advance(n int64) {
	if v.Progress == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	before := v.done
	v.done += n
	if before/progressEvery != v.done/progressEvery {
		v.Progress(v.done, max(v.total, v.done))
	}
}

// partition verifies one of them.
func (v *verifier) partition(ctx context.Context, id int32) (*Report, error) {
	there, err := v.standing(ctx, id)
	if err != nil {
		return nil, err
	}
	c := &comparison{v: v, id: id, there: there, known: &knowledge{}, first: map[string]bool{}, found: newReport()}
	p := &past{v: v, id: id, known: c.known, tapes: map[string]*tape{}, clamps: map[processor.Place]int64{}, faults: map[processor.Place]bool{}}
	p.rerun = processor.NewRerun(v.Topics, id, c.made)
	defer p.close()
	if err := p.play(ctx); err != nil {
		return nil, err
	}
	return c.report()
}

// inRange tells whether a fire with one of these `at` is asked for.
func (v *verifier) inRange(at ...int64) bool {
	return slices.ContainsFunc(at, func(at int64) bool { return v.From <= at && at < v.To })
}
