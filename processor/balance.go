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
	reads, all, owners := map[string][]string{}, map[string]struct{}{}, owners{}
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
		owners.add(m.MemberID, meta.OwnedPartitions)
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
	return follow{sticky.(kgo.GroupMemberBalancerOrError), t.first, reads, owners}, all, nil
}

// owners are the members that have the partitions of each topic.
type owners map[string]map[int32][]string

func (o owners) add(member string, owned []kmsg.ConsumerMemberMetadataOwnedPartition) {
	for _, t := range owned {
		if o[t.Topic] == nil {
			o[t.Topic] = map[int32][]string{}
		}
		for _, id := range t.Partitions {
			o[t.Topic][id] = append(o[t.Topic][id], member)
		}
	}
}

// others tells whether a partition must be given up by somebody before a member may have it. Whoever gives one up asks for
// another balance.
func (o owners) others(member, topic string, id int32) bool {
	has := o[topic][id]
	return len(has) > 0 && !slices.Contains(has, member)
}

// follow makes the other topics follow the first.
type follow struct {
	kgo.GroupMemberBalancerOrError // whose Balance, which cannot err, nobody calls
	first                          string
	reads                          map[string][]string // by member
	owners                         owners
}

// BalanceOrError shares out the first topic.
func (f follow) BalanceOrError(counts map[string]int32) (kgo.IntoSyncAssignment, error) {
	plan, err := f.GroupMemberBalancerOrError.BalanceOrError(map[string]int32{f.first: counts[f.first]})
	if err != nil {
		return nil, err
	}
	return shares{f, counts, plan}, nil
}

// shares is who gets what.
type shares struct {
	follow
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
		member := told[i].MemberID
		for _, topic := range slices.Sorted(slices.Values(s.reads[member])) {
			t := kmsg.NewConsumerMemberAssignmentTopic()
			t.Topic = topic
			t.Partitions = slices.DeleteFunc(slices.Clone(ids), func(id int32) bool {
				return id >= s.counts[topic] || topic != s.first && s.owners.others(member, topic, id)
			})
			share.Topics = append(share.Topics, t)
		}
		told[i].MemberAssignment = share.AppendTo(nil)
	}
	return told
}
