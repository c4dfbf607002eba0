package kafka_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/kafka"
)

// A topic that comes a moment later is found; without it an end of the context ends the wait.
func TestFindTopicsWaits(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.MetadataMinAge(kafka.TopicsAgain))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	adm := kadm.NewClient(client)

	short, cancel := context.WithTimeout(t.Context(), 2*kafka.TopicsAgain)
	defer cancel()
	if found, err := kafka.FindTopics(short, adm, "late"); err == nil {
		t.Errorf("found %v, which is not there", found)
	}
	made := time.AfterFunc(2*kafka.TopicsAgain, func() { _, _ = adm.CreateTopic(context.WithoutCancel(t.Context()), 3, 1, nil, "late") }) // found or not
	defer made.Stop()
	found, err := kafka.FindTopics(t.Context(), adm, "late")
	if err != nil || len(found["late"].Partitions) != 3 {
		t.Errorf("found %v, %v", found, err)
	}
}
