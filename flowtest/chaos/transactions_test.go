package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	longestOpen    = 6 * time.Second // that a producer leaves a transaction open
	betweenTxns    = 8 * time.Second // at most
	txnRecords     = 4
	txnWithin      = 20 * time.Second // for the brokers to take one
	abandonedAfter = 10 * time.Second // a transaction whose producer is gone
)

// What became of transactions.
const (
	txnsCommitted = "committed"
	txnsAborted   = "aborted"
	txnsBroken    = "broken off" // by trouble of the brokers: the log tells
)

// transact is a producer that writes in transactions and takes its time over them, on any partition, the idle ones too.
// Half of the transactions are aborted: what is in them has not happened. While one is open the end of its partition
// cannot be read, and nothing there may be decided by the wall clock.
func (r *run) transact(ctx context.Context) {
	dice := rand.New(rand.NewPCG(r.seed, 77))
	for n := 0; pause(ctx, time.Duration(dice.Int64N(int64(betweenTxns)))); n++ {
		partition, commit := dice.Int32N(r.partitions), dice.IntN(2) == 0
		open := time.Duration(dice.Int64N(int64(longestOpen)))
		var records []*kgo.Record
		for i := range txnRecords {
			user := fmt.Sprintf("txn-%d-%d", partition, dice.IntN(quietUsers))
			kind := []string{"cart_add", "purchase"}[dice.IntN(2)]
			records = append(records, &kgo.Record{
				Topic: r.Input, Partition: partition, Key: []byte(user),
				Value: fmt.Appendf(nil, `{"id":"t%d-%d","type":%q,"properties":{"cart_id":%q,"value":%d}}`, n, i, kind, user, 100+dice.IntN(100)),
			})
		}
		switch err := r.transaction(ctx, records, open, commit); {
		case err != nil:
			r.count(txnsBroken)
		case commit:
			r.count(txnsCommitted)
		default:
			r.count(txnsAborted)
		}
	}
}

// transaction writes records in one that stays open for a while. An error says nothing about its outcome, which the log
// tells.
func (r *run) transaction(ctx context.Context, records []*kgo.Record, open time.Duration, commit bool) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.Brokers...), kgo.TransactionalID(r.Prefix+"-producer"),
		kgo.TransactionTimeout(abandonedAfter), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer cl.Close()
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), txnWithin)
	defer cancel()
	if err := cl.BeginTransaction(); err != nil {
		return err
	}
	if err := cl.ProduceSync(within, records...).FirstErr(); err != nil {
		return err
	}
	pause(ctx, open)
	return cl.EndTransaction(within, kgo.TransactionEndTry(commit))
}
