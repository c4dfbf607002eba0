package verify

import (
	"fmt"
	"math"

	"vigil/campaign"
)

// Loss is why a run cannot know all that a processor knew.
type Loss string

// The losses.
const (
	LostInputs    Loss = "inputs_gone"       // the inputs no longer reach back to where the partition was begun
	LostCompacted Loss = "inputs_compacted"  // records in the middle of a compacted input are no more
	LostJournal   Loss = "journal_gone"      // the journal does not hold it
	LostOffsets   Loss = "offsets_gone"      // nothing says how far the group has come
	LostCampaigns Loss = "campaigns_unknown" // decided by campaigns that were not given
	LostWebhooks  Loss = "webhooks_gone"     // older than what the topic still holds
)

// forever is a memory that no silence ends.
const forever = math.MaxInt64

const (
	hourMillis = 60 * 60 * 1000
	seenMillis = 26 * hourMillis // an id is known for 24 h on rt, and 25 h on the clock (docs/decisions/0010)
)

// hole is a stretch of a partition's clock in which the run did not know all. What it may have missed can tell later
// too, for as long as a campaign remembers.
type hole struct {
	Loss     Loss
	text     string
	from, to int64 // ms on the clock
	open     bool  // to is not known yet

	// Of campaigns only: which, and between which places of the inputs.
	campaigns, begin, end string
}

// knowledge is what a run knows of a partition's past. Without a hole it is all, and every difference is one.
type knowledge struct {
	holes     []*hole
	slack     int64 // how far the `at` of a fire may lie behind the clock that decides it
	userIsKey bool
	users     map[string]*silence // since the newest hole
}

// silence is how long a user's records kept away: what is remembered of before ends with a long one.
type silence struct {
	last    int64
	longest []quiet // each longer than the one before
}

// quiet is a silence that ended.
type quiet struct{ end, span int64 }

// lost notes that something before the next record is not known.
func (k *knowledge) lost(clock int64, reason Loss, text string) {
	k.users = map[string]*silence{}
	for _, h := range k.holes {
		if h.Loss == reason && h.text == text {
			h.open, h.to = true, max(h.to, clock)
			return
		}
	}
	k.holes = append(k.holes, &hole{Loss: reason, text: text, from: clock, to: clock, open: true})
}

// blind notes that the campaigns from here on are not there.
func (k *knowledge) blind(clock int64, fingerprint, place string) {
	last := len(k.holes) - 1
	if last < 0 || k.holes[last].campaigns != fingerprint || k.holes[last].end != place {
		k.holes = append(k.holes, &hole{Loss: LostCampaigns, from: clock, campaigns: fingerprint, begin: place})
		last++
	}
	h := k.holes[last]
	h.to, h.end = math.MaxInt64, ""
	h.text = fmt.Sprintf("campaigns %s are not given; they decided from %s on", fingerprint, h.begin)
}

// sighted ends what blind began.
func (k *knowledge) sighted(clock int64, place string) {
	for _, h := range k.holes {
		if h.Loss == LostCampaigns && h.to == math.MaxInt64 {
			h.to, h.end, k.users = clock, place, map[string]*silence{}
			h.text = fmt.Sprintf("campaigns %s are not given; they decided from %s to %s", h.campaigns, h.begin, place)
		}
	}
}

// saw notes a record of a user, with the clock that it makes.
func (k *knowledge) saw(key []byte, clock int64) {
	if len(k.holes) == 0 {
		return
	}
	end := int64(math.MinInt64)
	for _, h := range k.holes {
		if h.open {
			h.open, h.to = false, max(h.to, clock)
		}
		end = max(end, h.to)
	}
	if !k.userIsKey || clock <= end {
		return
	}
	u := k.users[string(key)]
	if u == nil {
		u = &silence{last: end}
		k.users[string(key)] = u
	}
	if span := clock - u.last; len(u.longest) == 0 || span > u.longest[len(u.longest)-1].span {
		u.longest = append(u.longest, quiet{clock, span})
	}
	u.last = max(u.last, clock)
}

// doubted is a fire in question; of a rendered one only what was rendered differs, in which the profile has a part.
type doubted struct {
	user     string
	at       int64
	rendered bool
}

// doubt is why a fire that the run has just made may be wrong; nil where the run knows all that counts.
func (k *knowledge) doubt(c *campaign.Campaign, d doubted) *hole {
	for _, h := range k.holes {
		if h.open || d.at <= h.to || d.rendered || !k.forgotten(c, d.user, d.at) {
			return h
		}
	}
	return nil
}

// doubtOf is doubt of a fire that the run never made: all that tells when it was decided is its `at`.
func (k *knowledge) doubtOf(c *campaign.Campaign, d doubted) *hole {
	for _, h := range k.holes {
		if h.from != math.MinInt64 && d.at < h.from-k.slack {
			continue
		}
		if h.open || d.at <= h.to || !k.forgotten(c, d.user, d.at) {
			return h
		}
	}
	return nil
}

// forgotten tells whether all that a campaign may remember of a user from before the newest hole's end had no effect
// any more at a time.
func (k *knowledge) forgotten(c *campaign.Campaign, user string, at int64) bool {
	span := k.memory(c)
	u := k.users[user]
	if u == nil || span == forever {
		return false
	}
	for _, q := range u.longest {
		if q.span > span && q.end <= at {
			return true
		}
	}
	return false
}

// memory is how long a silence of a user makes a campaign forget all of them (semantics 2.11).
func (k *knowledge) memory(c *campaign.Campaign) int64 {
	if c == nil || c.Who != nil || c.Status == campaign.Paused || c.Trigger.First || c.Trigger.Shape == campaign.Date ||
		c.Quiet != nil && c.Quiet.ZonePath != "" {
		return forever
	}
	t := &c.Trigger
	if t.Shape == campaign.Single && len(t.Did) == 1 && t.Did[0].Count > 1 {
		return forever
	}
	span := t.Delay + t.Within + max(t.Lookback, t.Gap) + k.slack
	span = max(span, max(c.Limits.Gap, c.Limits.Per)+k.slack, seenMillis)
	if c.Quiet != nil {
		span += 24 * hourMillis
	}
	return span
}
