package kafkatest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// settle returns when every node is known to the cluster and every partition has all its replicas in sync: before
// that, the loss of another node is the loss of a majority.
func (c *Cluster) settle() error {
	ctx, cancel := context.WithTimeout(context.Background(), maxStart)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(c.Bootstrap, ",")...))
	if err != nil {
		return err
	}
	defer cl.Close()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		last := c.inSync(ctx, cl)
		if last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the cluster does not settle: %w", last)
		case <-tick.C:
		}
	}
}

// inSync tells what is still missing; nil where nothing is. It asks by itself: kadm may answer from its memory which
// nodes there are.
func (c *Cluster) inSync(ctx context.Context, cl *kgo.Client) error {
	all, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	if len(all.Brokers) != c.nodes {
		return fmt.Errorf("%d of %d nodes are up", len(all.Brokers), c.nodes)
	}
	for _, t := range all.Topics {
		for _, p := range t.Partitions {
			if len(p.ISR) < len(p.Replicas) {
				return fmt.Errorf("%s/%d has %d of %d replicas in sync", *t.Topic, p.Partition, len(p.ISR), len(p.Replicas))
			}
		}
	}
	return nil
}
