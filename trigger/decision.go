package trigger

import (
	"crypto/sha256"
	"encoding/hex"

	"vigil/campaign"
	"vigil/event"
)

// Reason is why a decision is a skip; empty for a fire.
type Reason string

// The reasons of the rule book.
const (
	Duplicate      Reason = "duplicate"         // 2.2
	KeyMissing     Reason = "key_missing"       // 2.7
	TooOld         Reason = "too_old"           // 2.1
	WhoAtTrigger   Reason = "who_at_trigger"    // 2.6
	WhoAtFire      Reason = "who_at_fire"       // 2.6
	Superseded     Reason = "superseded"        // 3.3, 3.4, 3.5
	DateMissing    Reason = "date_missing"      // 3.5
	DateInvalid    Reason = "date_invalid"      // 3.5
	DateOutOfRange Reason = "date_out_of_range" // 3.5
	AlreadyDone    Reason = "already_done"      // 3.3, 3.4, 3.5, 3.7
	NotFirst       Reason = "not_first"         // 3.1
	TooManyPending Reason = "too_many_pending"  // 3.3
	Cancelled      Reason = "cancelled"         // 3.3, 3.4, 3.5
	Restarted      Reason = "restarted"         // 3.3
	Rescheduled    Reason = "rescheduled"       // 3.5
	LateCancel     Reason = "late_cancel"       // 2.10
	PastDue        Reason = "past_due"          // 2.10, 3.5
	DuplicateFire  Reason = "duplicate_fire"    // 3.5
	Erased         Reason = "erased"            // 2.6
	Edited         Reason = "edited"            // 2.10
	IsPaused       Reason = "paused"            // 2.10
	IsDraining     Reason = "draining"          // 2.10
	IsStopped      Reason = "stopped"           // 2.8, 2.10
	Ended          Reason = "ended"             // 2.8
	NotStarted     Reason = "not_started"       // 2.8
	Control        Reason = "control"           // 2.8
	Gap            Reason = "gap"               // 2.8
	Cap            Reason = "cap"               // 2.8
	Quiet          Reason = "quiet"             // 2.8
	Deferred       Reason = "deferred"          // 2.8
)

// Decision is a fire, or a skip with one reason. It and all that it points to are valid only during the call that
// hands it over.
type Decision struct {
	Fire       bool
	Reason     Reason
	CampaignID string             // empty for duplicate
	Campaign   *campaign.Campaign // nil for duplicate and for a campaign that is gone
	User       string
	Key        string
	AnchorID   string
	Slot       string
	At         int64  // ms since the epoch
	LateBy     int64  // ms
	FireID     string // empty for duplicate and key_missing

	Anchor  *event.Snapshot   // fires only; nil where the firing has no anchor
	Events  []*event.Snapshot // fires of 3.2 only: those that filled the slots, in slot order
	Profile []byte            // fires only: a JSON object
}

// FireID names a firing (semantics 2.9): hex of the first 16 bytes of SHA-256 over the parts, joined by U+001F.
func FireID(campaignID, run, user, key, anchorID, slot string) string {
	h := make([]byte, 0, 160)
	for i, part := range [...]string{campaignID, run, user, key, anchorID, slot} {
		if i > 0 {
			h = append(h, 0x1f)
		}
		h = append(h, part...)
	}
	sum := sha256.Sum256(h)
	return hex.EncodeToString(sum[:16])
}
