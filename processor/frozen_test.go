package processor_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A member freezes, another one owns its partitions and commits, and the first one wakes: brokers take the records of its
// next transaction, behind those of the other, and refuse the offsets. What it stores when it lets go of the partitions is
// a copy of the changelog from before the other one, wherever its refused records stand; else it would skip the other's
// records in its next restore. Here the other one wrote that it knows nothing of ada.
func TestRefusedRecordsMoveNoCheckpoint(t *testing.T) {
	s := newStage(t, onBuy)
	cfg := s.config("a")
	cfg.CheckpointInterval = time.Hour // nothing is stored before it lets go
	s.start(cfg)
	now := time.Now()
	s.send("ada", "buy", "e1", now)
	s.fires(1)
	records := s.records("vigil.state", 1+partitions) // ada's, and one of each partition
	ada := slices.IndexFunc(records, func(r *kgo.Record) bool { return string(r.Key) == "ada" })
	if ada < 0 {
		t.Fatalf("nothing of ada in %d records", len(records))
	}

	s.evict()
	other, err := kgo.NewClient(kgo.SeedBrokers(s.cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	forgotten := &kgo.Record{Topic: "vigil.state", Partition: records[ada].Partition, Key: records[ada].Key}
	if err := other.ProduceSync(context.Background(), forgotten).FirstErr(); err != nil {
		t.Fatal(err)
	}
	s.send("ada", "buy", "e2", now) // what the evicted member writes of it is refused
	s.fires(2)
	s.send("ada", "buy", "e1", now) // an id that is known no more
	if got := s.fires(3); len(got) != 3 {
		t.Errorf("%d fires, want 3: a restore passed over what another owner had written\n%v", len(got), got)
	}
}
