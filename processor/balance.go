package processor

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// together shares out partitions as the cooperative sticky balancer does, but gives partition p of all inputs to one member:
// they are one stream with one state (semantics 2.1). That balancer shares them out topic by topic, and where the numbers do
// not fit one member would have partition p of this input and another one that of the next: neither could begin. So it is
// told of one topic only, and the others follow.
type together struct {
	kgo.GroupBalancer
	first string // what is shared out: the same topic, whoever leads the group
}

// balancer is that of a group with these inputs.
func balancer(inputs []string) kgo.GroupBalancer {
	sticky := kgo.CooperativeStickyBalancer()
	if len(inputs) == 1 {
		return sticky
	}
	return together{sticky, slices.Min(inputs)}
}

// MemberBalancer is called in the member that leads the group, with what all members have joined with.
func (t together) MemberBalancer(members []kmsg.JoinGroupResponseMember) (kgo.GroupMemberBalancer, map[string]struct{}, error) {
	reads, all := map[string][]string{}, map[string]struct{}{}
	members = slices.Clone(members)
	for i := range members {
		m := &members[i]
		var meta kmsg.ConsumerMemberMetadata
		if err := meta.ReadFrom(m.ProtocolMetadata); err != nil {
			return nil, nil, fmt.Errorf("read what member %s has joined with: %w", m.MemberID, err)
		}
		reads[m.MemberID] = slices.Clone(meta.Topics)
		for _, topic := range meta.Topics {
			all[topic] = struct{}{}
		}
		meta.Topics = slices.DeleteFunc(meta.Topics, func(topic string) bool { return topic != t.first })
		meta.OwnedPartitions = slices.DeleteFunc(meta.OwnedPartitions, func(o kmsg.ConsumerMemberMetadataOwnedPartition) bool {
			return o.Topic != t.first
		})
		meta.UserData = nil // says the same of all topics
		m.ProtocolMetadata = meta.AppendTo(nil)
	}
	sticky, _, err := t.GroupBalancer.MemberBalancer(members)
	if err != nil {
		return nil, nil, err
	}
	return follow{sticky.(kgo.GroupMemberBalancerOrError), t.first, reads}, all, nil
}

// follow makes the other topics follow the first.
type follow struct {
	kgo.GroupMemberBalancerOrError // whose Balance, which cannot err, nobody calls
	first                          string
	reads                          map[string][]string // by member
}

// BalanceOrError shares out the first topic.
func (f follow) BalanceOrError(counts map[string]int32) (kgo.IntoSyncAssignment, error) {
	plan, err := f.GroupMemberBalancerOrError.BalanceOrError(map[string]int32{f.first: counts[f.first]})
	if err != nil {
		return nil, err
	}
	return shares{f.reads, counts, plan}, nil
}

// shares is who gets what.
type shares struct {
	reads  map[string][]string
	counts map[string]int32
	plan   kgo.IntoSyncAssignment // of the first topic
}

// IntoSyncAssignment is what the members are told.
func (s shares) IntoSyncAssignment() []kmsg.SyncGroupRequestGroupAssignment {
	told := s.plan.IntoSyncAssignment()
	for i := range told {
		var share kmsg.ConsumerMemberAssignment
		if err := share.ReadFrom(told[i].MemberAssignment); err != nil {
			panic(err) // the plan has just written it
		}
		var ids []int32
		for _, t := range share.Topics {
			ids = append(ids, t.Partitions...)
		}
		share.Topics = nil
		for _, topic := range slices.Sorted(slices.Values(s.reads[told[i].MemberID])) {
			t := kmsg.NewConsumerMemberAssignmentTopic()
			t.Topic = topic
			t.Partitions = slices.DeleteFunc(slices.Clone(ids), func(id int32) bool { return id >= s.counts[topic] })
			share.Topics = append(share.Topics, t)
		}
		told[i].MemberAssignment = share.AppendTo(nil)
	}
	return told
}
