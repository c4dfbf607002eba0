package kafkatest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
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
	adm := kadm.NewClient(cl)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		last := c.inSync(ctx, adm)
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

// inSync tells what is still missing; nil where nothing is.
func (c *Cluster) inSync(ctx context.Context, adm *kadm.Client) error {
	all, err := adm.BrokerMetadata(ctx)
	if err != nil {
		return err
	}
	if len(all.Brokers) != c.nodes {
		return fmt.Errorf("%d of %d nodes are up", len(all.Brokers), c.nodes)
	}
	topics, err := adm.ListTopicsWithInternal(ctx)
	if err != nil {
		return err
	}
	var behind error
	topics.EachPartition(func(p kadm.PartitionDetail) {
		if len(p.ISR) < len(p.Replicas) {
			behind = fmt.Errorf("%s/%d has %d of %d replicas in sync", p.Topic, p.Partition, len(p.ISR), len(p.Replicas))
		}
	})
	return behind
}
