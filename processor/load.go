package processor

import "sync/atomic"

// Limits of a transaction and of a step towards it, of all partitions together. They keep a transaction one that a
// broker takes in time, the next poll never far off, and memory within a bound, however much is due or comes at once.
const (
	stepSettles  = 10_000   // users whose timers are settled in a step
	txnRecords   = 100_000  // of the inputs
	txnOutBytes  = 8 << 20  // of fires and dead letters
	txnUserBytes = 32 << 20 // of changed user records
)

// load is what the partitions have done, all together; they count it while they work side by side.
type load struct {
	parts     int          // partitions at work in this step; each may do its part of every limit, whatever the others do
	settles   atomic.Int64 // in this step
	outBytes  atomic.Int64 // in this transaction, as is what follows
	userBytes atomic.Int64
}

// enough tells whether no more may be done before a commit or, of what is due, before the next poll.
func (l *load) enough() bool { return l.settles.Load() >= stepSettles || l.full() }

// full tells whether the transaction must end.
func (l *load) full() bool {
	return l.outBytes.Load() >= txnOutBytes || l.userBytes.Load() >= txnUserBytes
}

// ended begins a new transaction.
func (l *load) ended() {
	l.outBytes.Store(0)
	l.userBytes.Store(0)
}

// weigh adds to the load what the partition did since it was last weighed, and tells whether it is enough.
func (p *partition) weigh() (enough bool) {
	if n := p.outBytes - p.weighed.out; n != 0 {
		p.load.outBytes.Add(int64(n))
		p.weighed.out = p.outBytes
	}
	if n := p.engine.Dirty(); n != p.weighed.users {
		p.load.userBytes.Add(n - p.weighed.users)
		p.weighed.users = n
	}
	return p.load.enough() && p.hadShare()
}

// hadShare tells whether the partition did its part of some limit: one that has much to do leaves the others theirs.
func (p *partition) hadShare() bool {
	n := max(p.load.parts, 1)
	return p.settles >= stepSettles/n || p.outBytes >= txnOutBytes/n || p.weighed.users >= txnUserBytes/int64(n)
}

// settledEnough is weigh after one more user was settled.
func (p *partition) settledEnough() bool {
	p.load.settles.Add(1)
	p.settles++
	return p.weigh()
}

// weighed is what of a transaction's work is in the load.
type weighed struct {
	out   int
	users int64
}
